// Sections of keeper.cc: keepers of workers that are big, have no rights, are limited, get signals.
#pragma once
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "keeper-stage.h"

namespace place {

using baton::probeKeeper;
using baton::startKeeper;
using stage::Fetched;
using stage::kFirst;
using stage::Lane;
using stage::openNumbers;
using stage::Peers;
using stage::waitFor;
using stage::Worker;
using test::Dice;

// A worker with a big heap, a big shared mapping, pages that the kernel will not unmap, and threads
// that go on mapping while the keeper is made.
inline void memory(Dice&) {
  constexpr size_t kHeap = 128 << 20, kShared = size_t{1} << 30, kTouched = 64 << 20;
  Lane lane;
  Peers peers(10);
  const auto fill = [&] {
    const int both = PROT_READ | PROT_WRITE, mine = MAP_PRIVATE | MAP_ANONYMOUS;
    auto* heap = static_cast<char*>(mmap(nullptr, kHeap, both, mine, -1, 0));
    memset(heap, 1, kHeap);
    memset(mmap(nullptr, kShared, both, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), 1,
           kTouched);
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    for (size_t at = 0; at < kHeap; at += kHeap / 7 / page * page) {
      const long sealed = syscall(462 /* mseal */, heap + at, page, 0);
      CHECK(sealed == 0 || errno == ENOSYS, "mseal: %s", strerror(errno));
    }
    for (int i = 0; i < 3; ++i) {
      pthread_t thread;
      pthread_create(&thread, nullptr, stage::mapForEver, nullptr);
    }
  };
  Worker worker(lane, 1, peers, {.first = fill});
  lane.name(worker);
  const auto look = [&](const char* when) {
    const long kb = stage::residentKb(worker.keeper()), mapped = stage::mappedKb(worker.keeper());
    CHECK(kb > 0 && kb < 1000, "%s: %ld kB resident", when, kb);
    CHECK(mapped < 20'000, "%s: %ld kB mapped", when, mapped);
    CHECK(Fetched(lane, kFirst, 10).result() == 10, "%s: it does not answer", when);
  };
  waitFor("memory to be given back", [&] { return stage::mappedKb(worker.keeper()) < 20'000; });
  look("beside its worker");
  worker.kill();
  look("alone");
  const std::string title = stage::titleOf(worker.keeper());
  CHECK(title == "baton: keeper of lane 12", "its title is \"%s\"", title.c_str());
}

inline void onSignal(int) { syscall(SYS_exit_group, 99); }

// Signals to the group, as from a terminal or a service manager, are not for keepers.
inline void signals(Dice&) {
  Lane lane;
  Peers peers(10);
  const auto listen = [] {
    setpgid(0, 0);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) ::signal(signal, onSignal);
  };
  Worker worker(lane, 1, peers, {.first = listen});
  lane.name(worker);
  for (const int signal : {SIGHUP, SIGINT, SIGUSR2, SIGTERM, SIGQUIT, SIGSEGV}) {
    ::kill(worker.keeper(), signal);
  }
  ::kill(-worker.pid(), SIGTERM);
  CHECK(worker.awaitEnd() == 99 << 8, "the worker's handler ran");
  CHECK(Fetched(lane, kFirst, 10).result() == 10, "the keeper answers");
  CHECK(worker.isKeeperAlive(), "and lives");
}

// RLIMIT_NOFILE of the claimant: an error, and nothing of a refused batch stays open.
inline void fewNumbers(Dice&) {
  Lane lane;
  Peers peers(300);
  Worker worker(lane, 1, peers, {});
  lane.name(worker);
  const pid_t claimant = stage::forkBound();
  if (claimant == 0) {
    const std::set<int> before = openNumbers(getpid());
    const rlimit few = {static_cast<rlim_t>(*before.rbegin()) + 20, 20'000};
    setrlimit(RLIMIT_NOFILE, &few);
    stage::fillHoles(before);
    const std::set<int> full = openNumbers(getpid());
    const int result = Fetched(lane, kFirst, 300).result();
    CHECK(result == -EMSGSIZE, "fetched %d", result);
    stage::raiseLimit();
    CHECK(openNumbers(getpid()) == full, "numbers are left over");
    CHECK(Fetched(lane, kFirst, 300).result() == 300, "with more room");
    _exit(0);
  }
  int status = -1;
  waitpid(claimant, &status, 0);
  CHECK(status == 0, "the claimant ended with %x", status);
}

// Everything as a user without rights, for whom the kernel counts descriptors on their way.
inline void nobody(Dice&) {
  if (getuid() != 0) {
    CHECK(probeKeeper() == 0, "the whole test runs without rights");
    return;
  }
  Lane lane;
  Peers peers(1500);
  Worker worker(lane, 1, peers, {.first = [] {
                  const rlimit few = {6000, 6000};
                  CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0, "setrlimit: %s", strerror(errno));
                  CHECK(setgid(65534) == 0 && setuid(65534) == 0, "setuid: %s", strerror(errno));
                  stage::dieWithParent();  // forgotten with the rights
                }});
  lane.name(worker);
  std::vector<int32_t> numbers(253);
  for (int32_t i = 0; i < 253; ++i) numbers[i] = kFirst + i;
  // Replies to the dead, until the kernel allows no more of them.
  for (int32_t i = 0; i < 40; ++i) lane.ask(numbers.data(), 253, 60'000'000);
  Fetched fetched(lane, kFirst, 1500);
  CHECK(fetched.result() == 1500, "fetched %d", fetched.result());
  fetched.checkAgainst(peers);
  worker.kill();
  CHECK(Fetched(lane, kFirst, 1500).result() == 1500, "from the orphan");
}

// Where clone is forbidden, as in some containers, there is an error, and nothing else.
inline void forbidden(Dice&) {
  Lane lane;
  const pid_t worker = stage::forkBound();
  if (worker == 0) {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program = {4, filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "prctl: %s", strerror(errno));
    const std::set<int> before = openNumbers(getpid());
    CHECK(probeKeeper() == -EPERM, "probeKeeper: %d", probeKeeper());
    const int keeper = startKeeper(lane.order(1, getpid(), -1, 1000));
    CHECK(keeper == -EPERM, "startKeeper: %d", keeper);
    CHECK(openNumbers(getpid()) == before, "numbers are left over");
    _exit(0);
  }
  int status = -1;
  waitpid(worker, &status, 0);
  CHECK(status == 0, "the worker ended with %x", status);
}

}  // namespace place
