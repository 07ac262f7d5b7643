// Waiting for a word in shared memory to change, between processes (futex(2), not FUTEX_PRIVATE).
#pragma once
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <ctime>

namespace baton {

// Returns when the word is no longer `seen`, when somebody wakes, or after `timeout_ms`; the caller
// looks again.
inline void futexWait(const int32_t* word, int32_t seen, int timeout_ms) {
  const timespec timeout = {timeout_ms / 1000, (timeout_ms % 1000) * 1000000L};
  syscall(SYS_futex, word, FUTEX_WAIT, seen, &timeout, nullptr, 0);
}

inline void futexWake(const int32_t* word) {
  syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace baton
