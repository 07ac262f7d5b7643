#include "post.h"

#include <algorithm>

namespace baton {

void Post::attach(int32_t lane, Ring* rings, Journal* journal, ChainStore* chains,
                  const std::vector<Peer>& peers) {
  lane_ = lane;
  lanes_ = static_cast<int32_t>(peers.size());
  rings_ = rings;
  journal_ = journal;
  chains_ = chains;
  peers_ = peers;
  outs_.assign(peers.size() + 1, {});
  ins_.assign(peers.size() + 1, {});
  const Peer& mine = peers[static_cast<size_t>(lane)];
  bell_ = mine.bell;
  const auto slots = [](const Peer& of, int32_t row) { return of.messages + row * kRingSlots; };
  for (int32_t other = 0; other < lanes_; ++other) {
    const Peer& peer = peers[static_cast<size_t>(other)];
    outs_[static_cast<size_t>(other)].attach(mine.ports + other, peer.ports + lane,
                                             slots(mine, other));
    ins_[static_cast<size_t>(other)].attach(mine.ports + other, peer.ports + lane,
                                            slots(peer, lane));
  }
  Port* office = mine.ports + lanes_ + 1;
  outs_.back().attach(mine.ports + lanes_, office, slots(mine, lanes_));
  ins_.back().attach(mine.ports + lanes_, office, slots(mine, lanes_ + 1));
}

bool Post::isThere(int32_t other) const {
  if (other == lanes_) return true;
  if (other == lane_ || other < 0 || other > lanes_) return false;
  const LaneRow& row = *peers_[static_cast<size_t>(other)].row;
  return __atomic_load_n(&row.state, __ATOMIC_ACQUIRE) != kLaneStateFree;
}

// --- a new owner

void Post::begin() {
  touched_.clear();
  behind_.clear();
  holding_.clear();
  pending_ = 0;
  baton::wake(*bell_);
  for (int32_t other = 0; other <= lanes_; ++other) {
    if (!isThere(other)) continue;
    const Ring& ring = rings_[other];
    outs_[static_cast<size_t>(other)].begin(ring.queued);
    outs_[static_cast<size_t>(other)].publish(ring.queued);
    ins_[static_cast<size_t>(other)].begin(ring.taken);
    ins_[static_cast<size_t>(other)].release(ring.taken, ring.read);
    if (ring.stream_bytes > 0) holding_.push_back(other);
    if (ring.overflow_bytes > 0 || ring.anew != 0) behind_.push_back(other);
    if (other < lanes_) pending_ |= uint64_t{1} << other;
  }
  fenceBeforeRinging();
  // The owner before may have died between taking `sleeping` and ringing: everybody is rung.
  for (int32_t other = 0; other <= lanes_; ++other) {
    if (!isThere(other)) continue;
    const int fd = other == lanes_ ? office_fd_ : peers_[static_cast<size_t>(other)].bell_fd;
    if (other < lanes_) ring(*peers_[static_cast<size_t>(other)].bell, lane_, -1);
    if (fd >= 0) eventfd_write(fd, 1);
  }
}

void Post::startAnew(int32_t other) {
  RingOut& out = outs_[static_cast<size_t>(other)];
  const RingIn& in = ins_[static_cast<size_t>(other)];
  Ring& ring = rings_[other];
  const int32_t imaged = ring.imaged;
  ring = {};
  ring.imaged = imaged;
  ring.released = out.base();
  if (!isThere(other)) return;
  ring.released = out.dropStream();
  ring.read = std::max(in.endBefore(in.published()), in.readBefore());
  const uint64_t freed = out.freed();
  ring.queued = out.published() - freed <= kRingSlots ? out.published() : freed;
  ring.taken = in.published();
  ring.anew = ring.queued + ring.taken > 0 ? 1 : 0;  // else they have never met
}

void Post::startAnew() {
  for (int32_t other = 0; other <= lanes_; ++other) {
    startAnew(other);
    rings_[other].imaged = 0;  // turns are counted anew, too
  }
}

void Post::dropStreams() {
  for (int32_t other = 0; other < lanes_; ++other) {
    if (isThere(other)) outs_[static_cast<size_t>(other)].dropStream();
  }
}

// --- payloads

// Whether nothing can fail that sends so much.
bool Post::makeRoom(int32_t to, int32_t bytes, int32_t messages) {
  const Ring& ring = touch(to);
  if (int64_t{ring.stream_bytes} + bytes > kStreamMax) return false;
  if (!chains_->reserve(bytes + int64_t{messages} * sizeof(Message))) return false;
  if (ring.stream_bytes == 0) holding_.push_back(to);
  return true;
}

bool Post::send(int32_t to, const Message& message, const uint8_t* bytes, int32_t count) {
  if (count == 0) return send(to, message);
  if (!makeRoom(to, count, 1)) return false;
  Ring& ring = rings_[to];
  Chain& stream = streamOf(ring);
  const bool opens = chains_->isFull(stream);
  Message whole = message;
  whole.node = stream.tail;
  whole.at = opens ? 0 : stream.end;
  chains_->append(stream, bytes, count);
  if (opens) whole.node = chains_->behind(stream, whole.node);
  whole.bytes = count;
  whole.ends = streamEnd(ring);
  return put(to, ring, whole);
}

bool Post::sendChain(int32_t to, const Message& message, Chain& from) {
  if (from.bytes <= ChainStore::kCopyRather) {
    uint8_t few[ChainStore::kCopyRather];
    chains_->read(from, 0, from.bytes, few);
    if (!send(to, message, few, from.bytes)) return false;
    chains_->clear(from);
    return true;
  }
  int32_t nodes = 0;
  chains_->eachNode(from, from.head, [&](int32_t, int32_t, int32_t) { ++nodes; });
  if (!makeRoom(to, from.bytes, nodes)) return false;
  Ring& ring = rings_[to];
  Chain& stream = streamOf(ring);
  const int32_t tail = stream.tail;
  Message part = message;
  part.ends = streamEnd(ring);
  chains_->appendChain(stream, from);
  const auto sendNode = [&](int32_t node, int32_t at, int32_t bytes) {
    part.node = node;
    part.at = at;
    part.bytes = bytes;
    part.ends += static_cast<uint64_t>(bytes);
    put(to, ring, part);
  };
  chains_->eachNode(stream, chains_->behind(stream, tail), sendNode);
  return true;
}

void Post::freeRead() {
  size_t still = 0;
  for (const int32_t to : holding_) {
    RingOut& out = outs_[static_cast<size_t>(to)];
    bool is_held = freeRead(to, out.read());
    const bool is_much = is_held && rings_[to].stream_bytes >= kStreamFull / 2;
    if (is_much) is_held = freeRead(to, out.awaitRead());
    if (is_held) holding_[still++] = to;
  }
  holding_.resize(still);
}

// What the other lane has read and will not read again leaves the stream. False: it is empty.
bool Post::freeRead(int32_t to, uint64_t read) {
  const uint64_t gone = read - rings_[to].released;  // after a begin anew it may be behind that
  if (gone > 0 && gone <= static_cast<uint64_t>(rings_[to].stream_bytes)) {
    Ring& ring = touch(to);
    chains_->consume(streamOf(ring), static_cast<int32_t>(gone));
    ring.released = read;
  }
  return rings_[to].stream_bytes > 0;
}

// --- in a turn

// Behind what waits already. A message never lies across two chunks: it is kept whole or not.
bool Post::keep(int32_t to, const Message& message) {
  Ring& ring = rings_[to];
  const bool is_first = ring.overflow_bytes == 0 && ring.anew == 0;
  if (!chains_->append(overflowOf(ring), reinterpret_cast<const uint8_t*>(&message),
                       sizeof message))
    return false;
  if (is_first) behind_.push_back(to);
  return true;
}

void Post::fillAll() {
  size_t still = 0;
  for (const int32_t to : behind_) {
    if (!drain(to)) behind_[still++] = to;
  }
  behind_.resize(still);
}

// False when something is left, and the other lane will ring when there is room.
bool Post::drain(int32_t to) {
  RingOut& out = outs_[static_cast<size_t>(to)];
  while (rings_[to].anew != 0 || rings_[to].overflow_bytes > 0) {
    if (!out.hasRoom(rings_[to].queued)) {
      if (!out.await(rings_[to].queued)) return false;
      continue;
    }
    Ring& ring = touch(to);
    Message message = messageOf(kMessageKindAnew, 0, 0);
    if (ring.anew != 0) {
      ring.anew = 0;
      message.ends = ring.released;
    } else {
      auto* bytes = reinterpret_cast<uint8_t*>(&message);
      chains_->read(overflowOf(ring), 0, sizeof message, bytes);
      chains_->consume(overflowOf(ring), sizeof message);
    }
    out.write(ring.queued, message);
    ++ring.queued;
  }
  return true;
}

void Post::publishAll() {
  size_t sent = 0;  // touched_ begins with those to whom something was sent
  for (size_t i = 0; i < touched_.size(); ++i) {
    const int32_t other = touched_[i];
    RingOut& out = outs_[static_cast<size_t>(other)];
    RingIn& in = ins_[static_cast<size_t>(other)];
    const Ring& ring = rings_[other];
    if (in.released() != ring.taken) in.release(ring.taken, ring.read);
    if (out.published() == ring.queued) continue;
    out.publish(ring.queued);
    std::swap(touched_[sent++], touched_[i]);
  }
  fenceBeforeRinging();
  for (size_t i = 0; i < touched_.size(); ++i) {
    const bool is_owed = ins_[static_cast<size_t>(touched_[i])].owesRing();
    if (i < sent || is_owed) wakeUp(touched_[i]);
  }
  touched_.clear();
}

void Post::wakeUp(int32_t other) {
  if (other == lanes_) {
    if (office_fd_ >= 0) eventfd_write(office_fd_, 1);
    return;
  }
  Peer& peer = peers_[static_cast<size_t>(other)];
  if (ring(*peer.bell, lane_, peer.bell_fd)) ++bells_rung_;
}

// --- between turns

bool Post::maySleep() {
  return baton::maySleep(*bell_) && ins_.back().available(rings_[lanes_].taken) == 0;
}

void Post::wake(bool is_quiet) {
  baton::wake(*bell_);
  if (!is_quiet) return;
  for (int32_t other = 0; other < lanes_; ++other) {
    if (!isThere(other)) continue;
    if (ins_[static_cast<size_t>(other)].available(rings_[other].taken) > 0)
      pending_ |= uint64_t{1} << other;
  }
}

// --- what does not add up

const char* Post::fault(int32_t other) const {
  const RingOut& out = outs_[static_cast<size_t>(other)];
  const RingIn& in = ins_[static_cast<size_t>(other)];
  const Ring& ring = rings_[other];
  if (ring.overflow_bytes < 0 || ring.overflow_bytes % sizeof(Message) != 0) return "its overflow";
  if (ring.anew < 0 || ring.anew > 1) return "its beginning";
  if (!isThere(other)) {
    const bool is_empty = ring.overflow_bytes == 0 && ring.stream_bytes == 0 &&
                          ring.queued == 0 && ring.taken == 0;
    return is_empty ? nullptr : "a ring to nobody";
  }
  if (ring.queued - out.published() > kRingSlots || ring.queued - out.freed() > kRingSlots)
    return "what was sent";
  if (in.published() - ring.taken > kRingSlots || ring.taken - in.released() > kRingSlots)
    return "what was taken";
  if (ring.stream_bytes < 0 || ring.released < out.base()) return "its stream";
  if (static_cast<int64_t>(ring.read - in.readBefore()) < 0) return "what was read";
  return nullptr;
}

}  // namespace baton
