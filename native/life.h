// How a worker's death is learnt from the first moment on: a robust mutex in its row of the worker
// table (pthread_mutexattr_setrobust), which the thread that runs the lane locks at its start and
// never unlocks.
//
//   futex word:  0 ──beginLife──► thread id ──the thread dies──► thread id | FUTEX_OWNER_DIED
//
// The kernel writes that at the start of the exit, before it frees the process' memory, and wakes a
// waiter: a pidfd becomes readable only afterwards, for a Node process milliseconds later. No
// instruction and no system call of that thread can still be under way then.
#pragma once

#include <cstdint>

#include "layout.gen.h"

namespace baton {

// Of the calling process: by the thread that is going to run a lane. 0 or an errno.
int beginLife(Worker& row);

// False as long as it lives, and for a worker that never began to (of a version before this one).
bool isLifeOver(const Worker& row);

const int32_t& lifeWord(const Worker& row);

// Asks the kernel to wake those who wait for the word to change. Returns the word as it is then.
int32_t askToBeWoken(Worker& row);

}  // namespace baton
