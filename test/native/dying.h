// A process that dies in the middle of native/journal.h, without dying: every byte that the journal
// copies and every one of its store barriers is a step, and at a chosen step control is taken away for
// good (longjmp). What lies in memory then is what a SIGKILL would have left.
//
//   const bool lived = dying::runUntil(step, [&] { journal.rollBack(); });
//
// To be included instead of journal.h, behind all other headers: it puts its steps in by macros.
#pragma once
#include <csetjmp>
#include <cstdint>
#include <cstring>

#include "layout.gen.h"

namespace dying {

constexpr int64_t kNever = -1;

inline int64_t steps = 0;  // since the run began
inline int64_t last = kNever;
inline jmp_buf back;

inline void step() {
  if (steps++ == last) longjmp(back, 1);
}

inline void copy(void* to, const void* from, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    step();
    static_cast<uint8_t*>(to)[i] = static_cast<const uint8_t*>(from)[i];
  }
}

// False when the run was ended at `step`. `run` must hold nothing that needs a destructor.
template <class Run>
bool runUntil(int64_t step, Run run) {
  steps = 0;
  last = step;
  const bool died = setjmp(back) != 0;
  if (!died) run();
  last = kNever;
  return !died;
}

}  // namespace dying

#define memcpy(to, from, count) dying::copy(to, from, count)
#define asm dying::step(); asm
#include "journal.h"
#undef asm
#undef memcpy
