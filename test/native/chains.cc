// native/unit-pool and native/chain against std::string, and their bookkeeping against itself.
#include <string>
#include <thread>
#include <vector>

#include "chain-reader.h"
#include "chain.h"
#include "lane-memory.h"
#include "resp-maker.h"

namespace {

using baton::Chain;
using baton::ChainStore;
using std::string;
using test::Dice;
using test::LaneMemory;
using test::sizeOf;

constexpr int32_t kChains = 6;
constexpr int32_t kChainMax = 600'000;  // bytes a chain is let grow to

// One lane's chains, and what they must hold.
class Game {
 public:
  Game(LaneMemory& memory, int32_t lane, uint64_t seed)
      : memory_(memory), lane_(lane), dice_(seed) {
    start();
  }

  int32_t failures() const { return failures_; }
  ChainStore& store() { return *store_; }

  // One random operation.
  void step() {
    const auto at = static_cast<size_t>(dice_.below(kChains));
    Chain& chain = chains_[at];
    string& text = texts_[at];
    switch (dice_.below(11)) {
      case 0: case 1: case 2: return append(chain, text);
      case 3: return appendReserved(chain, text);
      case 4: return appendOther(at);
      case 5: return appendPart(at);
      case 6: case 7: return consume(chain, text, test::streamLength(dice_, chain.bytes));
      case 8: return dice_.oneIn(3) ? consume(chain, text, chain.bytes) : readRange(chain, text);
      case 9: return readPieces(chain, text);
      default: return readRange(chain, text);
    }
  }

  // A turn ends: what was freed becomes space, and nothing leaks or is held twice.
  void settle() {
    store_->nodes.settle();
    store_->chunks.settle();
    std::vector<bool> nodes(static_cast<size_t>(store_->nodes.capacity()));
    std::vector<bool> chunks(static_cast<size_t>(store_->chunks.capacity()));
    int32_t marked_nodes = 0, marked_chunks = 0;
    for (const Chain& chain : chains_) store_->mark(chain, nodes, chunks);
    for (const bool each : nodes) marked_nodes += each ? 1 : 0;
    for (const bool each : chunks) marked_chunks += each ? 1 : 0;
    CHECK(store_->nodes.compare(nodes) == 0, "%d nodes", store_->nodes.compare(nodes));
    CHECK(store_->chunks.compare(chunks) == 0, "%d chunks", store_->chunks.compare(chunks));
    CHECK(store_->nodes.used() == marked_nodes, "%d of %d", store_->nodes.used(), marked_nodes);
    CHECK(store_->chunks.used() == marked_chunks, "%d of %d", store_->chunks.used(), marked_chunks);
    checkFree(store_->nodes, memory_.nodeBatches(), memory_.nodeBatchCount());
    checkFree(store_->chunks, memory_.chunkBatches(), memory_.chunkBatchCount());
  }

  void checkAll() {
    for (size_t i = 0; i < kChains; ++i) {
      CHECK(chains_[i].bytes == sizeOf(texts_[i]), "chain %zu: %d bytes", i, chains_[i].bytes);
      CHECK(test::textOf(*store_, chains_[i]) == texts_[i], "chain %zu of %d", i, chains_[i].bytes);
    }
  }

  // Another process goes on with the lane: all it has is what lies in the memory.
  void start() {
    store_ = std::make_unique<ChainStore>();
    memory_.attach(*store_, lane_);
  }

  void drop() {
    for (size_t i = 0; i < kChains; ++i) consume(chains_[i], texts_[i], chains_[i].bytes);
    settle();
    CHECK(store_->nodes.used() == 0 && store_->chunks.used() == 0, "%d nodes, %d chunks left",
          store_->nodes.used(), store_->chunks.used());
  }

  // The usual round: turns of some operations each.
  void play(int32_t turns) {
    for (int32_t turn = 0; turn < turns; ++turn) {
      for (int32_t left = dice_.between(1, 12); left > 0; --left) step();
      settle();
      if (dice_.oneIn(10)) checkAll();
      if (dice_.oneIn(25)) start();
      if (dice_.oneIn(60)) drop();
    }
    checkAll();
  }

 private:
  void checkFree(const baton::UnitPool& pool, const baton::Batch* batches, int32_t count) {
    const int32_t free = test::freeUnits(batches, count, lane_);
    CHECK(pool.available() == free, "%d of %d", pool.available(), free);
  }

