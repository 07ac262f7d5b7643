// System calls without libc, for code that runs where libc cannot: it has no errno, no locks, no
// thread's storage around it. Results are the kernel's: -errno when a call failed.
#pragma once

#include <cstdint>

namespace baton {

// For every function that such code consists of: what sanitizers and stack protectors put in would
// lead outside. (test/model/keeper.test.ts sees in the object file that nothing does.)
#if defined(__clang__) || __GNUC__ >= 11
#define BATON_BARE_STACK no_stack_protector,
#else
#define BATON_BARE_STACK
#endif
#define BATON_BARE __attribute__((BATON_BARE_STACK no_sanitize("address", "undefined")))

#if defined(__x86_64__)

BATON_BARE __attribute__((always_inline)) inline long rawCall(long number, long a = 0, long b = 0,
                                                              long c = 0, long d = 0, long e = 0) {
  long result;
  register long fourth asm("r10") = d;
  register long fifth asm("r8") = e;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
               : "rcx", "r11", "memory");
  return result;
}

#elif defined(__aarch64__)

BATON_BARE __attribute__((always_inline)) inline long rawCall(long number, long a = 0, long b = 0,
                                                              long c = 0, long d = 0, long e = 0) {
  register long call asm("x8") = number;
  register long first asm("x0") = a;
  register long second asm("x1") = b;
  register long third asm("x2") = c;
  register long fourth asm("x3") = d;
  register long fifth asm("x4") = e;
  asm volatile("svc 0"
               : "+r"(first)
               : "r"(call), "r"(second), "r"(third), "r"(fourth), "r"(fifth)
               : "memory");
  return first;
}

#else
#error "native/raw-call.h knows x86_64 and aarch64"
#endif

BATON_BARE __attribute__((always_inline)) inline long rawPointer(const volatile void* pointer) {
  return reinterpret_cast<long>(pointer);
}

}  // namespace baton
