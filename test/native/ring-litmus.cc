// Lost wake-ups, if there are any: two lanes send to a third with pauses at random, everybody sleeps
// whenever there is nothing to do, and nobody wakes but by the doorbell. Owners are threads here or
// processes (BATON_THREADS), for tools that see one process only.
//
//   program MESSAGES SEED       "<n> checks" when every message came; 1 when one was lost or stuck
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <thread>

#include "check.h"
#include "ring-stage.h"

#ifdef BATON_THREADS
// Lanes look at batches of others without an order, and take what they see for a hint: not the
// matter here.
extern "C" const char* __tsan_default_suppressions() { return "race:baton::UnitPool\n"; }
#endif

namespace {

using test::Dice;
using test::RingOwner;
using test::RingStage;

constexpr int kStuckMs = 10'000;
constexpr int32_t kReceiver = 2;
constexpr int32_t kSenders = 2;

struct Tally {
  uint64_t turns = 0, sleeps = 0, bells = 0;
};

double nowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Mostly none; at times as long as a turn takes, seldom as long as the scheduler takes.
void pauseSometimes(Dice& dice) {
  if (!dice.oneIn(8)) return;
  if (dice.oneIn(500)) {
    usleep(static_cast<useconds_t>(dice.below(300)));
    return;
  }
  const double until = nowNs() + dice.below(dice.oneIn(10) ? 20'000 : 1500);
  while (nowNs() < until) {
  }
}

void sleepOrFail(RingOwner& owner, Tally& tally, int32_t lane) {
  ++tally.sleeps;
  CHECK(owner.sleep(kStuckMs), "lane %d sleeps for ever: a wake-up was lost", lane);
}

int32_t batchOf(Dice& dice) {
  if (dice.oneIn(3)) return 1;
  return dice.oneIn(100) ? 4000 : dice.between(1, 64);
}

void send(RingStage& stage, int32_t lane, uint64_t messages, uint64_t seed, Tally& tally) {
  Dice dice(seed + static_cast<uint64_t>(lane));
  RingOwner owner(stage, lane);
  owner.begin();
  while (owner.sent(kReceiver) < messages || owner.post.ringOf(kReceiver).overflow_bytes > 0) {
    owner.receive();
    const uint64_t left = messages - owner.sent(kReceiver);
    const bool may_send = left > 0 && owner.post.ringOf(kReceiver).overflow_bytes == 0;
    if (may_send) {
      const auto count = std::min(static_cast<uint64_t>(batchOf(dice)), left);
      CHECK(owner.send(kReceiver, static_cast<int32_t>(count)), "no memory");
    }
    owner.seal();
    ++tally.turns;
    // What waits in an overflow moves only when the receiver rings.
    if (owner.post.ringOf(kReceiver).overflow_bytes > 0) sleepOrFail(owner, tally, lane);
    pauseSometimes(dice);
  }
  tally.bells = owner.post.bellsRung();
}

void receive(RingStage& stage, uint64_t messages, uint64_t seed, Tally& tally) {
  Dice dice(seed + kReceiver);
  RingOwner owner(stage, kReceiver);
  owner.begin();
  for (uint64_t taken = 0; taken < kSenders * messages;) {
    const int32_t count = owner.receive();
    taken += static_cast<uint64_t>(count);
    owner.seal();
    ++tally.turns;
    if (count == 0 || dice.oneIn(4)) {
      if (taken < kSenders * messages) sleepOrFail(owner, tally, kReceiver);
    }
    pauseSometimes(dice);
  }
  tally.bells = owner.post.bellsRung();
}

void run(RingStage& stage, int32_t lane, uint64_t messages, uint64_t seed, Tally& tally) {
  if (lane == kReceiver)
    receive(stage, messages, seed, tally);
  else
    send(stage, lane, messages, seed, tally);
}

#ifdef BATON_THREADS
void runAll(RingStage& stage, uint64_t messages, uint64_t seed, Tally* tallies) {
  std::thread threads[test::kStageLanes];
  for (int32_t lane = 0; lane < test::kStageLanes; ++lane) {
    threads[lane] = std::thread([&, lane] { run(stage, lane, messages, seed, tallies[lane]); });
  }
  for (std::thread& each : threads) each.join();
}
#else
void runAll(RingStage& stage, uint64_t messages, uint64_t seed, Tally* tallies) {
  for (int32_t lane = 0; lane < test::kStageLanes; ++lane) {
    const pid_t pid = fork();
    CHECK(pid >= 0, "fork: %d", errno);
    if (pid > 0) continue;
    run(stage, lane, messages, seed, tallies[lane]);
    _exit(0);
  }
  for (int32_t left = test::kStageLanes; left > 0; --left) {
    int status = 0;
    CHECK(wait(&status) > 0 && status == 0, "an owner ended with %x", status);
  }
}
#endif

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const uint64_t messages = strtoull(argv[1], nullptr, 10) / kSenders;
  void* shared = mmap(nullptr, sizeof(Tally) * test::kStageLanes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED, "mmap");
  auto* tallies = new (shared) Tally[test::kStageLanes];
  RingStage stage(0, 64 << 20);
  const double began = nowNs();
  runAll(stage, messages, strtoull(argv[2], nullptr, 10), tallies);
  const double seconds = (nowNs() - began) / 1e9;
  for (int32_t sender = 0; sender < kSenders; ++sender) {
    const uint64_t taken = stage.extent(kReceiver).known[sender].rx;
    CHECK(taken == messages, "%llu of lane %d", static_cast<unsigned long long>(taken), sender);
  }
  printf("%llu messages in %.1f s: 0 lost, 0 stuck; receiver: %llu turns, slept %llu times\n",
         static_cast<unsigned long long>(kSenders * messages), seconds,
         static_cast<unsigned long long>(tallies[kReceiver].turns),
         static_cast<unsigned long long>(tallies[kReceiver].sleeps));
  printf("senders: slept %llu times for room, rang %llu times\n",
         static_cast<unsigned long long>(tallies[0].sleeps + tallies[1].sleeps),
         static_cast<unsigned long long>(tallies[0].bells + tallies[1].bells));
  printf("%llu checks\n", static_cast<unsigned long long>(kSenders * messages));
  return 0;
}
