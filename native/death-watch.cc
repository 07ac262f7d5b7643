#include "death-watch.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <cerrno>
#include <ctime>

#include "futex.h"
#include "life.h"

namespace baton {

namespace {

constexpr size_t kWordsMax = 128;  // FUTEX_WAITV_MAX
constexpr int kLookMs = 500;       // whatever is not told: a worker that never had a life word
constexpr int kPollMs = 5;         // without futex_waitv
constexpr long kFutexWaitv = 449;  // on every architecture
constexpr uint32_t kWordOf32Bits = 2;

struct Waiter {  // struct futex_waitv of the kernel
  uint64_t value, address;
  uint32_t flags, reserved;
};

int32_t load(const int32_t& word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }

}  // namespace

int DeathWatch::begin(const std::vector<Lane*>& lanes, int32_t worker, int bell_fd) {
  lanes_ = lanes;
  spared_.assign(lanes.size(), 0);
  words_.reserve(2 * lanes.size() + 1);
  worker_ = worker;
  bell_fd_ = bell_fd;
  sigset_t all, before;  // signals are for Node's own threads
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int failed = pthread_create(&thread, nullptr, run, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed == 0) pthread_detach(thread);
  return failed;
}

void DeathWatch::lookAgain() {
  const int32_t lane = found();
  spared_[static_cast<size_t>(lane)] = load(lanes_[static_cast<size_t>(lane)]->row->owner);
  __atomic_fetch_add(&asked_, 1, __ATOMIC_ACQ_REL);
  futexWake(&asked_);
}

void* DeathWatch::run(void* watch) {
  static_cast<DeathWatch*>(watch)->watch();
  return nullptr;
}

void DeathWatch::watch() {
  for (;;) {
    const int32_t asked = load(asked_);
    if (!look()) {
      await();
      continue;
    }
    eventfd_write(bell_fd_, 1);
    while (load(asked_) == asked) futexWait(&asked_, asked, 60'000);
  }
}

// Whether a lane's owner is dead. Notes every word that, when it changes, may be the news.
bool DeathWatch::look() {
  words_.clear();
  words_.push_back({&asked_, load(asked_)});
  for (size_t i = 0; i < lanes_.size(); ++i) {
    Lane* lane = lanes_[i];
    if (lane == nullptr) continue;
    const int32_t owner = load(lane->row->owner);
    if (words_.size() < kWordsMax) words_.push_back({&lane->row->owner, owner});
    Worker& who = lane->workers[Lane::workerOf(owner)];
    const bool is_ours = owner != 0 && who.generation == lane->workers[worker_].generation;
    if (!is_ours || Lane::workerOf(owner) == worker_ || owner == spared_[i]) continue;
    const int32_t life = askToBeWoken(who);
    if (lane->isDead(owner)) {
      if (load(lane->row->owner) != owner) continue;
      futexWake(&lifeWord(who));  // the kernel wakes one, who may not be the one to take it
      found_.store(static_cast<int32_t>(i), std::memory_order_release);
      return true;
    }
    if (words_.size() < kWordsMax) words_.push_back({&lifeWord(who), life});
  }
  return false;
}

void DeathWatch::await() {
  if (!can_wait_) return futexWait(&asked_, words_[0].seen, kPollMs);
  Waiter waiters[kWordsMax];
  for (size_t i = 0; i < words_.size(); ++i) {
    waiters[i] = {static_cast<uint32_t>(words_[i].seen),
                  reinterpret_cast<uint64_t>(words_[i].at), kWordOf32Bits, 0};
  }
  timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += kLookMs * 1'000'000L;
  until.tv_sec += until.tv_nsec / 1'000'000'000L;
  until.tv_nsec %= 1'000'000'000L;
  const long woken =
      syscall(kFutexWaitv, waiters, words_.size(), 0, &until, CLOCK_MONOTONIC);
  can_wait_ = woken >= 0 || (errno != ENOSYS && errno != EPERM && errno != EINVAL);
}

}  // namespace baton
