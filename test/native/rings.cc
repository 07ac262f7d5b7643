// native/ring.h, doorbell.h and post.* in one process: against a model, across wraps of positions,
// with hardly any memory, and with owners that undo their turns and are replaced.
#include <deque>
#include <memory>

#include "check.h"
#include "ring-stage.h"

namespace {

using test::Dice;
using test::kStageLanes;
using test::RingOwner;
using test::RingStage;

constexpr double kRoom = 64 << 20;

struct Game {
  std::unique_ptr<RingStage> stage;
  std::unique_ptr<RingOwner> owner[kStageLanes];

  Game(uint64_t from, double pool_bytes) : stage(std::make_unique<RingStage>(from, pool_bytes)) {
    for (int32_t lane = 0; lane < kStageLanes; ++lane) replace(lane);
    rest();
  }

  // A new owner rings everybody: they look.
  void rest() {
    for (auto& each : owner) {
      each->receive();
      each->sleep(0);
    }
  }

  void replace(int32_t lane) {
    owner[lane] = std::make_unique<RingOwner>(*stage, lane);
    owner[lane]->begin();
  }

  // Until nothing is under way.
  void settle() {
    for (bool is_moving = true; is_moving;) {
      is_moving = false;
      for (auto& each : owner) {
        is_moving = each->receive() > 0 || is_moving;
        each->seal();
      }
      for (int32_t lane = 0; lane < kStageLanes; ++lane) {
        for (int32_t to = 0; to < kStageLanes; ++to) {
          if (owner[to]->taken(lane) != owner[lane]->sent(to)) is_moving = true;
          if (owner[to]->takenBytes(lane) != owner[lane]->sentBytes(to)) is_moving = true;
        }
      }
    }
    for (auto& each : owner) {
      each->seal();  // frees what the last one has read
      each->check();
    }
    for (int32_t lane = 0; lane < kStageLanes; ++lane) {
      for (const baton::Ring& ring : stage->extent(lane).rings)
        CHECK(ring.stream_bytes == 0, "%d bytes are never freed", ring.stream_bytes);
    }
  }
};

int32_t other(Dice& dice, int32_t lane) {
  return (lane + dice.between(1, kStageLanes - 1)) % kStageLanes;
}

// Few bytes mostly, at times some nodes' worth.
int32_t payload(Dice& dice) {
  if (dice.oneIn(150)) return dice.below(300'000);
  return dice.oneIn(4) ? dice.below(6000) : dice.below(200);
}

// Turns of lanes at random, sealed, or undone by an owner who goes away in the middle of one.
void play(Dice& dice, uint64_t from, double pool_bytes, int32_t turns, int32_t most) {
  Game game(from, pool_bytes);
  int64_t refused = 0;
  for (int32_t i = 0; i < turns; ++i) {
    const int32_t lane = dice.below(kStageLanes);
    RingOwner& owner = *game.owner[lane];
    if (!dice.oneIn(3)) owner.receive(dice.oneIn(4) ? dice.below(600) : 4000);
    for (int32_t left = dice.below(3); left > 0; --left) {
      if (!owner.send(other(dice, lane), dice.below(most))) ++refused;
      const int32_t to = other(dice, lane);
      if (dice.oneIn(2) && !owner.sendBytes(to, payload(dice), dice.oneIn(2))) ++refused;
    }
    if (dice.oneIn(8)) {
      game.replace(lane);  // its turn never happened
    } else {
      owner.seal();
      owner.check();
      if (dice.oneIn(8)) game.replace(lane);
    }
  }
  if (pool_bytes < kRoom) CHECK(refused > 0, "there was memory enough");
  game.settle();
}

void model(Dice& dice) {
  for (int32_t game = 0; game < 20; ++game) play(dice, 0, kRoom, 600, game % 2 == 0 ? 40 : 2500);
}

// Positions are u64; those who believe them to be less must be found out.
void wraps(Dice& dice) {
  for (const int bits : {31, 32, 63, 64}) {
    const uint64_t edge = bits == 64 ? 0 : uint64_t{1} << bits;
    for (const uint64_t before : {1, 2047, 2049, 9000}) play(dice, edge - before, kRoom, 300, 900);
  }
}

void littleMemory(Dice& dice) {
  const double few = 2 * (test::kNodeBatchBytes + test::kChunkBatchBytes);
  for (int32_t game = 0; game < 4; ++game) play(dice, 0, few, 2000, 4000);
}

// Nothing is seen before the commit, all of it behind it; no slot is written that an undo needs.
void turns(Dice& dice) {
  Game game(dice.bits(), kRoom);
  RingOwner& a = *game.owner[0];
  RingOwner& b = *game.owner[1];
  a.send(1, 10);
  CHECK(b.receive() == 0, "an open turn's messages are seen");
  a.seal();
  CHECK(b.receive() == 10, "a sealed turn's messages are not");
  a.send(1, baton::kRingSlots + 100);
  a.seal();
  CHECK(game.stage->extent(0).rings[1].overflow_bytes == 110 * int32_t{sizeof(baton::Message)},
        "slots that are kept for an undo are free");
  game.replace(1);
  CHECK(game.owner[1]->receive() == baton::Post::kBudget, "what was taken, and undone, is gone");
  game.settle();
}

// A payload is seen behind the commit, and freed when the turn that read it is sealed; one that is
// undone reads it again.
void payloads(Dice& dice) {
  Game game(dice.bits(), kRoom);
  RingOwner& a = *game.owner[0];
  const baton::Ring& ring = game.stage->extent(0).rings[1];
  a.sendBytes(1, 1000, false);
  CHECK(game.owner[1]->receive() == 0, "an open turn's payload is seen");
  a.sendBytes(1, 300'000, true);
  a.sendBytes(1, 100, false);
  a.seal();
  CHECK(game.owner[1]->receive() >= 5, "a node is a message");
  a.seal();
  CHECK(ring.stream_bytes == 301'100, "bytes that are kept for an undo are freed");
  game.replace(1);
  CHECK(game.owner[1]->receive() >= 5, "what was read, and undone, is gone");
  game.owner[1]->seal();
  a.sendBytes(1, 10, false);
  game.replace(0);
  CHECK(ring.stream_bytes == 301'100, "bytes of an undone turn are sent");
  game.owner[0]->seal();
  CHECK(ring.stream_bytes == 0, "%d bytes that were read are kept", ring.stream_bytes);
  game.settle();
}

// A stream fills, its producer waits, and is rung when it may go on; nobody reads more than his
// budget a turn.
void fullStream(Dice& dice) {
  Game game(dice.bits(), kRoom);
  RingOwner& a = *game.owner[0];
  RingOwner& b = *game.owner[1];
  constexpr int32_t kPiece = 100'000;
  int32_t pieces = 0;
  for (; !a.post.isCongested(1); ++pieces) CHECK(a.sendBytes(1, kPiece, dice.oneIn(2)), "no memory");
  CHECK(pieces == baton::Post::kStreamFull / kPiece + 1 && !a.post.isCongested(2), "%d", pieces);
  a.seal();
  CHECK(!a.sleep(0) && a.post.maySleep(), "nobody has read yet");
  b.receive();
  CHECK(b.takenBytes(0) < baton::Post::kReadMax + kPiece, "more than a turn's");
  const uint64_t before = b.post.bellsRung();
  b.seal();
  CHECK(b.post.bellsRung() == before + 1, "a sleeper is rung");
  a.post.wake(false);
  a.seal();
  CHECK(!a.post.isCongested(1), "still");
  game.settle();
}

// A turn takes kBudget messages of a ring, and begins with another ring each time.
void budget(Dice& dice) {
  Game game(dice.bits(), kRoom);
  game.owner[0]->send(2, 500);
  game.owner[1]->send(2, 500);
  game.owner[0]->seal();
  game.owner[1]->seal();
  RingOwner& owner = *game.owner[2];
  int32_t firsts[2] = {};
  for (int32_t i = 0; i < 8; ++i) {
    const uint64_t before[2] = {owner.taken(0), owner.taken(1)};
    CHECK(owner.receive(10) == 10, "what is there");
    for (int32_t from : {0, 1}) firsts[from] += owner.taken(from) > before[from] ? 1 : 0;
    owner.seal();
    CHECK(owner.post.isPending(), "what is left keeps the lane awake");
  }
  CHECK(firsts[0] == 4 && firsts[1] == 4, "%d turns of lane 0, %d of lane 1", firsts[0], firsts[1]);
  CHECK(owner.receive() == 2 * baton::Post::kBudget, "a budget of each");
  game.settle();
}

// Congestion begins at a limit, ends at half of it, and ends at all.
void congestion(Dice& dice) {
  Game game(dice.bits(), kRoom);
  RingOwner& a = *game.owner[0];
  a.send(1, baton::kRingSlots + baton::Post::kCongestedAt - 1);
  CHECK(!a.post.isCongested(1), "below the limit");
  a.send(1, 1);
  CHECK(a.post.isCongested(1) && a.post.isCongested(1, true), "at the limit");
  CHECK(!a.post.isCongested(2), "another ring");
  a.seal();
  bool was_between = false;
  while (a.post.isCongested(1, true)) {
    game.owner[1]->receive();
    game.owner[1]->seal();
    was_between = was_between || !a.post.isCongested(1);
    a.seal();
  }
  CHECK(was_between, "one limit for both");
  game.settle();
}

// Who makes room rings who waits for it: once, when most is free.
void credit(Dice& dice) {
  Game game(dice.bits(), kRoom);
  RingOwner& a = *game.owner[0];
  RingOwner& b = *game.owner[1];
  a.send(1, 2 * baton::kRingSlots);
  a.seal();
  CHECK(!a.sleep(0), "nobody has made room yet");
  const uint64_t before = b.post.bellsRung();
  const auto asleep = [&] { CHECK(a.post.maySleep(), "it has been rung"); };
  asleep();
  b.receive(10);
  b.seal();
  CHECK(b.post.bellsRung() == before, "too little room to ring for");
  while (b.post.bellsRung() == before && b.receive() > 0) b.seal();
  const uint64_t left = baton::kRingSlots - b.taken(0);
  CHECK(left <= baton::kRingLow && left + baton::Post::kBudget > baton::kRingLow,
        "it was rung with %d left", static_cast<int>(left));
  b.receive();
  b.seal();
  CHECK(b.post.bellsRung() == before + 1, "%d rings before, %d now", static_cast<int>(before),
        static_cast<int>(b.post.bellsRung()));
  a.post.wake(false);
  game.settle();
}

// One wake-up for a sleeper, none for who is awake; without a copy of the eventfd, a heartbeat.
void bells(Dice& dice) {
  Game game(dice.bits(), kRoom);
  RingOwner& a = *game.owner[0];
  RingOwner& b = *game.owner[1];
  RingOwner& c = *game.owner[2];
  a.send(1, 3);
  a.seal();
  CHECK(a.post.bellsRung() == 0, "b is awake");
  CHECK(b.sleep(0), "b sleeps over what has come");
  CHECK(b.receive() == 3, "b finds it");
  b.seal();
  CHECK(b.post.maySleep(), "nothing is there");
  a.send(1, 1);
  a.seal();
  c.send(1, 1);
  c.seal();
  CHECK(a.post.bellsRung() + c.post.bellsRung() == 1, "one rings, for both");
  b.post.wake(false);
  CHECK(b.receive() == 2, "both have come");
  b.seal();
  a.post.giveBell(2, -1);
  CHECK(c.post.maySleep(), "nothing is there");
  a.send(2, 1);
  a.seal();
  CHECK(a.post.bellsRung() <= 1, "there is no bell to ring");
  c.post.wake(true);
  CHECK(c.receive() == 1, "a heartbeat finds it");
  c.seal();
  game.settle();
}

// A lane that begins anew: what was under way is gone, both ways, and the others are told first.
void anew(Dice& dice) {
  for (int32_t round = 0; round < 50; ++round) {
    Game game(dice.oneIn(2) ? 0 : dice.bits(), kRoom);
    RingOwner& a = *game.owner[0];
    const int32_t sent = dice.below(2 * baton::kRingSlots);
    const int32_t to_it = dice.below(2 * baton::kRingSlots);
    if (dice.oneIn(2)) a.sendBytes(1, dice.below(200'000), true);
    a.send(1, sent);
    a.seal();
    game.owner[1]->send(0, to_it);
    game.owner[1]->sendBytes(0, 5000, false);
    game.owner[1]->seal();
    if (dice.oneIn(2)) game.owner[1]->receive(dice.below(100));
    game.owner[1]->seal();
    const uint64_t arrived =
        game.stage->extent(0).ports[1].tail - game.stage->extent(1).rings[0].taken;
    a.post.startAnew();
    a.chains.nodes.releaseAll();
    a.chains.chunks.releaseAll();
    game.replace(0);
    game.owner[0]->check();
    const uint8_t nine[9] = {};
    game.owner[0]->post.send(1, baton::messageOf(9, 9, 9), nine, 9);
    game.owner[0]->seal();
    std::vector<int32_t> kinds;
    int32_t bytes = 0;
    const auto look = [&] {
      baton::Post& post = game.owner[1]->post;
      post.receive(4000, [&](int32_t from, const baton::Message& message) {
        kinds.push_back(message.kind == 8 ? 7 : message.kind);
        const bool is_there = post.read(from, message, [&](const uint8_t*, int32_t count) { bytes += count; });
        if (message.bytes > 0) CHECK(is_there == (message.kind == 9), "a payload of %d", message.kind);
        return true;
      });
      game.owner[1]->seal();
      game.owner[0]->seal();
    };
    const auto skip = [&] {
      game.owner[0]->post.receive(4000, [](int32_t, const baton::Message&) { return true; });
      game.owner[0]->seal();
    };
    for (int32_t i = 0; i < 40; ++i) {
      look();
      skip();
    }
    std::vector<int32_t> expected(static_cast<size_t>(arrived), 7);
    expected.push_back(baton::kMessageKindAnew);
    expected.push_back(9);
    CHECK(kinds == expected, "%zu messages, not %zu", kinds.size(), expected.size());
    CHECK(bytes >= 9, "the payload is there");
    CHECK(game.stage->extent(0).rings[1].stream_bytes == 0, "the payload was read");
    const int32_t to_free = game.stage->extent(1).rings[0].stream_bytes;
    CHECK(to_free == 0, "%d bytes that nobody will read", to_free);
    const uint64_t later = game.stage->extent(1).rings[0].overflow_bytes / sizeof(baton::Message);
    CHECK(later == 0, "%d wait for ever", static_cast<int>(later));
    CHECK(!game.owner[0]->post.isCongested(1), "congested");
  }
}

// The control ring: the master's side is written by this test.
void office(Dice& dice) {
  Game game(dice.bits(), kRoom);
  RingOwner& a = *game.owner[0];
  test::StageExtent& extent = game.stage->extent(0);
  baton::Port& desk = extent.ports[kStageLanes + 1];
  baton::RingOut out;
  out.attach(&desk, extent.ports + kStageLanes,
             extent.messages + (kStageLanes + 1) * baton::kRingSlots);
  const int fd = eventfd(0, EFD_NONBLOCK);
  a.post.giveOfficeBell(fd);
  CHECK(a.post.maySleep(), "nothing is there");
  out.write(desk.tail, baton::messageOf(3, 1, 2));
  out.publish(desk.tail + 1);
  baton::fenceBeforeRinging();
  CHECK(baton::wakeSleeper(extent.bell, game.stage->bell(0)), "the lane sleeps");
  a.post.wake(false);
  a.send(1, 100 * baton::kRingSlots);  // data does not stand in its way
  int32_t found = 0;
  a.post.receive(10, [&](int32_t from, const baton::Message& message) {
    found += from == kStageLanes && message.kind == 3 && message.value == 2 ? 1 : 0;
    return true;
  });
  CHECK(found == 1, "%d messages of the master", found);
  CHECK(a.post.send(kStageLanes, baton::messageOf(4, 5, 6)), "there is room");
  a.seal();
  uint64_t rings = 0;
  CHECK(read(fd, &rings, sizeof rings) == sizeof rings && rings == 1, "the master was rung");
  CHECK(extent.ports[kStageLanes].tail - desk.head == 1, "he finds one message");
  close(fd);
  a.check();
}

// What a wild write makes of a ring is noticed, and nothing is read or written beyond it.
void damaged(Dice& dice) {
  int32_t noticed = 0;
  for (int32_t round = 0; round < 200; ++round) {
    Game game(dice.bits(), kRoom);
    RingOwner& a = *game.owner[0];
    a.send(1, dice.below(300));
    a.seal();
    test::StageExtent& extent = game.stage->extent(0);
    const uint64_t wild = dice.bits();
    uint64_t& word = dice.oneIn(2) ? extent.rings[1].queued : extent.rings[1].taken;
    if (wild - word <= baton::kRingSlots) continue;
    word = wild;
    noticed += a.post.fault(1) != nullptr ? 1 : 0;
    game.replace(0);
    game.owner[0]->post.receive(4000, [](int32_t, const baton::Message&) { return true; });
  }
  CHECK(noticed > 190, "%d of 200 noticed", noticed);
}

}  // namespace

int main(int argc, char** argv) {
  return test::play(argc, argv, {
      {"model", model}, {"wraps", wraps}, {"little-memory", littleMemory}, {"turns", turns},
      {"payloads", payloads}, {"full-stream", fullStream}, {"budget", budget}, {"congestion", congestion}, {"credit", credit}, {"bells", bells},
      {"anew", anew}, {"office", office}, {"damaged", damaged},
  });
}
