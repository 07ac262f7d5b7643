// Replies: link → arena → the sessions that asked, each in its session's order.
//
//   link's list:   request ─ request ─ request      the link's replies come in this order
//   session's list:      request ─ request          its replies must leave in this order
//
// A reply whose turn it is goes straight to its session's output. One that comes too early is held:
// in the arena while the turn lasts (often the missing one comes in the same turn), then in its
// request's row if it is short, else in a chain. A reply that does not fit one receive flows on in
// pieces.
#include <sys/socket.h>

#include <cerrno>

#include "fault.h"
#include "lane.h"

namespace baton {

namespace {

constexpr int32_t kReplyBulkMax = INT32_MAX - 64;
// link.streaming: what flows in pieces.
constexpr int32_t kStreamingReply = 1;
constexpr int32_t kStreamingPush = 2;  // nobody's: swallowed

int32_t bucketOf(double us) {
  const auto value = static_cast<uint32_t>(us < 0 ? 0 : us > 4e9 ? 4e9 : us);
  if (value < 8) return static_cast<int32_t>(value);
  const int32_t exponent = 31 - __builtin_clz(value);
  const int32_t bucket = (exponent - 2) * 8 + static_cast<int32_t>(value >> (exponent - 3) & 7);
  return bucket < kHistogramBuckets ? bucket : kHistogramBuckets - 1;
}

// Errors by which twemproxy judges a server unfit, beside those of the connection.
bool isServerFailure(const uint8_t* bytes, int32_t count) {
  return (count > 4 && memcmp(bytes, "-OOM", 4) == 0) ||
         (count > 5 && memcmp(bytes, "-BUSY", 5) == 0) ||
         (count > 8 && memcmp(bytes, "-LOADING", 8) == 0);
}

}  // namespace

void Lane::readLink(int32_t number, Source source) {
  Link& link = links[number];
  if (link.state != kLinkStateUp && link.state != kLinkStateHandshake) return;
  const bool from_socket = source == Source::Socket;
  const int32_t kept = link.in_bytes;
  Receipt* receipt = openReceipt(number + kLinkId, kept, from_socket ? kReceiveRoom : 0);
  if (receipt == nullptr) return;
  uint8_t* bytes = region.arena + receipt->offset;
  if (kept > 0) chains.read(inOf(link), 0, kept, bytes);
  ssize_t got = 0;
  if (from_socket) {
    got = receive(link.fd, (link.flags & kLinkFlagUnix) != 0, bytes + kept);
    if (got <= 0) {
      --head->receipts;
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      return linkBroken(link, got == 0 ? 0 : errno);
    }
  }
  FAULT(ReplyReceived);
  journal.touch(link);
  if ((link.flags & kLinkFlagUnix) != 0) notePeeked(number + kLinkId, link.peeked, got);
  received(link, *receipt, static_cast<int32_t>(got));
}

// What has come, from a socket or a ring, lies behind what the receipt has kept. The row is
// touched.
void Lane::received(Link& link, Receipt& receipt, int32_t got) {
  link.rx += static_cast<uint64_t>(got);
  FAULT(ReplyNoted);
  link.received_us = head->now_us;
  counterOf(link).response_bytes += static_cast<double>(got);
  closeReceipt(receipt, got);
  chains.clear(inOf(link));
  mark(head->step, kStepFraming);
  frameReplies(link, receipt);
  mark(head->step, kStepOther);
  FAULT(RepliesFramed);
  if (link.stalled != 0 && roomy(link)) wakeStalled(numberOf(link));
}

void Lane::linkBroken(Link& link, int error) {
  journal.touch(link).state = kLinkStateDown;
  if (link.home != 0) link.flags |= kLinkFlagUntold;
  interest(link.fd, numberOf(link) + kLinkId, 0, false);
  Descriptor& descriptor = describe(kDescriptorKindLinkLost, numberOf(link));
  descriptor.command = error;
  descriptor.argc = link.requests;
  descriptor.pool = link.pool;
}

void Lane::frameReplies(Link& link, Receipt& receipt) {
  const int32_t total = receipt.kept + receipt.got;
  const uint8_t* bytes = region.arena + receipt.offset;
  int32_t used = 0;
  if (link.streaming != 0) used = streamReply(link, bytes, total);
  while (used >= 0 && used < total && link.state != kLinkStateDown) {
    mark(receipt.used, used);  // what begins here is current
    const int32_t length = scanReply(bytes + used, total - used);
    if (length > 0) {
      replyWhole(link, bytes + used, length, receipt.offset + used);
      used += length;
      continue;
    }
    if (length < 0) {
      used = -1;
      break;
    }
    if (total - used <= kKeepMax) break;
    pushBegin(&scanOf(link), PushMode::Reply);
    link.streaming = bytes[used] == '>' ? kStreamingPush : kStreamingReply;
    if (link.streaming == kStreamingReply && link.requests > 0)
      journal.touch(requests[link.request_head]).flags |= kRequestFlagPartial;
    const int32_t taken = streamReply(link, bytes + used, total - used);
    used = taken < 0 ? -1 : used + taken;
  }
  const bool more = used >= 0 && used < total && link.state != kLinkStateDown;
  // The beginning of something nobody asked for must not become the beginning of a later reply.
  const bool unasked = more && link.state == kLinkStateUp && bytes[used] != '>' && !isAwaited(link);
  if (used < 0 || unasked) return linkBroken(link, EPROTO);
  receipt.used = used;
  if (used < total && link.state != kLinkStateDown &&
      !chains.append(inOf(link), bytes + used, total - used))
    linkBroken(link, ENOMEM);
}

// Whether a reply is due: a request has begun to leave. A line that a server says by itself
// ("-ERR max number of clients reached") is no reply to what was not yet sent.
bool Lane::isAwaited(const Link& link) const {
  if (link.requests == 0) return false;
  const Request& first = requests[link.request_head];
  return first.link_end - static_cast<uint64_t>(first.bytes) < link.tx;
}

// Passes pieces of a large reply on. Returns the bytes taken, -1 when they are no RESP.
int32_t Lane::streamReply(Link& link, const uint8_t* bytes, int32_t count) {
  const int32_t taken = pushBytes(&scanOf(link), bytes, count, PushMode::Reply, kReplyBulkMax);
  if (taken < 0) return -1;
  if (link.streaming == kStreamingPush) {
    if (scanOf(link).left == 0) link.streaming = 0;
    return taken;
  }
  if (link.requests == 0) return -1;
  Request& request = requests[link.request_head];
  replyPiece(request, bytes, taken);
  if (scanOf(link).left == 0) {
    link.streaming = 0;
    countReply(link, request, nullptr, 0);
    popFromLink(link);
    replyEnd(request);
  }
  return taken;
}

void Lane::replyPiece(Request& request, const uint8_t* bytes, int32_t count) {
  if (request.session == 0 || (request.flags & kRequestFlagTimedOut) != 0) return;
  Session& session = journal.touch(sessions[request.session]);
  if ((request.flags & kRequestFlagPart) == 0 && session.request_head == numberOf(request)) {
    if ((request.flags & kRequestFlagCut) == 0) journal.touch(request).flags |= kRequestFlagCut;
    return append(session, bytes, count);
  }
  const int32_t session_number = request.session;
  session.held_bytes += count;
  if (overLimit(session)) return closeSession(session_number, kCloseReasonOutputLimit);
  if (!chains.append(heldOf(journal.touch(request)), bytes, count))
    closeSession(session_number, kCloseReasonNoMemory);
}

bool Lane::overLimit(const Session& session) const {
  return session.out_bytes + static_cast<double>(session.held_bytes) > outputLimit(session);
}

// What a peer has to say is another lane's clients', who have limits of their own.
double Lane::outputLimit(const Session& session) const {
  return isPeer(session) ? static_cast<double>(kQueueMax) : pools[session.pool].output_limit;
}

// The last piece has been passed on.
void Lane::replyEnd(Request& request) {
  const int32_t number = numberOf(request);
  if (request.session == 0 || (request.flags & kRequestFlagTimedOut) != 0)
    return dropReply(request);
  journal.touch(request).flags &= ~(kRequestFlagPartial | kRequestFlagCut | kRequestFlagInLink);
  if ((request.flags & kRequestFlagPart) != 0) {
    request.state = kRequestStateHeld;
    return partAnswered(number);
  }
  Session& session = journal.touch(sessions[request.session]);
  if (session.request_head != number) {
    request.state = kRequestStateHeld;
    return;
  }
  complete(session, request, false);
  drainHeld(session);
}

void Lane::countReply(Link& link, const Request& request, const uint8_t* bytes, int32_t count) {
  BackendCounter& counted = counterOf(link);
  counted.responses += 1;
  counted.in_queue -= 1;
  if (count > 0 && bytes[0] == '-') {
    if (!isPeer(sessions[request.session])) command_counters[request.command].errors += 1;
    if (link.home == 0 && isServerFailure(bytes, count)) {
      counted.failures += 1;
      counted.failures_total += 1;
      if (head->descriptors < sizes.descriptors / 2)
        describe(kDescriptorKindServerFailing, numberOf(link));
      return;
    }
  }
  counted.failures = 0;
  if (link.home != 0) return;
  histograms[sizes.pools + link.backend].bucket[bucketOf(head->now_us - request.arrived_us)] += 1;
}

void Lane::replyWhole(Link& link, const uint8_t* bytes, int32_t count, int32_t offset) {
  if (__builtin_expect(link.state == kLinkStateHandshake, 0)) {
    if (head->descriptors > sizes.descriptors - 64) return linkBroken(link, EPROTO);
    Descriptor& descriptor = describe(kDescriptorKindLinkReply, numberOf(link));
    descriptor.offset = offset;
    descriptor.bytes = count;
    return;
  }
  if (bytes[0] == '>') return;  // a push message nobody on a shared link has asked for
  if (__builtin_expect(!isAwaited(link), 0)) return linkBroken(link, EPROTO);
  POISON("reply", bytes, count);
  const int32_t number = link.request_head;
  Request& request = requests[number];
  ++link.replies;
  countReply(link, request, bytes, count);
  popFromLink(link);
  if (__builtin_expect(request.session == 0 || (request.flags & kRequestFlagTimedOut) != 0, 0)) {
    return dropReply(request);
  }
  Session& session = journal.touch(sessions[request.session]);
  if (__builtin_expect((request.flags & kRequestFlagPart) != 0, 0)) {
    session.held_bytes += count;
    holdNear(number, offset, count);
    if (bytes[0] == '-') request.flags |= kRequestFlagError;
    if (overLimit(session)) return closeSession(request.session, kCloseReasonOutputLimit);
    return partAnswered(number);
  }
  if (session.request_head != number) {
    session.held_bytes += count;
    holdNear(number, offset, count);
    if (overLimit(session)) closeSession(request.session, kCloseReasonOutputLimit);
    return;
  }
  append(session, bytes, count);
  complete(session, request, false);
  drainHeld(session);
}

// A reply nobody waits for any more: its client left, or was given an error when the time was up.
void Lane::dropReply(Request& request) {
  counterOf(links[request.link]).late += 1;
  if ((request.flags & kRequestFlagInSession) == 0 && request.parent == 0)
    return freeRequest(numberOf(request));
  journal.touch(request).flags &=
      ~kRequestFlagInLink;  // the error it was given still waits its turn
}

// Queues bytes for a client; one that lets too much pile up is closed.
void Lane::append(Session& session, const uint8_t* bytes, int32_t count) {
  const int32_t number = numberOf(session);
  if (session.state == kSessionStateClosing) return;
  if (__builtin_expect(
          session.out_bytes + static_cast<double>(count) > outputLimit(session), 0)) {
    return closeSession(number, kCloseReasonOutputLimit);
  }
  if (__builtin_expect(!chains.append(outOf(session), bytes, count), 0))
    return closeSession(number, kCloseReasonNoMemory);
  dirtySession(number);
}

// The oldest request of a session has its whole reply in the output.
void Lane::complete(Session& session, Request& request, bool in_link) {
  const double us = head->now_us - request.arrived_us;
  if (!isPeer(session)) {
    pool_counters[session.pool].replies += 1;
    histograms[session.pool].bucket[bucketOf(us)] += 1;
    if (request.command >= 0) command_counters[request.command].usec += us;
  }
  popFromSession(session);
  if (!in_link) return freeRequest(numberOf(request));
  request.flags &=
      ~kRequestFlagInSession;  // imaged: it was given an error in this turn or has been held
}

// Replies that were held and whose turn has come.
void Lane::drainHeld(Session& session) {
  if (session.held_bytes == 0) return;
  while (session.requests > 0 && session.state != kSessionStateClosing) {
    Request& request = requests[session.request_head];
    Chain& held = heldOf(request);
    const bool partial = (request.flags & kRequestFlagPartial) != 0;
    if (request.state != kRequestStateHeld && !(partial && held.bytes > 0)) return;
    journal.touch(request);
    if (request.near_bytes > 0) {
      const int32_t count = request.near_bytes;
      session.held_bytes -= count;
      append(session,
             request.near_offset < 0 ? request.inline_ : region.arena + request.near_offset, count);
      request.near_bytes = 0;
    } else if (held.bytes > 0) {
      session.held_bytes -= held.bytes;
      if (!chains.appendChain(outOf(session), held))
        return closeSession(numberOf(session), kCloseReasonNoMemory);
      dirtySession(numberOf(session));
    }
    if (partial) {
      request.flags |= kRequestFlagCut;
      return;
    }
    complete(session, request, (request.flags & kRequestFlagInLink) != 0);
  }
}

// Holds a reply that lies in this turn's arena.
void Lane::holdNear(int32_t number, int32_t offset, int32_t count) {
  Request& request = journal.touch(requests[number]);
  request.state = kRequestStateHeld;
  request.flags &= ~kRequestFlagInLink;
  request.near_offset = offset;
  request.near_bytes = count;
  near_.push_back(number);
}

// Holds a reply that lies anywhere; its bytes are copied.
void Lane::hold(Request& request, const uint8_t* bytes, int32_t count) {
  journal.touch(request).state = kRequestStateHeld;
  if (request.session != 0) journal.touch(sessions[request.session]).held_bytes += count;
  if (count <= static_cast<int32_t>(sizeof request.inline_)) {
    memcpy(request.inline_, bytes, static_cast<size_t>(count));
    request.near_offset = -1;
    request.near_bytes = count;
  } else if (!chains.append(heldOf(request), bytes, count) && request.session != 0) {
    closeSession(request.session, kCloseReasonNoMemory);
  }
}

// The arena is about to be used again: replies still held in it move to their rows or to chains.
void Lane::settleNear() {
  for (const int32_t number : near_) {
    Request& request = requests[number];
    if (request.state != kRequestStateHeld || request.near_bytes == 0 || request.near_offset < 0)
      continue;
    const uint8_t* bytes = region.arena + request.near_offset;
    const int32_t count = request.near_bytes;
    if (count <= static_cast<int32_t>(sizeof request.inline_)) {
      memcpy(journal.touch(request).inline_, bytes, static_cast<size_t>(count));
      request.near_offset = -1;
    } else {
      journal.touch(request).near_bytes = 0;
      if (!chains.append(heldOf(request), bytes, count) && request.session != 0)
        closeSession(request.session, kCloseReasonNoMemory);
    }
  }
  near_.clear();
}

// Answers a request with an error in place of its server's reply. It may still be strung to its
// link.
void Lane::answerError(int32_t number, const uint8_t* bytes, int32_t count) {
  Request& request = journal.touch(requests[number]);
  if (request.session == 0) return;
  const int32_t session_number = request.session;
  Session& session = journal.touch(sessions[session_number]);
  pool_counters[session.pool].forward_error += 1;
  session.held_bytes -= heldOf(request).bytes;
  chains.clear(heldOf(request));
  if ((request.flags & kRequestFlagCut) != 0)
    return closeSession(session_number, kCloseReasonReplyCut);
  request.flags &= ~kRequestFlagPartial;
  if ((request.flags & kRequestFlagPart) != 0) {
    request.flags |= kRequestFlagError;
    hold(request, bytes, count);
    return partAnswered(number);
  }
  if (session.request_head != number) return hold(request, bytes, count);
  append(session, bytes, count);
  complete(session, request, (request.flags & kRequestFlagInLink) != 0);
  drainHeld(session);
}

}  // namespace baton
