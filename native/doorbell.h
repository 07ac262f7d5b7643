// A lane's doorbell: wakes its owner, and only when it sleeps.
//
//   producer                              consumer
//   port.tail = …                         rung = 0, took bits      (answer)
//   ─── full fence ───                    ─── full fence ───
//   rung |= its bit, unless set           reads the tails of those bits, works …
//   sleeping 1 → 0?  then eventfd         sleeping = 1             (maySleep)
//                                         ─── full fence ───
//                                         rung != 0?  then sleeping = 0, no sleep
//                                         epoll_wait
//                                         sleeping = 0             (wake)
//
// Why no wake-up is lost. Each side stores, fences, and looks at what the other has stored: at
// least one of two such looks sees the other's store.
//   tail, rung:      a producer that finds its bit set looked before the consumer cleared it; so
//                    the consumer's look at the tail, behind its fence, sees this tail.
//   rung, sleeping:  the producer sees that the other is about to sleep, and rings; or the
//                    consumer sees the bit, and does not sleep.
// Of several producers one takes `sleeping` from 1 to 0, and he alone pays for a system call. A
// ring too many is harmless: the eventfd says only that there is something to look at.
// test/model/doorbell.test.ts walks through all interleavings, also without each of the fences.
#pragma once
#include <sys/eventfd.h>

#include <cstdint>

#include "layout.gen.h"

namespace baton {

// The producers' side.

// Between the stores of tails and heads and ring(): one for all of a turn.
inline void fenceBeforeRinging() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// Wakes the owner of `bell` if it sleeps. `bell_fd` -1: this process has no copy, the owner looks
// by itself within a heartbeat. Returns whether the eventfd was written.
inline bool wakeSleeper(Bell& bell, int bell_fd) {
  if (__atomic_load_n(&bell.sleeping, __ATOMIC_RELAXED) == 0) return false;
  if (bell_fd < 0 || __atomic_exchange_n(&bell.sleeping, 0, __ATOMIC_SEQ_CST) == 0) return false;
  eventfd_write(bell_fd, 1);
  return true;
}

// Lane `from` has sent something, or made room. Returns whether the eventfd was written.
inline bool ring(Bell& bell, int32_t from, int bell_fd) {
  const uint64_t bit = uint64_t{1} << from;
  if ((__atomic_load_n(&bell.rung, __ATOMIC_RELAXED) & bit) == 0)
    __atomic_fetch_or(&bell.rung, bit, __ATOMIC_SEQ_CST);
  return wakeSleeper(bell, bell_fd);
}

// The consumer's side.

// Who rang since the last answer: their tails and heads must be looked at from now on.
inline uint64_t answer(Bell& bell) {
  if (__atomic_load_n(&bell.rung, __ATOMIC_RELAXED) == 0) return 0;
  const uint64_t who = __atomic_exchange_n(&bell.rung, 0, __ATOMIC_SEQ_CST);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return who;
}

// Before epoll_wait. False: somebody has rung, do not sleep. Followed by wake() either way.
inline bool maySleep(Bell& bell) {
  __atomic_store_n(&bell.sleeping, 1, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return __atomic_load_n(&bell.rung, __ATOMIC_RELAXED) == 0;
}

inline void wake(Bell& bell) { __atomic_store_n(&bell.sleeping, 0, __ATOMIC_RELAXED); }

}  // namespace baton
