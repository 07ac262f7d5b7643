// native/keeper.h and native/fd-pass.h with real processes: workers that are killed, keepers that
// outlive them, claimants that take over or die half-way.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "check.h"
#include "keeper-place.h"
#include "keeper-stage.h"

namespace {

using baton::fetchDescriptors;
using baton::probeKeeper;
using baton::startKeeper;
using baton::stopKeeper;
using stage::Fetched;
using stage::kFirst;
using stage::Lane;
using stage::openNumbers;
using stage::Peers;
using stage::waitFor;
using stage::Worker;
using test::Dice;

void workerKilled(Dice& dice) {
  for (const int32_t sockets : {1, 253, 2000}) {
    Lane lane;
    Peers peers(sockets);
    int log[2];  // below the lane's numbers: what a worker has besides
    CHECK(pipe2(log, O_CLOEXEC | O_NONBLOCK) == 0, "pipe2: %s", strerror(errno));
    Worker worker(lane, 3, peers, {.stays_open = log[1]});
    close(log[1]);
    peers.closeNear();
    lane.name(worker);
    worker.kill();
    const char end = waitFor("the end of a pipe to the dead worker", [&] {
      char byte;
      return read(log[0], &byte, 1) == 0;
    });
    CHECK(end, "a pipe stays open");
    CHECK(peers.hungUp() == 0, "%d sockets of %d were closed", peers.hungUp(), sockets);
    CHECK(worker.isKeeperAlive(), "the keeper has ended");
    std::set<int> left = openNumbers(worker.keeper());
    CHECK(static_cast<int32_t>(left.size()) == sockets + 1,
          "%zu numbers for %d sockets and the pair", left.size(), sockets);
    Fetched fetched(lane, kFirst, sockets);
    CHECK(fetched.result() == sockets, "fetched %d", fetched.result());
    fetched.checkAgainst(peers);
    const int32_t one = dice.below(sockets);
    peers.checkTalk(one, fetched.fd(kFirst + one));
    lane.nameNobody();
    CHECK(worker.keeperStatus() == 0, "the keeper's end: %d", worker.keeperStatus());
    CHECK(peers.hungUp() == 0, "%d sockets went with the keeper", peers.hungUp());
    fetched.closeAll();
    CHECK(peers.hungUp() == sockets, "%d of %d closed at last", peers.hungUp(), sockets);
    close(log[0]);
  }
}

// Batches around the kernel's limit, any order, with numbers that are not open among them.
void closedNumbers(Dice& dice) {
  Lane lane;
  Peers peers(2000);
  std::set<int32_t> closed;
  for (int32_t i = 0; i < 700; ++i) closed.insert(kFirst + dice.below(peers.count()));
  Worker worker(lane, 5, peers, {.then = [&](Worker::Inside&) {
                  for (const int32_t number : closed) close(number);
                }});
  lane.name(worker);
  for (const int32_t count : {0, 1, 252, 253, 254, 506, 507, 2000}) {
    std::vector<int32_t> numbers(static_cast<size_t>(count));
    for (int32_t i = 0; i < count; ++i) numbers[i] = kFirst + i;
    for (int32_t i = count - 1; i > 0; --i) std::swap(numbers[i], numbers[dice.below(i + 1)]);
    std::vector<int32_t> expected;
    for (const int32_t number : numbers)
      if (!closed.contains(number)) expected.push_back(number);
    if (count == 507) worker.kill();
    const size_t before = openNumbers(getpid()).size();
    Fetched fetched(lane, numbers);
    CHECK(fetched.result() == static_cast<int>(expected.size()), "%d: fetched %d of %zu", count,
          fetched.result(), expected.size());
    CHECK(fetched.order() == expected, "%d: other numbers, or in another order", count);
    fetched.checkAgainst(peers);
    CHECK(openNumbers(getpid()).size() == before + expected.size(), "more numbers than were taken");
  }
}

// A worker that closes and opens its sockets while they are being fetched.
void busyWorker(Dice& dice) {
  Lane lane;
  Peers peers(600);
  const uint64_t seed = dice.bits();
  Worker worker(lane, 1, peers, {.then = [&](Worker::Inside& inside) {
                  Dice mine(seed);
                  const int spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
                  inside.ready();
                  for (;;) {
                    const int number = kFirst + 300 + mine.below(300);
                    mine.oneIn(2) ? (void)dup3(spare, number, O_CLOEXEC) : (void)close(number);
                  }
                }});
  lane.name(worker);
  for (int32_t round = 0; round < 100; ++round) {
    const size_t before = openNumbers(getpid()).size();
    Fetched fetched(lane, kFirst, 600);
    CHECK(fetched.result() >= 300, "round %d: fetched %d", round, fetched.result());
    for (int32_t i = 0; i < 300; ++i) CHECK(fetched.has(kFirst + i), "%d is missing", i);
    fetched.closeAll();
    CHECK(openNumbers(getpid()).size() == before, "numbers are left over");
  }
}

// Claimants are killed at any point of a transfer; the one after them gets everything, and no more.
void dyingClaimants(Dice& dice) {
  Lane lane;
  Peers peers(1000);
  Worker worker(lane, 2, peers, {});
  lane.name(worker);
  const size_t before = openNumbers(getpid()).size();
  for (int32_t round = 0; round < 60; ++round) {
    if (round == 30) worker.kill();
    const pid_t claimant = stage::forkBound();
    if (claimant == 0) {
      for (;;) Fetched(lane, kFirst, 1000);
    }
    stage::spin(dice.below(8000));
    ::kill(claimant, SIGKILL);
    if (dice.oneIn(2)) waitpid(claimant, nullptr, 0);  // otherwise it dies while the next one asks
    Fetched fetched(lane, kFirst, 1000);
    CHECK(fetched.result() == 1000, "round %d: fetched %d", round, fetched.result());
    fetched.checkAgainst(peers);
    fetched.closeAll();
    waitpid(claimant, nullptr, 0);
    CHECK(openNumbers(getpid()).size() == before, "round %d: numbers are left over", round);
  }
}

// Two at a time take each other's replies, and both get theirs.
void rivals(Dice&) {
  Lane lane;
  Peers peers(600);
  Worker worker(lane, 2, peers, {});
  lane.name(worker);
  std::vector<pid_t> rivals;
  for (int32_t i = 0; i < 2; ++i) {
    rivals.push_back(stage::forkBound());
    if (rivals.back() != 0) continue;
    for (int32_t round = 0; round < 10; ++round) {
      Fetched fetched(lane, kFirst, 600, 20'000);
      CHECK(fetched.result() == 600, "fetched %d", fetched.result());
      fetched.checkAgainst(peers);
    }
    _exit(0);
  }
  for (const pid_t rival : rivals) {
    int status = -1;
    waitpid(rival, &status, 0);
    CHECK(status == 0, "a claimant ended with %x", status);
  }
}

// What nobody reads any more stands in the way of nobody: requests before a keeper has come, and
// replies that their claimants did not live to read.
void fullQueues(Dice&) {
  Lane lane;
  Peers peers(300);
  Worker worker(lane, 2, peers, {});
  const int32_t number = kFirst;
  int32_t left_behind = 0;
  while (lane.ask(&number, 1, 60'000'000)) ++left_behind;
  CHECK(left_behind > 50, "the queue is full after %d requests", left_behind);
  CHECK(Fetched(lane, kFirst, 300, 100).result() == -ETIMEDOUT, "nobody is named");
  lane.name(worker);  // answers them all: most replies find no room either
  waitFor("the requests to be read", [&] { return !lane.isAsked(); });
  Fetched fetched(lane, kFirst, 300);
  CHECK(fetched.result() == 300, "fetched %d", fetched.result());
  fetched.checkAgainst(peers);
  // Stale ones are not answered.
  lane.nameNobody();
  while (lane.ask(&number, 1, 0)) ++left_behind;
  lane.name(worker);
  waitFor("the requests to be read", [&] { return !lane.isAsked(); });
  CHECK(!lane.isAnswered(), "a claimant that gave up is answered");
  CHECK(Fetched(lane, kFirst, 300).result() == 300, "behind stale requests");
  const int32_t nonsense[3] = {-1, 1 << 30, kFirst + 9000};
  CHECK(Fetched(lane, {nonsense, nonsense + 3}).result() == 0, "numbers that cannot be open");
}

// Two workers have different sockets by the same numbers: whoever is named answers, alive or dead.
void rollBack(Dice& dice) {
  Lane lane;
  Peers old_peers(400), new_peers(400);
  Worker before(lane, 7, old_peers, {}), after(lane, 8, new_peers, {});
  bool is_old = true;
  for (int32_t round = 0; round < 200; ++round) {
    if (round == 150) (is_old ? after : before).kill(), (is_old ? before : after).kill();
    if (round < 150 && dice.oneIn(2)) is_old = !is_old;
    if (round == 0 || round < 150) lane.name(is_old ? before : after);
    if (round >= 150)
      CHECK((is_old ? before : after).isKeeperAlive(), "the named keeper has ended");
    Fetched fetched(lane, kFirst, 400);
    CHECK(fetched.result() == 400, "round %d: fetched %d", round, fetched.result());
    fetched.checkAgainst(is_old ? old_peers : new_peers);
  }
  CHECK((is_old ? after : before).keeperStatus() == 0, "the other keeper ends with its worker");
}

// The name changes while a claimant asks: each batch comes from the one or the other as a whole.
void namesInFlight(Dice& dice) {
  Lane lane;
  Peers old_peers(200), new_peers(200);
  Worker before(lane, 7, old_peers, {}), after(lane, 8, new_peers, {});
  lane.name(before);
  const pid_t switcher = stage::forkBound();
  if (switcher == 0) {
    for (bool is_old = false;; is_old = !is_old) {
      lane.name(is_old ? before : after);
      stage::spin(dice.below(400));
    }
  }
  int32_t of_old = 0;
  for (int32_t round = 0; round < 300; ++round) {
    Fetched fetched(lane, kFirst, 200, 20'000);
    CHECK(fetched.result() == 200, "round %d: fetched %d", round, fetched.result());
    const bool is_old = fetched.cookie(kFirst) == old_peers.cookie(0);
    fetched.checkAgainst(is_old ? old_peers : new_peers);
    of_old += is_old;
  }
  CHECK(of_old > 0 && of_old < 300, "%d of 300 from one of two", of_old);
  ::kill(switcher, SIGKILL);
  waitpid(switcher, nullptr, 0);
}

void ends(Dice&) {
  Peers peers(3);
  {
    Lane lane;  // never named
    Worker worker(lane, 1, peers, {});
    worker.kill();
    CHECK(worker.keeperStatus() == 0, "not needed");
  }
  {
    Lane lane;  // another is named after the death
    Worker worker(lane, 1, peers, {});
    lane.name(worker);
    worker.kill();
    CHECK(Fetched(lane, kFirst, 3).result() == 3, "an orphan answers");
    CHECK(worker.isKeeperAlive(), "and stays");
    lane.nameNobody();
    CHECK(worker.keeperStatus() == 0, "until it is no longer named");
  }
  {
    Lane lane;  // nobody claims
    Worker worker(lane, 1, peers, {.orphan_ms = 300});
    lane.name(worker);
    worker.kill();
    const uint64_t killed = stage::nowUs();
    CHECK(Fetched(lane, kFirst, 3).result() == 3, "an orphan answers");
    CHECK(worker.keeperStatus() == 0, "nobody came");
    CHECK(stage::nowUs() - killed >= 300'000, "it had no patience");
  }
  {
    Lane lane;  // nobody could claim
    Worker worker(lane, 1, peers, {});
    lane.name(worker);
    worker.kill();
    CHECK(worker.isKeeperAlive(), "somebody could");
    lane.closeClaimants();
    CHECK(worker.keeperStatus() == 0, "nobody could ask any more");
  }
  peers.closeNear();
  CHECK(peers.hungUp() == 3, "%d of 3 closed at last", peers.hungUp());
}

// A lane's dock: who connects there is answered by the keeper that is named, beside its worker and
// alone, one after the other; silent guests do not keep others out.
void dock(Dice&) {
  Lane lane;
  Peers peers(300);
  const stage::Dock dock;
  Worker named(lane, 1, peers, {.dock = dock.fd()}), other(lane, 2, peers, {.dock = dock.fd()});
  const auto fetch = [&](const char* when, int32_t expected, int timeout_ms = 10'000) {
    const stage::Guest guest(dock);
    Fetched fetched(guest.fd(), stage::row(kFirst, 300), timeout_ms);
    CHECK(fetched.result() == expected, "%s: fetched %d", when, fetched.result());
    fetched.checkAgainst(peers);
  };
  fetch("nobody is named", -ETIMEDOUT, 100);
  lane.name(named);
  fetch("beside its worker", 300);
  CHECK(Fetched(lane, kFirst, 300).result() == 300, "the pair is answered as before");
  const std::set<int> before = openNumbers(named.pid());
  fetch("again", 300);
  waitFor("the guest's number to be closed", [&] { return openNumbers(named.pid()) == before; });
  named.kill();
  fetch("alone", 300);
  {
    const stage::Guest silent(dock);
    fetch("while another is silent", 300);
  }
  lane.name(other);
  CHECK(named.keeperStatus() == 0, "another is named");
  other.kill();
  fetch("from the other one", 300);
}

// While its master lives, a keeper without a worker waits for ever; then for as long as it is told.
void masterLives(Dice&) {
  Lane lane;
  Peers peers(3);
  const pid_t master = stage::forkBound();
  if (master == 0) {
    for (;;) pause();
  }
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, master, 0));
  Worker worker(lane, 1, peers, {.orphan_ms = 100, .master = pidfd});
  lane.name(worker);
  worker.kill();
  poll(nullptr, 0, 400);
  CHECK(worker.isKeeperAlive(), "its master lives");
  const uint64_t used = stage::cpuUs(worker.keeper());
  ::kill(master, SIGKILL);
  const uint64_t killed = stage::nowUs();
  waitpid(master, nullptr, 0);
  CHECK(worker.keeperStatus() == 0, "nobody is left");
  CHECK(stage::nowUs() - killed >= 100'000, "it had no patience");
  CHECK(used < 50'000, "it was busy for %lu us", used);
}

// As many starts as one likes leave no process and no number behind.
void stop(Dice&) {
  Lane lane;
  const std::set<int> before = openNumbers(getpid());
  for (int32_t round = 0; round < 20; ++round) {
    const int keeper = startKeeper(lane.order(1, getpid(), -1, 1000));
    CHECK(keeper > 0, "startKeeper: %s", strerror(-keeper));
    CHECK(openNumbers(getpid()).size() == before.size() + 1, "a number besides the pidfd");
    const int number = dup(0);
    CHECK(openNumbers(keeper).contains(number), "another table");
    close(number);
    stopKeeper(keeper);
    CHECK(::kill(keeper, 0) != 0 && errno == ESRCH, "it is still there");
    CHECK(waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD, "a zombie");
    CHECK(openNumbers(getpid()) == before, "a number is left over");
  }
  stopKeeper(1);  // not one of ours
  CHECK(probeKeeper() == 0, "probeKeeper");
  CHECK(openNumbers(getpid()) == before, "the probe leaves numbers behind");
  CHECK(waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD, "the probe leaves a zombie");
}

// The worker's table has no other number while requests are answered, and none afterwards.
void exactTable(Dice&) {
  Lane lane;
  Peers peers(500);
  Worker worker(lane, 1, peers, {});
  lane.name(worker);
  const std::set<int> before = openNumbers(worker.pid());
  for (int32_t round = 0; round < 50; ++round) {
    Fetched fetched(lane, kFirst, 500);
    CHECK(openNumbers(worker.pid()) == before, "round %d: another number", round);
  }
}

// Whatever was said to it, a keeper that has nothing to do does nothing.
void idle(Dice&) {
  Lane lane;
  Peers peers(10);
  Worker named(lane, 1, peers, {}), other(lane, 2, peers, {});
  const auto look = [&](const char* when) {
    for (const Worker* each : {&named, &other}) {
      const uint64_t before = stage::cpuUs(each->keeper());
      poll(nullptr, 0, 100);
      const uint64_t used = stage::cpuUs(each->keeper()) - before;
      CHECK(used < 10'000, "%s: %lu us in a tenth of a second", when, used);
    }
  };
  lane.name(other);
  lane.name(named);
  CHECK(Fetched(lane, kFirst, 10).result() == 10, "fetched");
  look("named");
  lane.nameNobody();
  const int32_t number = kFirst;
  CHECK(lane.ask(&number, 1, 60'000'000), "no room");
  look("a request is for neither");
  lane.name(named);
  waitFor("the reply", [&] { return lane.isAnswered(); });
  named.kill();
  look("without its worker");
}

// A standby's keeper, whose lane becomes known when its worker has one.
void lateOrder(Dice&) {
  Lane lane;
  Peers peers(300);
  {
    Worker unused(lane, 5, peers, {.then = [](Worker::Inside& inside) {
                    inside.ready();
                    for (;;) pause();
                  }, .is_late = true});
    waitFor("its title", [&] {
      return stage::titleOf(unused.keeper()) == "baton: keeper of a standby";
    });
    lane.name(unused);
    CHECK(Fetched(lane, kFirst, 1, 100).result() == -ETIMEDOUT, "it answers without an order");
    unused.kill();
    CHECK(unused.keeperStatus() == 0, "its end: %d", unused.keeperStatus());
  }
  Worker worker(lane, 6, peers, {.is_late = true});
  lane.name(worker);
  CHECK(Fetched(lane, kFirst, 300).result() == 300, "fetched from one that lives");
  CHECK(stage::titleOf(worker.keeper()) == "baton: keeper of lane 12", "its title");
  worker.kill();
  CHECK(Fetched(lane, kFirst, 300).result() == 300, "fetched from one that is dead");
  lane.nameNobody();
  CHECK(worker.keeperStatus() == 0, "its end: %d", worker.keeperStatus());
}

constexpr test::Section kSections[] = {
    {"worker-killed", workerKilled},
    {"late-order", lateOrder},
    {"closed-numbers", closedNumbers},
    {"busy-worker", busyWorker},
    {"dying-claimants", dyingClaimants},
    {"rivals", rivals},
    {"full-queues", fullQueues},
    {"roll-back", rollBack},
    {"names-in-flight", namesInFlight},
    {"ends", ends},
    {"stop", stop},
    {"exact-table", exactTable},
    {"idle", idle},
    {"memory", place::memory},
    {"signals", place::signals},
    {"few-numbers", place::fewNumbers},
    {"nobody", place::nobody},
    {"forbidden", place::forbidden},
    {"dock", dock},
    {"master-lives", masterLives},
};

}  // namespace

int main(int argc, char** argv) {
  stage::raiseLimit();
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // whoever loses its worker becomes our child
  return test::play(argc, argv, kSections);
}
