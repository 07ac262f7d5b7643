// Chains in journalled rows: after a roll back they hold, byte by byte, what they held at the last
// commit, although the turn gave units back, took others and moved whole nodes between rows. Also
// when the owner is killed anywhere in a turn.
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include <string>
#include <vector>

#include "chain.h"
#include "journal.h"
#include "lane-memory.h"

namespace {

using baton::Chain;
using baton::ChainStore;
using std::string;
using test::Dice;
using test::LaneMemory;
using test::dataOf;
using test::sizeOf;

constexpr int32_t kSessions = 6, kLinks = 3, kRequests = 12;
constexpr int32_t kChains = 2 * kSessions + 2 * kLinks + kRequests;
constexpr int32_t kChainMax = 120'000;  // bytes a chain is let grow to
constexpr int32_t kLane = 2;

struct Extent {
  baton::LaneHead head;
  baton::Session session[kSessions];
  baton::Link link[kLinks];
  baton::Request request[kRequests];
  uint8_t journal[16 * 1024];
};

// A lane, and what its chains must hold: now, and at the last commit.
class World {
 public:
  explicit World(LaneMemory& memory)
      : memory_(memory), extent_(*reinterpret_cast<Extent*>(memory.extent())) {
    extent_.head.turn = 1;
    recover();
  }

  // Turns sealed; kept in a row like everything else.
  uint64_t sealed() const { return *const_cast<volatile uint64_t*>(&extent_.session[0].tx); }

  // Some operations on rows and strings alike. False when memory ran out: the turn cannot be sealed.
  bool turn(uint64_t seed) {
    Dice dice(seed);
    ++journal_.touch(extent_.session[0]).tx;
    bool whole = true;
    for (int32_t left = dice.between(1, 8); left > 0 && whole; --left) whole = operation(dice, true);
    return whole;
  }

  // The same, on the strings only.
  void foresee(uint64_t seed) {
    Dice dice(seed);
    for (int32_t left = dice.between(1, 8); left > 0; --left) operation(dice, false);
    committed_ = texts_;
  }

  void commit() {
    journal_.commit();
    committed_ = texts_;
    store_->nodes.settle();
    store_->chunks.settle();
    checkUnits();
  }

  // A new owner: undoes the open turn, frees what no row leads to, and goes on.
  void recover() {
    journal_.attach(&extent_.head, extent_.journal, memory_.extent(), sizeof extent_.journal);
    journal_.rollBack();
    store_ = std::make_unique<ChainStore>();
    memory_.attach(*store_, kLane);
    const Marks marks = mark();
    rebuild(memory_.nodeBatches(), memory_.nodeBatchCount(), marks.nodes);
    rebuild(memory_.chunkBatches(), memory_.chunkBatchCount(), marks.chunks);
    store_ = std::make_unique<ChainStore>();
    memory_.attach(*store_, kLane);
    texts_ = committed_;
    checkUnits();
  }

  void check() {
    for (int32_t i = 0; i < kChains; ++i) {
      const string& text = texts_[static_cast<size_t>(i)];
      const Chain& chain = chainOf(i);
      CHECK(chain.bytes == sizeOf(text), "chain %d: %d of %zu bytes", i, chain.bytes, text.size());
      CHECK(test::textOf(*store_, chain) == text, "chain %d of %zu bytes", i, text.size());
    }
  }

  void clearAll() {
    for (int32_t i = 0; i < kChains; ++i) {
      store_->clear(touched(i));
      texts_[static_cast<size_t>(i)].clear();
    }
    commit();
    CHECK(store_->nodes.used() == 0 && store_->chunks.used() == 0, "%d nodes, %d chunks left",
          store_->nodes.used(), store_->chunks.used());
  }

 private:
  struct Marks {
    std::vector<bool> nodes, chunks;
  };

  Chain& chainOf(int32_t i) {
    const bool is_in = i % 2 == 0;
    if (i < 2 * kSessions) {
      baton::Session& session = extent_.session[i / 2];
      return is_in ? inOf(session) : outOf(session);
    }
    i -= 2 * kSessions;
    if (i >= 2 * kLinks) return heldOf(extent_.request[i - 2 * kLinks]);
    baton::Link& link = extent_.link[i / 2];
    return is_in ? inOf(link) : outOf(link);
  }

  Chain& touched(int32_t i) {
    if (i < 2 * kSessions) journal_.touch(extent_.session[i / 2]);
    else if (i < 2 * (kSessions + kLinks)) journal_.touch(extent_.link[i / 2 - kSessions]);
    else journal_.touch(extent_.request[i - 2 * (kSessions + kLinks)]);
    return chainOf(i);
  }

  // What happens follows from the dice and the strings' lengths alone.
  bool operation(Dice& dice, bool real) {
    const int32_t to = dice.below(kChains);
    const int32_t from = (to + 1 + dice.below(kChains - 1)) % kChains;
    string& text = texts_[static_cast<size_t>(to)];
    string& other = texts_[static_cast<size_t>(from)];
    const int32_t room = kChainMax - sizeOf(text);
    switch (dice.below(9)) {
      case 0: case 1: case 2: case 3: {
        const string more = test::streamBytes(dice, test::streamLength(dice, room));
        text += more;
        return !real || store_->append(touched(to), dataOf(more), sizeOf(more));
      }
      case 4: {
        if (sizeOf(other) > room) return true;
        text += other;
        other.clear();
        return !real || store_->appendChain(touched(to), touched(from));
      }
      case 5: {
        const int32_t offset = dice.below(sizeOf(other) + 1);
        const int32_t count = test::streamLength(dice, std::min(sizeOf(other) - offset, room));
        text += other.substr(static_cast<size_t>(offset), static_cast<size_t>(count));
        return !real || store_->appendPart(touched(to), chainOf(from), offset, count);
      }
      default: {
        const bool all = dice.oneIn(4);
        const int32_t size = sizeOf(text);
        const int32_t count = all ? size : test::streamLength(dice, size);
        text.erase(0, static_cast<size_t>(count));
        if (real) store_->consume(touched(to), count);
        return true;
      }
    }
  }