  // Memory ran out: what was there before is there, a part of the new may follow, and can be dropped.
  void failed(Chain& chain, string& text, const string& more) {
    ++failures_;
    const string whole = text + more;
    CHECK(chain.bytes >= sizeOf(text) && chain.bytes < sizeOf(whole), "%d bytes", chain.bytes);
    text = whole.substr(0, static_cast<size_t>(chain.bytes));
    CHECK(test::textOf(*store_, chain) == text, "a part");
    if (dice_.oneIn(2)) consume(chain, text, chain.bytes);
  }

  void append(Chain& chain, string& text) {
    const int32_t room = kChainMax - chain.bytes;
    const string more = test::streamBytes(dice_, test::streamLength(dice_, room));
    if (store_->append(chain, test::dataOf(more), sizeOf(more))) text += more; else failed(chain, text, more);
  }

  void appendReserved(Chain& chain, string& text) {
    const string more = test::streamBytes(dice_, test::streamLength(dice_, kChainMax - chain.bytes));
    if (!store_->reserve(sizeOf(more))) return;
    CHECK(store_->append(chain, test::dataOf(more), sizeOf(more)), "%d reserved bytes", sizeOf(more));
    text += more;
  }

  void appendOther(size_t to) {
    const size_t from = (to + 1 + dice_.bits() % (kChains - 1)) % kChains;
    if (chains_[to].bytes + chains_[from].bytes > kChainMax) return;
    if (store_->appendChain(chains_[to], chains_[from])) {
      const Chain& other = chains_[from];
      CHECK(other.bytes == 0 && other.head == 0 && other.tail == 0, "is empty");
      texts_[to] += texts_[from];
      texts_[from].clear();
      return;
    }
    CHECK(test::textOf(*store_, chains_[from]) == texts_[from], "stays whole");
    failed(chains_[to], texts_[to], texts_[from]);
  }

  void appendPart(size_t to) {
    const size_t from = (to + 1 + dice_.bits() % (kChains - 1)) % kChains;
    const int32_t offset = dice_.below(chains_[from].bytes + 1);
    const int32_t most = std::min(chains_[from].bytes - offset, kChainMax - chains_[to].bytes);
    const int32_t count = test::streamLength(dice_, most);
    const auto at = static_cast<size_t>(offset);
    const string part = texts_[from].substr(at, static_cast<size_t>(count));
    if (store_->appendPart(chains_[to], chains_[from], offset, count)) texts_[to] += part;
    else failed(chains_[to], texts_[to], part);
  }

  void consume(Chain& chain, string& text, int32_t count) {
    store_->consume(chain, count);
    text.erase(0, static_cast<size_t>(count));
    CHECK(chain.bytes == sizeOf(text), "%d bytes", chain.bytes);
    if (text.empty()) CHECK(chain.head == 0 && chain.tail == 0, "an empty chain has no node");
  }

  void readRange(const Chain& chain, const string& text) {
    const int32_t offset = dice_.below(chain.bytes + 1);
    const int32_t count = dice_.below(chain.bytes - offset + 1);
    string got(static_cast<size_t>(count), '\0');
    store_->read(chain, offset, count, reinterpret_cast<uint8_t*>(got.data()));
    const string expected = text.substr(static_cast<size_t>(offset), static_cast<size_t>(count));
    CHECK(got == expected, "%d at %d of %d", count, offset, chain.bytes);
    string seen;
    store_->visit(chain, offset, count, [&](const uint8_t* bytes, int32_t step) {
      CHECK(step > 0 && step <= baton::kChunkBytes, "a piece of %d", step);
      seen.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(step));
    });
    CHECK(seen == expected, "%d at %d of %d", count, offset, chain.bytes);
  }

  void readPieces(const Chain& chain, const string& text) {
    iovec pieces[300];
    const int32_t most = dice_.between(1, dice_.oneIn(2) ? 4 : 300);
    const int32_t filled = store_->pieces(chain, pieces, most);
    string seen;
    for (int32_t i = 0; i < filled; ++i) {
      CHECK(pieces[i].iov_len > 0, "no piece is empty");
      seen.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
    }
    CHECK(filled <= most && text.compare(0, seen.size(), seen) == 0, "%d pieces", filled);
    CHECK(filled == most || seen.size() == text.size(), "%zu of %zu", seen.size(), text.size());
  }

  LaneMemory& memory_;
  const int32_t lane_;
  Dice dice_;
  std::unique_ptr<ChainStore> store_;
  Chain chains_[kChains] = {};
  string texts_[kChains];
  int32_t failures_ = 0;
};

void checkCharges(LaneMemory& memory) {
  const double booked = memory.bookedBytes();
  CHECK(booked == memory.ownedBytes(), "%.0f of %.0f", booked, memory.ownedBytes());
  CHECK(booked <= memory.superblock().pool_bytes_max, "%.0f", booked);
}

