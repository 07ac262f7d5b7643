// Rings across processes: three lanes, each with an owner that is killed at random, between any two
// instructions, and replaced. Every message arrives once and in order; nobody sleeps over one, for
// no owner here wakes by itself.
//
//   program SECTION SEED [MESSAGES]        messages from each lane to each other one
#include <signal.h>
#include <sys/wait.h>
#include <ucontext.h>

#include <cerrno>
#include <ctime>

#include "check.h"
#include "ring-stage.h"

namespace {

using test::Dice;
using test::kStageLanes;
using test::RingOwner;
using test::RingStage;

constexpr int kStuckMs = 20'000;  // nobody has rung for so long: a wake-up was lost
constexpr int kFinished = 0, kFailed = 1, kGiven = 3;
constexpr int32_t kStepsMax = 4000;

uint64_t messages = 20'000;

int32_t steps_left = 0;

[[noreturn]] void die() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

void onStep(int, siginfo_t*, void* context) {
  if (steps_left-- <= 0) die();
#ifdef __x86_64__
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] |= 0x100;  // the trap flag
#endif
}

// Goes on for so many single instructions and dies there. Elsewhere it dies here and now.
void dieAfter(int32_t steps) {
  steps_left = steps;
  struct sigaction action = {};
  action.sa_sigaction = onStep;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigaction(SIGTRAP, &action, nullptr);
#ifdef __x86_64__
  asm volatile("int3" ::: "memory");
#else
  die();
#endif
}

bool isDone(const RingOwner& owner, int32_t lane) {
  for (int32_t other = 0; other < kStageLanes; ++other) {
    if (other == lane) continue;
    if (owner.sent(other) < messages || owner.taken(other) < messages) return false;
    if (owner.post.ringOf(other).overflow_bytes > 0) return false;
  }
  return true;
}

// Whether it could send without anybody having done anything: who waits for memory is not rung.
bool hasMore(const RingOwner& owner, int32_t lane) {
  for (int32_t to = 0; to < kStageLanes; ++to) {
    if (to != lane && owner.sent(to) < messages && !owner.post.isCongested(to)) return true;
  }
  return false;
}

void sendSome(Dice& dice, RingOwner& owner, int32_t lane) {
  for (int32_t to = 0; to < kStageLanes; ++to) {
    if (to == lane || dice.oneIn(3) || owner.post.isCongested(to)) continue;
    const int32_t most = dice.oneIn(20) ? 5000 : 60;
    owner.send(to, static_cast<int32_t>(std::min<uint64_t>(static_cast<uint64_t>(dice.below(most)),
                                                           messages - owner.sent(to))));
    const int32_t bytes = dice.oneIn(40) ? 200'000 : dice.oneIn(4) ? 6000 : 200;
    if (dice.oneIn(3)) owner.sendBytes(to, dice.below(bytes), dice.oneIn(2));
  }
}

// One owner's life: turns until all is sent and taken, or until it gives the lane away or dies.
[[noreturn]] void own(RingStage& stage, int32_t lane, uint64_t seed, bool may_die) {
  Dice dice(seed);
  RingOwner owner(stage, lane);
  const int32_t fatal = may_die ? dice.below(12) : -1;
  const int32_t steps = dice.oneIn(3) ? dice.below(60) : dice.below(kStepsMax);
  if (fatal == 0) dieAfter(steps);  // as it begins
  owner.begin();
  for (int32_t turn = 1;; ++turn) {
    if (turn == fatal) dieAfter(steps);
    owner.receive();
    sendSome(dice, owner, lane);
    owner.seal();
    if (isDone(owner, lane)) _exit(kFinished);
    if (may_die && dice.oneIn(200)) _exit(kGiven);
    if (hasMore(owner, lane)) {
      if (dice.oneIn(4)) owner.sleep(1);
    } else if (!owner.sleep(kStuckMs)) {
      fprintf(stderr, "lane %d: not rung for %d ms\n", lane, kStuckMs);
      _exit(kFailed);
    }
  }
}

struct Crowd {
  RingStage& stage;
  Dice& dice;
  pid_t pids[kStageLanes] = {};
  int32_t deaths = 0, given = 0;

  bool areDying() const {
    uint64_t taken = 0;
    for (int32_t lane = 0; lane < kStageLanes; ++lane) {
      for (const baton::Session& known : stage.extent(lane).known) taken += known.rx;
    }
    return taken < messages * 4;  // two thirds of all: the rest is to flow undisturbed
  }

  void start(int32_t lane) {
    const uint64_t seed = dice.bits();
    const bool may_die = areDying();
    pids[lane] = fork();
    CHECK(pids[lane] >= 0, "fork: %d", errno);
    if (pids[lane] == 0) own(stage, lane, seed, may_die);
  }

  // A new owner for every lane that lost its own, until all have finished. One that has finished is
  // needed again while others are behind: it takes what comes, and makes room.
  void run() {
    for (int32_t lane = 0; lane < kStageLanes; ++lane) start(lane);
    for (int32_t running = kStageLanes; running > 0;) {
      int status = 0;
      const pid_t pid = waitpid(-1, &status, 0);
      const int32_t lane = laneOf(pid);
      if (lane < 0) continue;
      const bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
      const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      const bool is_fine = is_killed || code == kFinished || code == kGiven;
      if (!is_fine) endAll();
      CHECK(is_fine, "an owner of lane %d: status %x", lane, status);
      pids[lane] = 0;
      deaths += is_killed ? 1 : 0;
      given += code == kGiven ? 1 : 0;
      if (code == kFinished) --running;
      else start(lane);
    }
  }

  int32_t laneOf(pid_t pid) const {
    for (int32_t lane = 0; lane < kStageLanes; ++lane) {
      if (pids[lane] == pid) return lane;
    }
    return -1;
  }

  void endAll() {
    for (const pid_t pid : pids) {
      if (pid > 0) kill(pid, SIGKILL);
    }
  }
};

void play(Dice& dice, uint64_t from, double pool_bytes) {
  RingStage stage(from, pool_bytes);
  Crowd crowd{stage, dice};
  crowd.run();
  for (int32_t lane = 0; lane < kStageLanes; ++lane) {
    RingOwner owner(stage, lane);
    owner.begin();
    owner.seal();
    owner.check();
    for (int32_t other = 0; other < kStageLanes; ++other) {
      if (other == lane) continue;
      CHECK(owner.taken(other) == messages, "lane %d took %d of lane %d", lane,
            static_cast<int>(owner.taken(other)), other);
    }
  }
  CHECK(crowd.deaths > 20, "%d deaths", crowd.deaths);
  printf("%d deaths, %d given\n", crowd.deaths, crowd.given);
}

void deaths(Dice& dice) { play(dice, 0, 64 << 20); }

void wraps(Dice& dice) {
  play(dice, (uint64_t{1} << 31) - messages / 2, 64 << 20);
  play(dice, (uint64_t{1} << 32) - messages / 2, 64 << 20);
}

// Messages are refused, and sent later.
void littleMemory(Dice& dice) {
  play(dice, 0, 4 * (test::kNodeBatchBytes + test::kChunkBatchBytes));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4) messages = strtoull(argv[3], nullptr, 10);
  return test::play(argc == 4 ? 3 : argc, argv, {
      {"deaths", deaths}, {"wraps", wraps}, {"little-memory", littleMemory},
  });
}
