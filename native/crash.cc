// Everything behind onFatal must be safe in a signal handler: no memory is allocated, no lock taken
// but the loader's, for names of functions. Should that hang, SIGALRM ends the process.
#include "crash.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "lane-attach.h"
#include "segment.h"

namespace baton {

namespace {

constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
constexpr int32_t kReportsPerHour = 10;
constexpr unsigned kReportSeconds = 5;
constexpr size_t kStackBytes = 128 * 1024;
constexpr int kFrames = 64;

int lane_thread = 0;
int report_directory = -1;
char report_head[256];
char handler_stack[kStackBytes];
// The thread that writes the report. If it faults over that, the process ends at once, for the
// handler blocks all signals.
int32_t reporter = 0;

// V8's own answer to a fault within WebAssembly, where this program has it.
using WasmTrap = bool (*)(int, siginfo_t*, void*);
WasmTrap wasm_trap = nullptr;

int threadId() { return static_cast<int>(syscall(SYS_gettid)); }

// A line put together without a heap.
class Line {
 public:
  Line& text(const char* from) {
    while (*from != '\0' && size_ < sizeof bytes_) bytes_[size_++] = *from++;
    return *this;
  }
  Line& number(uint64_t value, uint64_t base = 10) {
    char digits[20];
    int count = 0;
    do {
      digits[count++] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    while (count > 0 && size_ < sizeof bytes_) bytes_[size_++] = digits[--count];
    return *this;
  }
  Line& hex(const void* at) { return text("0x").number(reinterpret_cast<uintptr_t>(at), 16); }
  Line& field(const char* name, int32_t value) {
    text(name).text(" ");
    if (value < 0) text("-");
    return number(value < 0 ? 0u - static_cast<uint32_t>(value) : static_cast<uint32_t>(value))
        .text("\n");
  }
  void to(int fd) {
    (void)!write(fd, bytes_, size_);
    size_ = 0;
  }
  const char* name() {
    bytes_[size_ < sizeof bytes_ ? size_ : sizeof bytes_ - 1] = '\0';
    return bytes_;
  }

 private:
  char bytes_[512];
  size_t size_ = 0;
};

const char* nameOf(int number) {
  switch (number) {
    case SIGSEGV:
      return "SIGSEGV";
    case SIGBUS:
      return "SIGBUS";
    case SIGFPE:
      return "SIGFPE";
    case SIGILL:
      return "SIGILL";
    default:
      return "SIGABRT";
  }
}

const void* faultPlace(void* context) {
#if defined(__x86_64__)
  const auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  return reinterpret_cast<const void*>(registers[REG_RIP]);
#elif defined(__aarch64__)
  return reinterpret_cast<const void*>(static_cast<ucontext_t*>(context)->uc_mcontext.pc);
#else
  return nullptr;
#endif
}

// A new file of the directory, or standard error; -1: there have been enough of them.
int openReport() {
  if (!mayReport()) return -1;
  if (report_directory < 0) return STDERR_FILENO;
  Line name;
  name.text("worker-").number(static_cast<uint64_t>(getpid())).text(".crash");
  return openat(report_directory, name.name(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

// What the lane's owner was at: numbers only, nothing that clients have sent.
void reportLane(int fd) {
  Line line;
  const LaneHead& head = *lane->head;
  line.field("lane", lane->number).field("turn", head.turn).field("step", head.step);
  line.to(fd);
  line.field("receipts", head.receipts).field("descriptors", head.descriptors);
  line.field("decided", head.decided).field("applied", head.applied);
  line.field("deciding", head.deciding).field("journal bytes", head.journal_used);
  line.to(fd);
  const int32_t at = head.step == kStepApplying ? head.applied : head.deciding;
  if ((head.step == kStepApplying || head.step == kStepDeciding) && at >= 0 &&
      at < lane->sizes.descriptors) {
    const Descriptor& row = lane->descriptors[at];
    line.field("current descriptor: kind", row.kind).field("session or link", row.row);
    line.field("command", row.command).field("arguments", row.argc).field("bytes", row.bytes);
    line.to(fd);
  }
  if (head.step == kStepFraming && head.receipts > 0 && head.receipts <= lane->sizes.receipts) {
    const Receipt& row = lane->receipts[head.receipts - 1];
    line.field("current receipt: session, or 2^30 + link", row.row).field("kept", row.kept);
    line.field("got", row.got).field("used", row.used);
    line.to(fd);
  }
}

void report(int fd, int number, const siginfo_t* info, void* context) {
  Line line;
  line.text(report_head).text("\nsignal ").text(nameOf(number));
  line.text(", code ").number(static_cast<uint64_t>(static_cast<uint32_t>(info->si_code)));
  if (info->si_code > 0) line.text(", address ").hex(info->si_addr);
  if (info->si_code <= 0) line.text(", sent by pid ").number(static_cast<uint64_t>(info->si_pid));
  line.text("\npid ").number(static_cast<uint64_t>(getpid()));
  line.text(", thread ").number(static_cast<uint64_t>(threadId()));
  line.text(threadId() == lane_thread ? " (the lane's)" : " (not the lane's)");
  line.text("\nat ").hex(faultPlace(context)).text("\n").to(fd);
  if (lane != nullptr) reportLane(fd);
  line.text("backtrace\n").to(fd);
  void* frames[kFrames];
  backtrace_symbols_fd(frames, backtrace(frames, kFrames), fd);
}

// From here on the signal has its usual effect, although the handler blocks all.
void restore(int number) {
  signal(number, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, number);
  pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
}

[[noreturn]] void die(int number) {
  restore(number);
  syscall(SYS_tgkill, getpid(), threadId(), number);
  for (;;) pause();
}

void onFatal(int number, siginfo_t* info, void* context) {
  if (number == SIGSEGV && wasm_trap != nullptr && wasm_trap(number, info, context)) return;
  const int32_t me = threadId();
  int32_t nobody = 0;
  if (!__atomic_compare_exchange_n(&reporter, &nobody, me, false, __ATOMIC_ACQ_REL,
                                   __ATOMIC_ACQUIRE))
    for (;;) pause();  // another thread writes the report and ends the process
  if (lane != nullptr && me == lane_thread)
    lane->abandon(kDeathCauseSignal);
  else if (lane != nullptr)
    lane->noteCause(kDeathCauseSignal);
  restore(SIGALRM);
  alarm(kReportSeconds);
  const int fd = openReport();
  if (fd >= 0) report(fd, number, info, context);
  die(number);
}

}  // namespace

bool mayReport() {
  Superblock& instance = *segment.at<Superblock>(0);
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const auto hour = static_cast<int32_t>(now.tv_sec / 3600);
  int32_t seen = __atomic_load_n(&instance.reports_hour, __ATOMIC_ACQUIRE);
  if (seen != hour && __atomic_compare_exchange_n(&instance.reports_hour, &seen, hour, false,
                                                  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    __atomic_store_n(&instance.reports, 0, __ATOMIC_RELEASE);
  return __atomic_fetch_add(&instance.reports, 1, __ATOMIC_ACQ_REL) < kReportsPerHour;
}

void watchCrashes(int directory, const std::string& about) {
  lane_thread = threadId();
  report_directory = directory;
  strncpy(report_head, about.c_str(), sizeof report_head - 1);
#if !defined(__SANITIZE_ADDRESS__)
  // Loads the library that walks stacks; in a handler that would be too late.
  void* frames[kFrames];
  backtrace(frames, kFrames);
  wasm_trap = reinterpret_cast<WasmTrap>(
      dlsym(RTLD_DEFAULT, "_ZN2v829TryHandleWebAssemblyTrapPosixEiP9siginfo_tPv"));
  stack_t stack = {};
  stack.ss_sp = handler_stack;
  stack.ss_size = sizeof handler_stack;
  sigaltstack(&stack, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = onFatal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigfillset(&action.sa_mask);
  for (const int fatal : kFatal) sigaction(fatal, &action, nullptr);
#endif
}

}  // namespace baton