void oneLane(Dice& dice) {
  LaneMemory memory(8, 64, 1e9);
  Game game(memory, 3, dice.bits());
  game.play(400);
  CHECK(game.failures() == 0, "%d appends failed", game.failures());
  game.drop();
  checkCharges(memory);
}

void smallPool(Dice& dice) {
  for (const int32_t chunk_batches : {1, 2, 5}) {
    LaneMemory memory(8, 64, test::kNodeBatchBytes + chunk_batches * test::kChunkBatchBytes);
    Game game(memory, 0, dice.bits());
    game.play(150);
    CHECK(game.failures() > 0, "nothing failed within %d batches", chunk_batches);
    checkCharges(memory);
    game.drop();
  }
}

// The tables have an end too, and the pool's limit does not reach it first.
void fullTables(Dice& dice) {
  for (const int32_t chunk_batches : {1, 4}) {
    LaneMemory memory(1, chunk_batches, 1e9);
    Game game(memory, 0, dice.bits());
    game.play(150);
    CHECK(game.failures() > 0, "nothing failed within %d batches", chunk_batches);
    checkCharges(memory);
    game.drop();
  }
}

// The limit would allow more than the system has.
void noMemory(Dice& dice) {
  LaneMemory memory(4, 32, 1e9);
  memory.exhaustAfter(3);
  Game game(memory, 0, dice.bits());
  game.play(200);
  CHECK(game.failures() > 0, "nothing failed");
  for (int32_t i = 3; i < memory.chunkBatchCount(); ++i) {
    CHECK(memory.chunkBatches()[i].owner == 0, "batch %d has no memory", i);
  }
  checkCharges(memory);
  game.drop();
}

