// Sessions, inbound: socket → arena → requests → descriptors.
//
//   arena:  … [kept from the in chain | received] …      one receipt each
//              └ framed requests ┘└ rest: goes to the in chain at the turn's end ┘
//
// A request that does not end within kKeepMax bytes is collected in the in chain as it comes and is
// described when it is whole, so that a client stalled inside a value holds up nobody.
#include <sys/socket.h>

#include <cerrno>

#include "chain-reader.h"
#include "fault.h"
#include "hash.h"
#include "inline-request.h"
#include "lane.h"

namespace baton {

namespace {

constexpr int32_t kNoOffender = '?';
// Words that listing the arguments of anything within one receipt may take.
constexpr int32_t kArgumentReserve = 3 * 32768;

uint32_t routeHash(const Pool& pool, const uint8_t* key, int32_t count) {
  const KeyTag tag = pool.tag_open < 0 ? KeyTag{0, 0}
                                       : KeyTag{static_cast<uint8_t>(pool.tag_open),
                                                static_cast<uint8_t>(pool.tag_close)};
  return route_hash(static_cast<HashKind>(pool.hash), tag, key, static_cast<size_t>(count));
}

}  // namespace

// Publishes where bytes are about to land before they do: whoever finishes this turn can find them.
Receipt* Lane::openReceipt(int32_t id, int32_t kept, int32_t room) {
  if (head->receipts == sizes.receipts ||
      head->arena_used + kept + room + kHeaderMax > sizes.arena_bytes)
    return nullptr;
  Receipt& receipt = receipts[head->receipts];
  receipt = {id, head->turn, head->arena_used, kept, room, -1, 0, {}};
  storeBarrier();
  ++head->receipts;
  return &receipt;
}

void Lane::closeReceipt(Receipt& receipt, int32_t got) {
  receipt.got = got;
  head->arena_used += (receipt.kept + got + 63) & ~63;
}

// The kernel counts what a TCP socket has given out, so that a new owner can tell. A unix socket
// has no such count: its bytes are only looked at, and taken out when the turn that has them is
// committed. How far they have been looked at is the socket's own to remember (SO_PEEK_OFF).
ssize_t Lane::receive(int fd, bool is_unix, uint8_t* to) {
  ++counter->receives;
  return recv(fd, to, static_cast<size_t>(kReceiveRoom), is_unix ? MSG_PEEK : 0);
}

void Lane::notePeeked(int32_t id, int32_t& peeked, ssize_t got) {
  if (got == 0) return;
  peeked = static_cast<int32_t>(got);
  peeked_.push_back(id);
}

// To be called right after the commit, before a row is imaged again: `peeked` must not come back.
void Lane::takePeeked() {
  for (const int32_t id : peeked_) {
    const bool is_link = id >= kLinkId;
    const int fd = is_link ? links[id - kLinkId].fd : sessions[id].fd;
    settlePeeked(fd, is_link ? links[id - kLinkId].peeked : sessions[id].peeked);
  }
  peeked_.clear();
}

// Takes out what has been looked at and belongs to a committed turn, as far as that is not done.
void Lane::settlePeeked(int fd, int32_t& peeked) {
  static uint8_t sink[kReceiveRoom];
  int32_t left = peeked;
  while (left > 0 && fd >= 0) {
    const ssize_t got = recv(fd, sink, static_cast<size_t>(left), 0);
    if (got > 0) left -= static_cast<int32_t>(got);
    if (got == 0 || (got < 0 && errno != EINTR)) break;
  }
  FAULT(PeekTaken);
  storeBarrier();
  peeked = 0;
}

void Lane::sessionReadable(int32_t number) {
  Session& session = sessions[number];
  if (session.state != kSessionStateOpen) return;
  if ((session.flags & kSessionFlagBacklog) != 0) {
    // A limit keeps its requests from being framed: let TCP hold the rest back.
    journal.touch(session).flags |= kSessionFlagMuted;
    sessionInterest(number);
    return;
  }
  readSession(number, Source::Socket);
}

void Lane::readSession(int32_t number, Source source) {
  Session& session = sessions[number];
  // One receipt a turn: what the in chain holds is consumed only when the turn is sealed.
  int32_t& last_read = session_read_[static_cast<size_t>(number)];
  if (last_read == head->turn) return;
  const bool from_socket = source == Source::Socket;
  const bool collecting = (session.flags & kSessionFlagScanning) != 0;
  if (collecting && !chains.roomFor(kCollectReserve)) return waitForMemory(session);
  const int32_t kept = collecting || session.whole_bytes > 0 ? 0 : session.in_bytes;
  const int32_t room = from_socket ? kReceiveRoom : 0;
  Receipt* receipt = openReceipt(number, kept, room);
  if (receipt == nullptr) {
    if (!from_socket) resume(number);  // next turn
    return;
  }
  last_read = head->turn;
  FAULT(ReceiptOpened);
  uint8_t* bytes = region.arena + receipt->offset;
  if (kept > 0) chains.read(inOf(session), 0, kept, bytes);
  ssize_t got = 0;
  if (from_socket) {
    got = receive(session.fd, (session.flags & kSessionFlagUnix) != 0, bytes + kept);
    if (got <= 0) {
      --head->receipts;
      if (got == 0) return endOfInput(number);
      if (errno != EAGAIN && errno != EINTR) closeSession(number, kCloseReasonClientError);
      return;
    }
  }
  FAULT(Received);
  journal.touch(session).rx += static_cast<uint64_t>(got);
  FAULT(ReceiveNoted);
  session.flags &= ~(kSessionFlagBacklog | kSessionFlagBarrier);
  pool_counters[session.pool].bytes_in += static_cast<double>(got);
  closeReceipt(*receipt, static_cast<int32_t>(got));
  if ((session.flags & kSessionFlagUnix) != 0) notePeeked(number, session.peeked, got);
  mark(head->step, kStepFraming);
  if (session.whole_bytes > 0)
    describeWhole(session, *receipt);
  else if (collecting)
    collect(session, *receipt);
  else
    frame(session, *receipt);
  mark(head->step, kStepOther);
}

// A large request goes on when others have given memory back; until then TCP holds its client up.
void Lane::waitForMemory(Session& session) {
  const int32_t number = numberOf(session);
  const bool was_muted = (session.flags & kSessionFlagMuted) != 0;
  journal.touch(session).flags |= kSessionFlagMuted | kSessionFlagBacklog;
  if (!was_muted) sessionInterest(number);
  ++counter->pool_full;
  starved_.push_back(number);
}

bool Lane::mayFrame(const Session& session, const Pool& pool, int32_t framed) const {
  return (session.requests + framed < pool.requests_max || isPeer(session)) &&
         chains.roomFor(kFrameReserve) && session.out_bytes + session.held_bytes < kOutputPause &&
         head->descriptors < sizes.descriptors - 64 &&
         requestsAvailable() > reserved_rows_ + pool.backends + 1 &&
         head->arguments <= sizes.argument_words - kArgumentReserve;
}

void Lane::frame(Session& session, Receipt& receipt) {
  const Pool& pool = pools[session.pool];
  const int32_t total = receipt.kept + receipt.got;
  const uint8_t* bytes = region.arena + receipt.offset;
  int32_t used = 0;
  int32_t framed = 0;
  const int64_t poison_at = poisonAt(session, total);
  while (used < total) {
    mark(receipt.used, used);  // what begins here is current
    if (!mayFrame(session, pool, framed)) {
      backlog(session);
      break;
    }
    RequestView view;
    int32_t length;
    if (used == poison_at && (session.flags & kSessionFlagUnframable) != 0) {
      length = kScanPoisoned;
    } else if (bytes[used] == '*') {
      length = scanMultibulk(bytes + used, total - used, pool.bulk_max, &view);
      if (length > 0 && view.argc > 0)
        describeRequest(session, receipt, used, view, receipt.offset + used);
    } else {
      length = frameInline(session, receipt, used);
    }
    if (length < 0) {
      protocolError(session, length,
                    length == kScanNoDollar ? bytes[used + view.bytes] : kNoOffender);
      used = total;
      break;
    }
    if (length == 0) {
      if (bytes[used] == '*' && total - used > kKeepMax)
        beginCollecting(session, bytes + used, total - used);
      break;
    }
    used += length;
    ++framed;
    if (used - length == poison_at) return poison(session, receipt, used);
  }
  receipt.used = used;
  FAULT(Framed);
}

// An inline command becomes a multibulk in the arena, so that nothing behind the scanner knows of
// them.
int32_t Lane::frameInline(Session& session, Receipt& receipt, int32_t start) {
  const Pool& pool = pools[session.pool];
  const uint8_t* line = region.arena + receipt.offset + start;
  const int32_t count = receipt.kept + receipt.got - start;
  const auto* newline = static_cast<const uint8_t*>(memchr(line, '\n', static_cast<size_t>(count)));
  if (newline == nullptr) return count > pool.inline_max ? kScanInlineTooBig : 0;
  const auto length = static_cast<int32_t>(newline - line) + 1;
  if (length > pool.inline_max) return kScanInlineTooBig;
  uint8_t* to = region.arena + head->arena_used;
  const int32_t room = sizes.arena_bytes - head->arena_used;
  const int32_t written = rewriteInline(line, length, to, room);
  if (written == kInlineNoRoom) {
    backlog(session);
    return 0;
  }
  if (written < 0) return kScanUnbalanced;
  if (written > 0) {
    RequestView view;
    scanMultibulk(to, written, INT32_MAX, &view);
    const int32_t offset = head->arena_used;
    head->arena_used += (written + 63) & ~63;
    describeRequest(session, receipt, start, view, offset);
  }
  return length;
}

void Lane::describeRequest(Session& session, Receipt& receipt, int32_t start,
                           const RequestView& view, int32_t offset) {
  const Pool& pool = pools[session.pool];
  POISON("frame", region.arena + offset, view.bytes);
  Descriptor& descriptor = descriptors[head->descriptors++];
  const int32_t command = names.find(view.name, view.name_bytes);
  descriptor.kind = kDescriptorKindRequest;
  descriptor.row = numberOf(session);
  descriptor.plan = 0;
  descriptor.command = command;
  descriptor.argc = view.argc;
  descriptor.offset = offset;
  descriptor.bytes = view.bytes;
  descriptor.arguments = -1;
  descriptor.pool = session.pool;
  descriptor.receipt = static_cast<int32_t>(&receipt - receipts);
  descriptor.start = start;
  int32_t rows = 1;
  if (command >= 0 && !names.shape(command).list_arguments) {
    // One server gets everything, whatever the hash.
    descriptor.hash =
        pool.backends > 1 ? static_cast<int32_t>(routeHash(pool, view.key, view.key_bytes)) : 0;
  } else {
    const CommandNames::Shape none = {true, 0, 0};
    listArguments(descriptor, region.arena + offset, command >= 0 ? names.shape(command) : none,
                  pool);
    rows += std::min(view.argc, pool.backends);
  }
  reserved_rows_ += rows;
  counterOf(session).requests += 1;
}

// Lists [offset, bytes, hash] of each argument; offsets count from the request's first byte. The
// hash is that of keys at regular places only; of the others TypeScript asks by itself.
bool Lane::listArguments(Descriptor& descriptor, const uint8_t* bytes,
                         const CommandNames::Shape& shape, const Pool& pool) {
  if (head->arguments + 3 * descriptor.argc > sizes.argument_words) return false;
  descriptor.arguments = head->arguments;
  int32_t* word = region.argument + head->arguments;
  const uint8_t* p = bytes + 1;
  while (*p++ != '\n') {
  }
  int32_t next_key = shape.key_step > 0 ? shape.first_key : -1;
  for (int32_t i = 0; i < descriptor.argc; ++i) {
    int32_t length = 0;
    for (++p; *p != '\r'; ++p) length = length * 10 + (*p - '0');
    p += 2;
    word[0] = static_cast<int32_t>(p - bytes);
    word[1] = length;
    if (i == next_key) {
      word[2] = static_cast<int32_t>(routeHash(pool, p, length));
      next_key += shape.key_step;
    }
    word += 3;
    p += length + 2;
  }
  head->arguments += 3 * descriptor.argc;
  return true;
}

void Lane::protocolError(Session& session, int32_t code, int32_t offender) {
  journal.touch(session).state = kSessionStateFinishing;
  ++pool_counters[session.pool].error_protocol;
  reserved_rows_ += 1;
  Descriptor& descriptor = describe(kDescriptorKindProtocolError, numberOf(session));
  descriptor.receipt = head->receipts - 1;
  descriptor.start = INT32_MAX;  // behind all requests of its receipt
  descriptor.command = code;
  descriptor.bytes = offender;
  descriptor.pool = session.pool;
  sessionInterest(numberOf(session));
}

// --- large requests
// ---------------------------------------------------------------------------------

void Lane::beginCollecting(Session& session, const uint8_t* bytes, int32_t count) {
  PushState& state = scanOf(journal.touch(session));
  pushBegin(&state, PushMode::Request);
  const int32_t taken =
      pushBytes(&state, bytes, count, PushMode::Request, pools[session.pool].bulk_max);
  if (taken < 0)
    return protocolError(session, taken, taken == kScanNoDollar ? state.number : kNoOffender);
  session.flags |= kSessionFlagScanning;  // the bytes themselves follow as the receipt's rest
}

void Lane::collect(Session& session, Receipt& receipt) {
  const int32_t number = numberOf(session);
  const uint8_t* bytes = region.arena + receipt.offset;
  PushState& state = scanOf(session);
  const int32_t taken =
      isUnframable(session, receipt.got + session.in_bytes)
          ? kScanPoisoned
          : pushBytes(&state, bytes, receipt.got, PushMode::Request, pools[session.pool].bulk_max);
  receipt.used = receipt.got;
  if (taken < 0)
    return protocolError(session, taken, taken == kScanNoDollar ? state.number : kNoOffender);
  if (session.in_bytes > kRequestMax - taken)
    return closeSession(number, kCloseReasonRequestTooLarge);
  if (!chains.append(inOf(session), bytes, taken))
    return closeSession(number, kCloseReasonNoMemory);
  receipt.used = taken;
  if (state.left > 0) return;
  session.flags &= ~kSessionFlagScanning;
  session.whole_bytes = session.in_bytes;
  describeWhole(session, receipt);
}

// The in chain begins with a whole request. What lies behind it is framed in a later turn.
void Lane::describeWhole(Session& session, Receipt& receipt) {
  const Pool& pool = pools[session.pool];
  backlog(session);
  // One with very many arguments needs the argument region for itself.
  const bool crowded = head->arguments > 0 && session.whole_bytes > kArgumentReserve;
  if (crowded || !mayFrame(session, pool, 0)) return;
  Descriptor& descriptor = describe(kDescriptorKindRequest, numberOf(session));
  descriptor.bytes = session.whole_bytes;
  descriptor.pool = session.pool;
  descriptor.receipt = static_cast<int32_t>(&receipt - receipts);
  descriptor.start = receipt.used;
  if (poisonAt(session, receipt.got - receipt.used + session.in_bytes) == 0)
    poison(session, receipt, receipt.used);
  else
    listChained(session, descriptor);
  reserved_rows_ += 1 + std::min(descriptor.argc, pool.backends);
  counterOf(session).requests += 1;
}

// Of a plain command only the name and the key are listed; one with more arguments than can be
// listed has none.
void Lane::listChained(Session& session, Descriptor& descriptor) {
  const Pool& pool = pools[session.pool];
  ChainReader reader(chains, inOf(session));
  reader.next();
  const auto argc = static_cast<int32_t>(reader.number());
  descriptor.argc = argc;
  int32_t list = argc;
  int32_t* word = region.argument + head->arguments;
  CommandNames::Shape shape = {true, 0, 0};
  int32_t next_key = -1;
  for (int32_t i = 0; i < list; ++i, word += 3) {
    reader.next();
    const auto length = static_cast<int32_t>(reader.number());
    word[0] = reader.at();
    word[1] = length;
    if (i == 0) {
      uint8_t name[CommandNames::kNameMax] = {};
      if (length <= CommandNames::kNameMax) chains.read(inOf(session), reader.at(), length, name);
      descriptor.command = names.find(name, length);
      if (descriptor.command >= 0) shape = names.shape(descriptor.command);
      next_key = !shape.list_arguments ? 1 : shape.key_step > 0 ? shape.first_key : -1;
      if (!shape.list_arguments) list = std::min(argc, 2);
      if (list > (sizes.argument_words - head->arguments) / 3) return;
    } else if (i == next_key) {
      rest_.resize(static_cast<size_t>(length));
      chains.read(inOf(session), reader.at(), length, rest_.data());
      word[2] = static_cast<int32_t>(routeHash(pool, rest_.data(), length));
      if (!shape.list_arguments) descriptor.hash = word[2];
      next_key = shape.list_arguments ? next_key + shape.key_step : -1;
    }
    reader.skip(length + 2);
  }
  descriptor.arguments = head->arguments;
  head->arguments += 3 * list;
}

// --- what a turn leaves over
// ------------------------------------------------------------------------

// A limit stopped framing: the rest waits in the in chain until the limit is relieved.
void Lane::backlog(Session& session) { journal.touch(session).flags |= kSessionFlagBacklog; }

// Frames what waits in the in chain, in the next turn.
void Lane::resume(int32_t number) {
  uint8_t& mark = session_again_[static_cast<size_t>(number)];
  if (mark != 0) return;
  mark = 1;
  again_.push_back(number);
}

// Moves each receipt's unframed rest to its in chain; the arena is free when that is committed.
void Lane::keepRests() {
  for (int32_t i = 0; i < head->receipts; ++i) {
    Receipt& receipt = receipts[i];
    if (receipt.row >= kListenerId) continue;  // links keep theirs when they are framed
    Session& session = sessions[receipt.row];
    if (session.state != kSessionStateOpen) continue;
    const int32_t rest = receipt.kept + receipt.got - receipt.used;
    Chain& in = inOf(journal.touch(session));
    const uint8_t* bytes = region.arena + receipt.offset + receipt.used;
    bool kept = true;
    if (receipt.kept > 0 && receipt.used == 0) {
      kept = chains.append(in, bytes + receipt.kept, receipt.got);
    } else {
      if (receipt.kept > 0) chains.clear(in);
      if (rest > 0) kept = chains.append(in, bytes, rest);
    }
    if (!kept) {
      closeSession(receipt.row, kCloseReasonNoMemory);
      continue;
    }
    if (in.bytes == 0) session.flags &= ~kSessionFlagBacklog;
    if ((session.flags & kSessionFlagBacklog) == 0) {
      if ((session.flags & kSessionFlagMuted) != 0) {
        session.flags &= ~kSessionFlagMuted;
        sessionInterest(receipt.row);
      }
    } else if (session.stalled_on == 0) {
      starved_.push_back(receipt.row);
    }
  }
}

}  // namespace baton
