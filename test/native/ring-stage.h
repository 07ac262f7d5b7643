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

// Of one other lane: session.tx messages were sent to it, session.rx were taken from it; of payloads
// session.cookie bytes were sent to it, session.blamed_at bytes have come.
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
      for (int32_t other = 0; other < kStageLanes; ++other) {
        mine.rings[other].released = mine.rings[other].read = mine.ports[other].read = from;
      }
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
    for (baton::Ring& ring : mine_.rings) markRing(ring, nodes, chunks);
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
      if (message.kind == kPayload) {
        take(from, known, message);
        return true;
      }
      const baton::Message expected = numbered(from, known.rx);
      CHECK(memcmp(&message, &expected, kNumberedBytes) == 0,
            "lane %d from %d: message %llu is %d %d %d", lane_, from,
            static_cast<unsigned long long>(known.rx), message.kind, message.row, message.value);
      ++known.rx;
      return true;
    });
  }

  // So many bytes of the stream to `to`, as a copy or as a chain of nodes that are not all full.
  bool sendBytes(int32_t to, int32_t count, bool is_chain) {
    baton::Session& known = journal.touch(mine_.known[to]);
    const baton::Message message = baton::messageOf(kPayload, lane_, to);
    std::vector<uint8_t> bytes(static_cast<size_t>(count));
    for (uint8_t& each : bytes) each = byteAt(lane_, known.cookie++);
    if (!is_chain && post.send(to, message, bytes.data(), count)) return true;
    if (is_chain && sendAsChain(to, message, bytes)) return true;
    known.cookie -= static_cast<uint64_t>(count);
    return false;
  }

  uint64_t sent(int32_t to) const { return mine_.known[to].tx; }
  uint64_t taken(int32_t from) const { return mine_.known[from].rx; }
  uint64_t sentBytes(int32_t to) const { return mine_.known[to].cookie; }
  uint64_t takenBytes(int32_t from) const { return mine_.known[from].blamed_at; }

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
      markRing(mine_.rings[i], nodes, chunks);
    }
    const int32_t wrong = chains.nodes.compare(nodes) + chains.chunks.compare(chunks);
    CHECK(wrong == 0, "lane %d: %d units leaked", lane_, wrong);
  }

 private:
  static constexpr int32_t kPayload = 8;
  static constexpr size_t kNumberedBytes = offsetof(baton::Message, node);

  // No two alike.
  static baton::Message numbered(int32_t from, uint64_t number) {
    const auto low = static_cast<int32_t>(number);
    return baton::messageOf(7, low, ~low ^ from);
  }

  static uint8_t byteAt(int32_t from, uint64_t at) {
    return static_cast<uint8_t>((at * 0x9e3779b97f4a7c15 >> 56) + static_cast<uint64_t>(from));
  }

  void take(int32_t from, baton::Session& known, const baton::Message& message) {
    CHECK(message.bytes >= 0 && message.row == from && message.value == lane_, "a payload's message");
    const bool is_there = post.read(from, message, [&](const uint8_t* bytes, int32_t count) {
      for (int32_t i = 0; i < count; ++i, ++known.blamed_at)
        CHECK(bytes[i] == byteAt(from, known.blamed_at), "lane %d from %d: byte %llu is %d", lane_, from,
              static_cast<unsigned long long>(known.blamed_at), bytes[i]);
    });
    CHECK(is_there, "lane %d from %d: a payload is gone", lane_, from);
  }

  // As a queue hands its bytes over: consumed in part, and strung together from several.
  bool sendAsChain(int32_t to, const baton::Message& message, const std::vector<uint8_t>& bytes) {
    const auto count = static_cast<int32_t>(bytes.size()), half = count / 2;
    const auto append = [&](baton::Chain& chain, int32_t from, int32_t step) {
      return chains.append(chain, bytes.data(), from % 100) && chains.append(chain, bytes.data() + from, step);
    };
    baton::Chain whole = {}, rest = {};
    bool is_sent = append(whole, 0, half) && append(rest, half, count - half);
    if (is_sent) {
      chains.consume(rest, half % 100);
      is_sent = chains.appendChain(whole, rest) && post.sendChain(to, message, whole);
    }
    chains.clear(whole);
    chains.clear(rest);
    return is_sent;
  }

  void markRing(baton::Ring& ring, std::vector<bool>& nodes, std::vector<bool>& chunks) const {
    chains.mark(baton::overflowOf(ring), nodes, chunks);
    chains.mark(baton::streamOf(ring), nodes, chunks);
  }

  RingStage& stage_;
  int32_t lane_;
  StageExtent& mine_;
};

}  // namespace test