void givenBack(Dice& dice) {
  constexpr double kMany = 48 * test::kChunkBatchBytes;
  // A lane keeps its spare batches, the one it takes from, and batch 0, of which unit 0 is never free.
  constexpr double kPair = test::kChunkBatchBytes + test::kNodeBatchBytes;
  constexpr double kKept = (baton::UnitPool::kSpareBatches + 2) * kPair;
  LaneMemory memory(40, 64, 1e9);
  ChainStore store;
  memory.attach(store, 1);
  const double unused = memory.backedBytes();
  for (int32_t round = 0; round < 4; ++round) {
    Chain chains[8] = {};
    std::vector<string> texts(8);
    for (size_t i = 0; memory.bookedBytes() < kMany; i = (i + 1) % 8) {
      const string more = test::streamBytes(dice, dice.between(1, 100'000));
      CHECK(store.append(chains[i], test::dataOf(more), sizeOf(more)), "append");
      texts[i] += more;
    }
    for (size_t i = 0; i < 8; ++i) {
      CHECK(test::textOf(store, chains[i]) == texts[i], "chain %zu", i);
      store.clear(chains[i]);
    }
    CHECK(memory.bookedBytes() >= kMany, "nothing is given back before the turn is sealed");
    store.nodes.settle();
    store.chunks.settle();
    CHECK(memory.bookedBytes() >= kMany, "nothing is given back while it may be needed again");
    for (int32_t i = 0; i < 8; ++i) {  // what has not been needed since goes back a little at a time
      store.nodes.trim();
      store.chunks.trim();
    }
    CHECK(memory.bookedBytes() <= kKept, "%.0f kept", memory.bookedBytes());
    CHECK(memory.backedBytes() - unused <= kKept, "%.0f backed", memory.backedBytes() - unused);
    checkCharges(memory);
  }
  store.nodes.releaseAll();
  store.chunks.releaseAll();
  CHECK(memory.bookedBytes() == 0 && memory.ownedBytes() == 0, "a clean end keeps nothing");
}

// Spare batches are for the next turn: coming and going of a few units does not give them away.
void spareStays(Dice& dice) {
  LaneMemory memory(4, 32, 1e9);
  ChainStore store;
  memory.attach(store, 0);
  CHECK(store.chunks.reserve(12 * baton::UnitPool::kBatchUnits), "12 batches");
  const double held = memory.bookedBytes();
  for (int32_t turn = 0; turn < 500; ++turn) {
    int32_t units[8];
    const int32_t count = dice.between(1, 8);
    for (int32_t i = 0; i < count; ++i) units[i] = store.chunks.take();
    for (int32_t i = 0; i < count; ++i) store.chunks.give(units[i]);
    store.chunks.settle();
    const double now = memory.bookedBytes();
    CHECK(now == held, "turn %d: %.0f of %.0f", turn, now, held);
  }
}

// Lanes that claim and give back the only batch, each many times: it is never both's.
void claims(Dice&) {
  constexpr int32_t kEach = 1500;
  LaneMemory memory(1, 1, 1e9);
  std::atomic<int32_t> holders = 0;
  std::atomic<int32_t> got[2] = {};
  const auto contend = [&](int32_t lane) {
    ChainStore store;
    memory.attach(store, lane);
    while (got[0] < kEach || got[1] < kEach) {
      if (!store.chunks.reserve(1)) continue;
      CHECK(holders.fetch_add(1) == 0, "lane %d is not alone", lane);
      ++got[lane];
      holders.fetch_sub(1);
      store.chunks.releaseAll();
    }
  };
  std::thread other([&] { contend(1); });
  contend(0);
  other.join();
  CHECK(memory.bookedBytes() == 0 && memory.ownedBytes() == 0, "given back");
}

void checkCleanEnd(LaneMemory& memory, Game& first, Game& second) {
  first.drop();
  first.store().nodes.releaseAll();
  first.store().chunks.releaseAll();
  second.checkAll();
  second.settle();
  second.drop();
  second.store().nodes.releaseAll();
  second.store().chunks.releaseAll();
  checkCharges(memory);
  CHECK(memory.ownedBytes() == 0, "%.0f left", memory.ownedBytes());
}

// By turns, so that a seed repeats it; batches go to and fro between them.
void twoLanes(Dice& dice) {
  LaneMemory memory(8, 64, 4 * test::kNodeBatchBytes + 9 * test::kChunkBatchBytes);
  Game first(memory, 0, dice.bits());
  Game second(memory, 1, dice.bits());
  for (int32_t round = 0; round < 60; ++round) {
    first.play(dice.between(1, 4));
    second.checkAll();
    second.play(dice.between(1, 4));
    first.checkAll();
    if (dice.oneIn(8)) first.drop();
    if (dice.oneIn(8)) second.drop();
    checkCharges(memory);
  }
  checkCleanEnd(memory, first, second);
}

// At once, as processes are: only the batch tables and the booked bytes are common.
void lanesAtOnce(Dice& dice) {
  LaneMemory memory(8, 64, 4 * test::kNodeBatchBytes + 9 * test::kChunkBatchBytes);
  Game first(memory, 0, dice.bits());
  Game second(memory, 1, dice.bits());
  std::thread other([&] { second.play(200); });
  first.play(200);
  other.join();
  first.checkAll();
  checkCharges(memory);
  checkCleanEnd(memory, first, second);
}

void reader(Dice& dice) {
  LaneMemory memory(8, 64, 1e9);
  ChainStore store;
  memory.attach(store, 0);
  for (int32_t round = 0; round < 300; ++round) {
    test::MadeRequest made = test::request(dice, 60);
    if (dice.oneIn(3)) made.arguments.push_back(test::streamBytes(dice, dice.below(150'000)));
    const string text = test::requestText(made.arguments);
    Chain chain = {};
    const string before = test::streamBytes(dice, dice.below(9000));
    for (const string& part : {before, text}) {
      CHECK(store.append(chain, test::dataOf(part), sizeOf(part)), "append");
    }
    store.consume(chain, static_cast<int32_t>(before.size()));
    baton::ChainReader reader(store, chain);
    CHECK(reader.next() == '*', "begins a request");
    CHECK(reader.number() == static_cast<int64_t>(made.arguments.size()), "count");
    for (const string& argument : made.arguments) {
      CHECK(reader.next() == '$', "begins an argument at %d", reader.at());
      CHECK(reader.number() == static_cast<int64_t>(argument.size()), "length");
      const auto looked = static_cast<size_t>(dice.below(std::min(sizeOf(argument), 5000) + 1));
      for (size_t i = 0; i < looked; ++i) {
        CHECK(reader.next() == static_cast<uint8_t>(argument[i]), "byte %zu of %zu", i, argument.size());
      }
      reader.skip(static_cast<int32_t>(argument.size() - looked) + 2);
    }
    CHECK(reader.left() == 0 && reader.at() == chain.bytes, "%d left", reader.left());
    store.clear(chain);
    store.nodes.settle();
    store.chunks.settle();
  }
}

}  // namespace

int main(int argc, char** argv) {
  return test::play(argc, argv, {
      {"one-lane", oneLane}, {"small-pool", smallPool}, {"full-tables", fullTables},
      {"no-memory", noMemory}, {"given-back", givenBack}, {"spare-stays", spareStays},
      {"claims", claims}, {"two-lanes", twoLanes}, {"lanes-at-once", lanesAtOnce}, {"reader", reader},
  });
}
