// Relays and peers: see relay.h.
#include "relay.h"

#include <cerrno>

#include "lane.h"

namespace baton {

void Relays::begin() {
  peers_.assign(lane_.peers.size(), std::vector<int32_t>(static_cast<size_t>(lane_.sizes.links)));
  for (auto* list : {&dirty_links_, &dirty_sessions_, &held_links_, &held_sessions_}) list->clear();
  for (int32_t i = 1; i < lane_.head->session_top; ++i) {
    const Session& session = lane_.sessions[i];
    if (!isPeer(session) || session.state == kSessionStateFree) continue;
    int32_t& peer = peerOf(lane_.infos[i].relay_lane - 1, lane_.infos[i].relay_link);
    if (peer == 0 || session.state == kSessionStateOpen) peer = i;
  }
}

// The caller has seen to it that there is such a lane and such a link.
int32_t& Relays::peerOf(int32_t from, int32_t row) {
  return peers_[static_cast<size_t>(from)][static_cast<size_t>(row)];
}

// --- the relay's side

int Relays::open(int32_t number) {
  Link& link = lane_.journal.touch(lane_.links[number]);
  const int32_t home = link.home - 1;
  if (!lane_.post.isThere(home)) return -ENOTCONN;
  const int32_t mode = link.protocol == 3 ? kSessionModeResp3 : 0;
  const Opening opening = {link.pool, mode, link.backend, link.place};
  // Not the same as any that the lane had before it began anew.
  const int32_t first = (lane_.row->epoch & 0x3fff) << 16;
  const int32_t generation = (link.generation == 0 ? first : link.generation & 0x3fffffff) + 1;
  const Message message = messageOf(kMessageKindRelayOpen, number, generation);
  if (!lane_.post.send(home, message, reinterpret_cast<const uint8_t*>(&opening), sizeof opening))
    return -ENOMEM;
  link.generation = generation;
  link.rx = link.tx_base = 0;
  link.streaming = link.replies = 0;
  link.connected_us = link.received_us = lane_.head->now_us;
  link.state = kLinkStateHandshake;  // there is nothing to say: see openGate
  return 0;
}

void Relays::end(const Link& link) {
  const int32_t home = link.home - 1;
  if (lane_.post.isThere(home))
    lane_.post.send(home, messageOf(kMessageKindRelayClose, lane_.numberOf(link), link.generation));
}

// How many bytes of its queue may leave now.
int64_t Relays::mayLeave(const Link& link) const {
  if (link.requests == 0) return link.out_bytes;
  const Request& oldest = lane_.requests[link.request_head];
  const uint64_t window = oldest.link_end - static_cast<uint64_t>(oldest.bytes) + kWindow;
  const auto room = static_cast<int64_t>(std::max(window, oldest.link_end) - link.tx);
  return std::min(room, int64_t{link.out_bytes});
}

void Relays::flushLink(int32_t number) {
  Link& link = lane_.links[number];
  if (link.state != kLinkStateUp) return;
  const int32_t home = link.home - 1;
  const auto count = static_cast<int32_t>(std::max(int64_t{0}, mayLeave(link)));
  if (count > 0) {
    lane_.journal.touch(link);
    const bool is_held = lane_.post.isCongested(home);
    if (is_held || !send(home, messageOf(kMessageKindRelay, number, 0), outOf(link), count)) {
      held_links_.push_back(number);
      return;
    }
    link.tx += static_cast<uint64_t>(count);
  }
  if (link.stalled != 0 && lane_.roomy(link)) lane_.wakeStalled(number);
}

// `count` bytes from the front of a queue. A part of it is copied, for a chain cannot be cut.
bool Relays::send(int32_t to, const Message& message, Chain& out, int32_t count) {
  if (count == out.bytes) return lane_.post.sendChain(to, message, out);
  Chain part = {};
  const bool is_whole = lane_.chains.reserve(count) && lane_.chains.appendPart(part, out, 0, count);
  if (!is_whole || !lane_.post.sendChain(to, message, part)) {
    lane_.chains.clear(part);
    ++lane_.counter->pool_full;
    return false;
  }
  lane_.chains.consume(out, count);
  return true;
}

Relays::Taken Relays::reply(int32_t from, const Message& message) {
  const int32_t number = message.row;
  if (number < 1 || number >= lane_.head->link_top) return Taken::Yes;
  Link& link = lane_.links[number];
  const bool is_its = link.home == from + 1 && link.generation == message.value;
  if (!is_its || link.state != kLinkStateUp || message.bytes <= 0) return Taken::Yes;
  const int32_t kept = link.in_bytes;
  Receipt* receipt = lane_.openReceipt(number + kLinkId, kept, message.bytes);
  if (receipt == nullptr) return Taken::NoRoom;
  uint8_t* bytes = lane_.region.arena + receipt->offset;
  lane_.chains.read(inOf(link), 0, kept, bytes);
  uint8_t* at = bytes + kept;
  const bool is_there = lane_.post.read(from, message, [&](const uint8_t* piece, int32_t count) {
    memcpy(at, piece, static_cast<size_t>(count));
    at += count;
  });
  if (!is_there) {
    --lane_.head->receipts;
    return Taken::Yes;
  }
  lane_.journal.touch(link);
  lane_.received(link, *receipt, message.bytes);
  if (link.out_bytes > 0) lane_.dirtyLink(number);  // the window has moved
  return Taken::Yes;
}

// --- the home lane's side

void Relays::accept(int32_t from, const Message& message) {
  Opening opening = {};
  auto* at = reinterpret_cast<uint8_t*>(&opening);
  const bool is_link = message.row >= 1 && message.row < lane_.sizes.links;
  if (message.bytes != sizeof opening || !is_link) return;
  const bool is_there = lane_.post.read(from, message, [&](const uint8_t* piece, int32_t count) {
    memcpy(at, piece, static_cast<size_t>(count));
    at += count;
  });
  if (is_there) begin(opening, from, message.row, message.value);
}

void Relays::begin(Opening opening, int32_t from, int32_t row, int32_t generation) {
  int32_t& peer = peerOf(from, row);
  if (peer != 0) lane_.closeSession(peer, kCloseReasonAsked);
  const bool is_sound = opening.pool >= 0 && opening.pool < lane_.sizes.pools &&
                        opening.backend >= 0 && opening.backend < lane_.sizes.backends &&
                        opening.place >= 0;
  peer = is_sound ? lane_.takeSessionRow() : 0;
  if (peer == 0) {
    lane_.post.send(from, messageOf(kMessageKindRelayLost, row, generation));
    return;
  }
  Session& session = lane_.blankSession(peer);
  session.pool = opening.pool;
  session.mode = kSessionModePeer | (opening.mode & kSessionModeResp3);
  SessionInfo& info = lane_.infos[peer];
  info.relay_lane = from + 1;
  info.relay_link = row;
  info.relay_generation = generation;
  info.relay_end = opening.backend * kRelayPlaces + opening.place % kRelayPlaces;
  storeBarrier();
  session.state = kSessionStateOpen;
}

Relays::Taken Relays::request(int32_t from, const Message& message) {
  if (message.row < 1 || message.row >= lane_.sizes.links) return Taken::Yes;
  const int32_t number = peerOf(from, message.row);
  Session& session = lane_.sessions[number];
  if (number == 0 || session.state != kSessionStateOpen) return Taken::Yes;
  const bool is_collecting = (session.flags & kSessionFlagScanning) != 0;
  if (!is_collecting && session.in_bytes > kGather) return Taken::NoRoom;
  const bool is_there = lane_.post.read(from, message, [&](const uint8_t* piece, int32_t count) {
    lane_.keepReceived(session, piece, count);
  });
  if (!is_there) lane_.closeSession(number, kCloseReasonAsked);  // its lane has begun anew
  lane_.resume(number);
  return Taken::Yes;
}

void Relays::flushPeer(int32_t number) {
  Session& session = lane_.sessions[number];
  const bool ends = session.state == kSessionStateFinishing && session.requests == 0;
  if (session.state == kSessionStateClosing || session.state == kSessionStateFree) return;
  if (session.out_bytes == 0) return ends ? lane_.closeSession(number, kCloseReasonAsked) : void();
  const SessionInfo& info = lane_.infos[number];
  const int32_t to = info.relay_lane - 1;
  lane_.journal.touch(session);
  const Message message =
      messageOf(kMessageKindRelayReply, info.relay_link, info.relay_generation);
  const int32_t count = session.out_bytes;
  if (lane_.post.isCongested(to) || !send(to, message, outOf(session), count)) {
    held_sessions_.push_back(number);
    return;
  }
  session.tx += static_cast<uint64_t>(count);
  if (ends) lane_.closeSession(number, kCloseReasonAsked);
}

void Relays::closed(const Session& peer) {
  const int32_t number = lane_.numberOf(peer);
  const SessionInfo& info = lane_.infos[number];
  const int32_t from = info.relay_lane - 1;
  if (peerOf(from, info.relay_link) == number) peerOf(from, info.relay_link) = 0;
  if (lane_.post.isThere(from))
    lane_.post.send(from, messageOf(kMessageKindRelayLost, info.relay_link, info.relay_generation));
}

bool Relays::isNeeded() const {
  for (size_t from = 0; from < peers_.size(); ++from) {
    const Peer& peer = lane_.peers[from];
    if (__atomic_load_n(&peer.row->owner, __ATOMIC_ACQUIRE) == 0) continue;
    double clients = 0;
    for (int32_t pool = 0; pool < lane_.sizes.pools; ++pool)
      clients += peer.counters[pool].client_connections;
    for (const int32_t each : peers_[from]) {
      if (each != 0 && clients > 0) return true;
    }
  }
  return false;
}

// --- both

void Relays::flush() {
  // Rings that were congested may not be any more.
  dirty_links_.insert(dirty_links_.end(), held_links_.begin(), held_links_.end());
  dirty_sessions_.insert(dirty_sessions_.end(), held_sessions_.begin(), held_sessions_.end());
  held_links_.clear();
  held_sessions_.clear();
  // What a stalled session may do from now on makes nothing dirty before it is framed.
  for (const int32_t number : dirty_links_) {
    lane_.link_dirty_[static_cast<size_t>(number)] = 0;
    flushLink(number);
  }
  dirty_links_.clear();
  for (const int32_t number : dirty_sessions_) {
    lane_.session_dirty_[static_cast<size_t>(number)] = 0;
    flushPeer(number);
  }
  dirty_sessions_.clear();
}

Relays::Taken Relays::take(int32_t from, const Message& message) {
  if (from >= static_cast<int32_t>(peers_.size())) return Taken::NotOurs;  // the master
  switch (message.kind) {
    case kMessageKindRelay:
      return request(from, message);
    case kMessageKindRelayReply:
      return reply(from, message);
    case kMessageKindRelayOpen:
      accept(from, message);
      return Taken::Yes;
    case kMessageKindRelayClose:
      if (message.row >= 1 && message.row < lane_.sizes.links && peerOf(from, message.row) != 0)
        lane_.closeSession(peerOf(from, message.row), kCloseReasonAsked);
      return Taken::Yes;
    case kMessageKindRelayLost:
      lose(from, message.row, message.value);
      return Taken::Yes;
    case kMessageKindAnew:
      beginAnew(from);
      return Taken::Yes;
    default:
      return Taken::NotOurs;
  }
}

void Relays::lose(int32_t from, int32_t row, int32_t generation) {
  if (row < 1 || row >= lane_.head->link_top) return;
  Link& link = lane_.links[row];
  if (link.home != from + 1 || link.generation != generation || link.state != kLinkStateUp) return;
  lane_.linkBroken(link, ECONNRESET);
}

// That lane knows of nothing that was between us.
void Relays::beginAnew(int32_t from) {
  for (const int32_t peer : peers_[static_cast<size_t>(from)]) {
    if (peer != 0) lane_.closeSession(peer, kCloseReasonAsked);
  }
  for (int32_t i = 1; i < lane_.head->link_top; ++i) {
    if (lane_.links[i].home == from + 1 && lane_.links[i].state == kLinkStateUp)
      lane_.linkBroken(lane_.links[i], ECONNRESET);
  }
}

}  // namespace baton
