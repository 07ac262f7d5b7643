#include "fault.h"

#ifdef BATON_FAULTS
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cstring>

namespace baton {

namespace {

FaultPage* findPage() {
  const char* path = getenv("BATON_FAULTS");
  if (path == nullptr) return nullptr;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* at = mmap(nullptr, sizeof(FaultPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<FaultPage*>(at);
}

void note(FaultCharge& charge) {
  charge.fired = getpid();
  const auto behind = static_cast<int32_t>(&charge - faultPage()->charges) + 1;
  __atomic_store_n(&faultPage()->armed, behind < faultPage()->count ? behind + 1 : 0, __ATOMIC_RELEASE);
}

void die() {
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

FaultCharge* stepping = nullptr;
int32_t steps_left = 0;

// Comes after the int3 below and then after each instruction: the flag that asks for that is set in
// the state to which the worker returns.
void onStep(int, siginfo_t*, void* context) {
  if (steps_left-- <= 0) {
    note(*stepping);
    die();
  }
#ifdef __x86_64__
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] |= 0x100;  // the trap flag
#endif
}

void goOnStepByStep(FaultCharge& charge) {
  stepping = &charge;
  steps_left = charge.steps;
  struct sigaction action = {};
  action.sa_sigaction = onStep;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigaction(SIGTRAP, &action, nullptr);
#ifdef __x86_64__
  asm volatile("int3" ::: "memory");
#else
  note(charge);  // no such flag is known here
  die();
#endif
}

}  // namespace

FaultPage* faultPage() {
  static FaultPage* const found = findPage();
  return found;
}

void poisonPoint(const char* place, const uint8_t* bytes, int32_t count) {
  static const bool is_wanted = getenv("BATON_FAULTS") != nullptr;
  char text[64];
  const auto size = static_cast<size_t>(count);
  const auto has = [&](const char* form) {
    const int length = snprintf(text, sizeof text, form, place);
    return memmem(bytes, size, text, static_cast<size_t>(length)) != nullptr;
  };
  if (!is_wanted) return;
  if (has("poison:kill-%s")) syscall(SYS_kill, getpid(), SIGKILL);
  if (has("poison:%s")) *const_cast<volatile int*>(static_cast<int*>(nullptr)) = 1;
}

void faultPoint(FaultName name) {
  if (faultPage() == nullptr) return;
  __atomic_fetch_add(&faultPage()->reaches[name], 1, __ATOMIC_RELAXED);
  const int32_t armed = __atomic_load_n(&faultPage()->armed, __ATOMIC_ACQUIRE);
  if (armed == 0) return;
  FaultCharge& charge = faultPage()->charges[armed - 1];
  if (charge.name != name || __atomic_sub_fetch(&charge.to_go, 1, __ATOMIC_ACQ_REL) != 0) return;
  if (charge.action == kFaultTrap) {
    __atomic_store_n(&faultPage()->armed, 0, __ATOMIC_RELEASE);
    return goOnStepByStep(charge);
  }
  note(charge);
  if (charge.action == kFaultKill) die();
  if (charge.action == kFaultCrash) *const_cast<volatile int*>(static_cast<int*>(nullptr)) = 1;
}

}  // namespace baton
#endif
