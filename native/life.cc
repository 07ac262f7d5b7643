#include "life.h"

#include <linux/futex.h>
#include <pthread.h>

#include <cstddef>

namespace baton {

namespace {

static_assert(sizeof(pthread_mutex_t) <= sizeof(Worker::life));
static_assert(offsetof(Worker, life) % alignof(pthread_mutex_t) == 0);
static_assert(offsetof(pthread_mutex_t, __data.__lock) == 0);

pthread_mutex_t* mutexOf(Worker& row) { return reinterpret_cast<pthread_mutex_t*>(row.life); }

}  // namespace

int beginLife(Worker& row) {
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
  const int failed = pthread_mutex_init(mutexOf(row), &kind);
  pthread_mutexattr_destroy(&kind);
  return failed != 0 ? failed : pthread_mutex_lock(mutexOf(row));
}

const int32_t& lifeWord(const Worker& row) { return *reinterpret_cast<const int32_t*>(row.life); }

bool isLifeOver(const Worker& row) {
  const auto word = static_cast<uint32_t>(__atomic_load_n(&lifeWord(row), __ATOMIC_ACQUIRE));
  return (word & FUTEX_OWNER_DIED) != 0;
}

int32_t askToBeWoken(Worker& row) {
  auto& word = const_cast<int32_t&>(lifeWord(row));
  int32_t seen = __atomic_load_n(&word, __ATOMIC_ACQUIRE);
  const auto waiters = static_cast<int32_t>(FUTEX_WAITERS);
  while ((static_cast<uint32_t>(seen) & FUTEX_TID_MASK) != 0 && (seen & waiters) == 0) {
    if (__atomic_compare_exchange_n(&word, &seen, seen | waiters, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
      return seen | waiters;
  }
  return seen;
}

}  // namespace baton
