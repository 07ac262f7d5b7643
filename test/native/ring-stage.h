// A few lanes that only talk to each other: rings, a journal and a pool as native/lane.h has them,
// in memory that processes share, and owners that can die. What an owner knows of what it has sent
// and taken lies in journalled rows, so that it belongs to turns as all state of lanes does.
//
//   extent of a lane:  [head | a row of numbers per lane | ring | port | bell | message | journal]
#pragma once
#include <poll.h>
#include <sys/eventfd.h>

#include <new>
#include <vector>

#include "lane-memory.h"
#include "post.h"

namespace test {

constexpr int32_t kStageLanes = 3;
constexpr int32_t kStageJournal = 64 * 1024;

// Of one other lane: session.tx messages were sent to it, session.rx were taken from it.
struct StageExtent {
  baton::LaneHead head;
  baton::Session known[kStageLanes];
  baton::Ring rings[kStageLanes + 1];
  alignas(64) baton::Port ports[kStageLanes + 2];
  alignas(64) baton::Bell bell;
  alignas(64) baton::Message messages[(kStageLanes + 2) * baton::kRingSlots];
  uint8_t journal[kStageJournal];
};

class RingStage {
 public:
  // `from`: the position at which all rings begin. `pool_bytes_max`: what overflows may hold.
  RingStage(uint64_t from, double pool_bytes_max, int32_t batches = 64)
      : memory_(batches, batches, pool_bytes_max, kStageLanes * sizeof(StageExtent)) {
    for (int32_t lane = 0; lane < kStageLanes; ++lane) {
      bells_[lane] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
      CHECK(bells_[lane] >= 0, "eventfd");
      memory_.row(lane).state = baton::kLaneStateServing;
      StageExtent& mine = *new (&extent(lane)) StageExtent();
      mine.head.turn = 1;
      for (baton::Ring& ring : mine.rings) ring.queued = ring.taken = from;
      for (baton::Port& port : mine.ports) port.tail = port.head = from;
    }
  }
  ~RingStage() {
    for (const int bell : bells_) close(bell);
  }

  StageExtent& extent(int32_t lane) const {
    return reinterpret_cast<StageExtent*>(memory_.extent())[lane];
  }
  int bell(int32_t lane) const { return bells_[lane]; }
  LaneMemory& memory() { return memory_; }

  std::vector<baton::Post::Peer> peers() const {
    std::vector<baton::Post::Peer> peers;
    for (int32_t lane = 0; lane < kStageLanes; ++lane) {
      StageExtent& of = extent(lane);
      peers.push_back({&memory_.row(lane), of.ports, of.messages, &of.bell, bells_[lane]});
    }
    return peers;
  }

 private:
  LaneMemory memory_;
  int bells_[kStageLanes] = {};
};

// Who runs a lane: makes a turn whole, or dies in it.
class RingOwner {
 public:
  RingOwner(RingStage& stage, int32_t lane)
      : stage_(stage), lane_(lane), mine_(stage.extent(lane)) {
    journal.attach(&mine_.head, mine_.journal, reinterpret_cast<uint8_t*>(&mine_), kStageJournal);
    post.attach(lane, mine_.rings, &journal, &chains, stage.peers());
    stage.memory().attach(chains, lane);
  }

  baton::Journal journal;
  baton::ChainStore chains;
  baton::Post post;

  // As Lane::begin does it for a new owner, whatever the one before has left.
  void begin() {
    journal.rollBack();
    mine_.head.closing = 0;
    std::vector<bool> nodes(static_cast<size_t>(chains.nodes.capacity()));
    std::vector<bool> chunks(static_cast<size_t>(chains.chunks.capacity()));
    for (baton::Ring& ring : mine_.rings) chains.mark(baton::overflowOf(ring), nodes, chunks);
    chains.nodes.rebuild(nodes);
    chains.chunks.rebuild(chunks);
    post.begin();
  }

  void seal() {
    post.fill();
    journal.commit();
    post.publish();
    chains.nodes.settle();
    chains.chunks.settle();
  }

  // Numbered messages, as many as there is memory for; false when there was none for all.
  bool send(int32_t to, int32_t count) {
    baton::Session& known = journal.touch(mine_.known[to]);
    for (; count > 0; --count) {
      if (!post.send(to, numbered(lane_, known.tx))) return false;
      ++known.tx;
    }
    return true;
  }

  // Each is the next one of its sender.
  int32_t receive(int32_t most = 4 * baton::Post::kBudget) {
    return post.receive(most, [this](int32_t from, const baton::Message& message) {
      baton::Session& known = journal.touch(mine_.known[from]);
      const baton::Message expected = numbered(from, known.rx);
      CHECK(memcmp(&message, &expected, sizeof message) == 0,
            "lane %d from %d: message %llu is %d %d %d", lane_, from,
            static_cast<unsigned long long>(known.rx), message.kind, message.row, message.value);
      ++known.rx;
    });
  }

  uint64_t sent(int32_t to) const { return mine_.known[to].tx; }
  uint64_t taken(int32_t from) const { return mine_.known[from].rx; }

  // Sleeps until the doorbell rings. False: it has not rung for `ms`.
  bool sleep(int ms) {
    if (post.isPending()) return true;
    pollfd rung = {stage_.bell(lane_), POLLIN, 0};
    const int ready = poll(&rung, 1, post.maySleep() ? ms : 0);
    const bool has_slept = ready == 0;
    post.wake(false);
    uint64_t rings;
    if (ready > 0) (void)!read(rung.fd, &rings, sizeof rings);
    return !has_slept || __atomic_load_n(&mine_.bell.rung, __ATOMIC_ACQUIRE) != 0;
  }

  // What check() says of rings, and of nodes and chunks that no overflow leads to.
  void check() const {
    std::vector<bool> nodes(static_cast<size_t>(chains.nodes.capacity()));
    std::vector<bool> chunks(static_cast<size_t>(chains.chunks.capacity()));
    for (int32_t i = 0; i < post.ringCount(); ++i) {
      if (i == lane_) continue;
      const char* fault = post.fault(i);
      CHECK(fault == nullptr, "lane %d, ring %d: %s", lane_, i, fault);
      chains.mark(baton::overflowOf(mine_.rings[i]), nodes, chunks);
    }
    const int32_t wrong = chains.nodes.compare(nodes) + chains.chunks.compare(chunks);
    CHECK(wrong == 0, "lane %d: %d units leaked", lane_, wrong);
  }

 private:
  // No two alike, every column in use.
  static baton::Message numbered(int32_t from, uint64_t number) {
    const auto low = static_cast<int32_t>(number);
    return {7, low, ~low, from, low ^ 0x5a5a, 1, 2, static_cast<int32_t>(number >> 32)};
  }

  RingStage& stage_;
  int32_t lane_;
  StageExtent& mine_;
};

}  // namespace test