  Marks mark() {
    Marks marks = {std::vector<bool>(static_cast<size_t>(store_->nodes.capacity())),
                   std::vector<bool>(static_cast<size_t>(store_->chunks.capacity()))};
    for (int32_t i = 0; i < kChains; ++i) store_->mark(chainOf(i), marks.nodes, marks.chunks);
    return marks;
  }

  void checkUnits() {
    const Marks marks = mark();
    CHECK(store_->nodes.compare(marks.nodes) == 0, "%d nodes", store_->nodes.compare(marks.nodes));
    CHECK(store_->chunks.compare(marks.chunks) == 0, "%d chunks", store_->chunks.compare(marks.chunks));
  }

  static void rebuild(baton::Batch* batches, int32_t count, const std::vector<bool>& marks) {
    for (int32_t i = 0; i < count; ++i) {
      if (batches[i].owner != kLane + 1) continue;
      batches[i].free = 0;
      for (int32_t bit = i == 0 ? 1 : 0; bit < baton::UnitPool::kBatchUnits; ++bit) {
        const auto unit = static_cast<size_t>(i * baton::UnitPool::kBatchUnits + bit);
        if (!marks[unit]) batches[i].free |= uint64_t{1} << bit;
      }
    }
  }

  LaneMemory& memory_;
  Extent& extent_;
  baton::Journal journal_;
  std::unique_ptr<ChainStore> store_;
  std::vector<string> texts_ = std::vector<string>(kChains);
  std::vector<string> committed_ = std::vector<string>(kChains);
};

void rollBacks(Dice& dice) {
  LaneMemory memory(8, 64, 1e9, sizeof(Extent));
  World world(memory);
  for (int32_t i = 0; i < 700; ++i) {
    CHECK(world.turn(dice.bits()), "room for all");
    if (dice.oneIn(2)) {
      world.commit();
    } else {
      world.recover();
      world.check();
    }
  }
  world.check();
  world.clearAll();
}

// Memory runs out in the middle of operations; what a turn could not finish is undone.
void scarce(Dice& dice) {
  LaneMemory memory(2, 64, test::kNodeBatchBytes + 3 * test::kChunkBatchBytes, sizeof(Extent));
  World world(memory);
  int32_t failed = 0;
  for (int32_t i = 0; i < 700; ++i) {
    if (world.turn(dice.bits())) {
      world.commit();
      continue;
    }
    ++failed;
    world.recover();
    world.check();
    if (failed % 20 == 0) world.clearAll();
  }
  CHECK(failed > 0, "memory never ran out");
  world.clearAll();
}

uint64_t seedOf(uint64_t game, uint64_t turn) { return Dice(game + turn * 0x9e3779b97f4a7c15).bits(); }

// Runs in a process of its own until it is killed.
[[noreturn]] void serve(World& world, uint64_t game) {
  for (;;) {
    CHECK(world.turn(seedOf(game, world.sealed())), "room for all");
    world.commit();
  }
}

void killAfter(Dice& dice, pid_t child, int32_t most) {
  for (int32_t left = dice.below(most); left > 0; --left) asm volatile("");
  CHECK(kill(child, SIGKILL) == 0, "kill");
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child, "wait");
  const bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  CHECK(is_killed || status == 0, "the child ended with %x", status);
}

// Real deaths, at any instruction: in a turn, and in the next owner's recovery.
void killed(Dice& dice) {
  LaneMemory memory(8, 64, 1e9, sizeof(Extent));
  World world(memory);
  const uint64_t game = dice.bits();
  uint64_t sealed = 0;
  for (int32_t i = 0; i < 80; ++i) {
    const pid_t owner = fork();
    CHECK(owner >= 0, "fork");
    if (owner == 0) serve(world, game);
    const uint64_t aim = sealed + static_cast<uint64_t>(dice.below(12));
    while (world.sealed() < aim && waitpid(owner, nullptr, WNOHANG) == 0) sched_yield();
    killAfter(dice, owner, 1'000'000);
    if (dice.oneIn(2)) {
      const pid_t next = fork();
      CHECK(next >= 0, "fork");
      if (next == 0) {
        world.recover();
        _Exit(0);
      }
      killAfter(dice, next, 3'000'000);
    }
    world.recover();
    CHECK(world.sealed() >= sealed, "turn %lu", world.sealed());
    for (; sealed < world.sealed(); ++sealed) world.foresee(seedOf(game, sealed));
    world.recover();
    world.check();
  }
  CHECK(sealed > 100, "%lu turns", sealed);
  world.clearAll();
}

}  // namespace

int main(int argc, char** argv) {
  return test::play(argc, argv, {{"roll-backs", rollBacks}, {"scarce", scarce}, {"killed", killed}});
}
