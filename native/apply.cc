// Plans become changes: what TypeScript decided for each descriptor is carried out here, in order.
//
//   descriptor.plan > 0   forward the request to that link as it is
//   descriptor.plan < 0   run the operation program at word ~plan
//
// All of it is part of the open turn: it happens when the turn is committed, or never.
#include "fault.h"
#include "lane.h"

namespace baton {

// Carries out plans; a class so that the steps share the request at hand without passing it around.
class Applier {
 public:
  explicit Applier(Lane& lane) : lane_(lane) {}

  void run(Descriptor& descriptor) {
    descriptor_ = &descriptor;
    session_ = &lane_.sessions[descriptor.row];
    if (session_->state != kSessionStateOpen && session_->state != kSessionStateFinishing) return;
    if ((session_->flags & kSessionFlagQuit) != 0) return;  // behind QUIT nothing is carried out
    // Behind one that waits: keep the order.
    if (session_->stalled_on != 0) return stall(session_->stalled_on);
    if ((session_->flags & kSessionFlagBarrier) != 0)
      return descriptor.kind == kDescriptorKindProtocolError ? reopen() : wait();
    session_->active_us = lane_.head->now_us;  // told, not relied upon: no image
    session_->last_command = descriptor.command;
    if (__builtin_expect(descriptor.plan > 0, 1)) return forward(descriptor.plan);
    if (descriptor.plan < 0) runProgram(lane_.region.operation + ~descriptor.plan);
  }

  // What another lane asked for: no session's, so nothing is answered.
  void runMessage(Descriptor& descriptor) {
    descriptor_ = &descriptor;
    session_ = nullptr;
    if (descriptor.plan < 0) runProgram(lane_.region.operation + ~descriptor.plan);
  }

 private:
  bool chained() const {
    return descriptor_->offset < 0 && descriptor_->kind == kDescriptorKindRequest;
  }
  const uint8_t* bytes() const { return lane_.region.arena + descriptor_->offset; }
  Session& touched() { return lane_.journal.touch(*session_); }

  void runProgram(const int32_t* word) {
    for (;;) {
      switch (word[0]) {
        case kOperationReply:
          reply(lane_.region.scratch + word[1], word[2]);
          word += 3;
          break;
        case kOperationSplit:
          return split(word);
        case kOperationSetMode:
          touched().mode = word[1];
          word += 2;
          break;
        case kOperationClose:
          touched().state = kSessionStateFinishing;
          session_->flags |= kSessionFlagQuit;
          lane_.sessionInterest(descriptor_->row);
          lane_.dirtySession(descriptor_->row);
          word += 1;
          break;
        case kOperationSend:
          sendMessage(word[1], messageOf(word[2], word[3], word[4]));
          word += 5;
          break;
        case kOperationKill:
          kill(word[1], word[2]);
          word += 3;
          break;
        case kOperationStall:
          return stall(word[1]);
        case kOperationWait:
          return wait();
        default:
          return dropChained();
      }
    }
  }

  void sendMessage(int32_t to, const Message& message) {
    if (!lane_.post.isThere(to)) return;  // it has ended, and with it whom this is about
    if (lane_.post.send(to, message))
      ++lane_.counter->messages_sent;
    else
      ++lane_.counter->pool_full;
  }

  // Whoever asked for it knew the session by a look from another lane: it may be gone.
  void kill(int32_t number, int32_t generation) {
    if (number <= 0 || number >= lane_.head->session_top) return;
    const Session& session = lane_.sessions[number];
    if (session.generation != generation) return;
    if (!lane_.isWhole()) lane_.bringAll();  // who is closed must be here
    lane_.closeSession(number, kCloseReasonAsked);
  }

  Request& track(int32_t number, int32_t bytes, int32_t link) {
    Request& request = lane_.requests[number];
    request.state = kRequestStateSent;
    request.session = descriptor_->row;
    request.command = descriptor_->command;
    request.bytes = bytes;
    request.link = link;
    request.arrived_us = lane_.head->now_us;
    return request;
  }

  void strung(Link& link, Request& request, int32_t number) {
    link.queued_total += static_cast<uint64_t>(request.bytes);
    request.link_end = link.queued_total;
    lane_.pushToLink(link, number);
    BackendCounter& counter = lane_.counterOf(link);
    counter.requests += 1;
    counter.request_bytes += request.bytes;
    counter.in_queue += 1;
    counter.in_queue_bytes += request.bytes;
    lane_.dirtyLink(lane_.numberOf(link));
  }

  void forward(int32_t number) {
    POISON("apply", bytes(), chained() ? 0 : descriptor_->bytes);
    Link& link = lane_.journal.touch(lane_.links[number]);
    Chain& out = outOf(link);
    if (__builtin_expect(int64_t{out.bytes} + descriptor_->bytes > kQueueMax, 0))
      return stall(number);
    const bool moves =
        chained() && session_->in_bytes == session_->whole_bytes;  // nodes change hands
    if (__builtin_expect(!lane_.chains.reserve(moves ? 0 : descriptor_->bytes), 0))
      return refuseForMemory();
    if (chained())
      takeWhole(&out);
    else
      lane_.chains.append(out, bytes(), descriptor_->bytes);
    const int32_t request = lane_.newRequest();
    Request& row = track(request, descriptor_->bytes, number);
    lane_.pushToSession(touched(), request);
    strung(link, row, request);
    if (!isPeer(*session_)) lane_.command_counters[descriptor_->command].calls += 1;
  }

  // Takes the whole large request out of the in chain. What lies behind it, if it had to wait,
  // stays; the request is copied then, because a chain cannot be cut in the middle without touching
  // committed bytes.
  void takeWhole(Chain* to) {
    Session& session = touched();
    Chain& in = inOf(session);
    const int32_t whole = session.whole_bytes;
    session.whole_bytes = 0;
    if (to != nullptr && in.bytes == whole) {
      lane_.chains.appendChain(*to, in);
      return;
    }
    if (to != nullptr) lane_.chains.appendPart(*to, in, 0, whole);
    lane_.chains.consume(in, whole);
  }

  void dropChained() {
    if (chained() && session_->whole_bytes > 0) takeWhole(nullptr);
  }

  void refuseForMemory() {
    static constexpr char kText[] = "-ERR out of memory in the proxy: shm_max is reached\r\n";
    ++lane_.counter->pool_full;
    reply(reinterpret_cast<const uint8_t*>(kText), sizeof kText - 1);
    dropChained();
  }

  void reply(const uint8_t* text, int32_t count) {
    Session& session = touched();
    PoolCounter& counter = lane_.counterOf(session);
    counter.local += 1;
    if (session.requests == 0) {
      counter.replies += 1;
      return lane_.append(session, text, count);
    }
    const int32_t number = lane_.newRequest();
    Request& request = track(number, 0, 0);
    request.state = kRequestStateHeld;
    lane_.pushToSession(session, number);
    lane_.hold(request, text, count);
  }

  // A protocol error behind a request that waits is found again when the rest is framed again.
  void reopen() {
    touched().state = kSessionStateOpen;
    lane_.sessionInterest(descriptor_->row);
  }

  // The request stays unread until the link's queue has shrunk.
  void stall(int32_t link) {
    Session& session = touched();
    session.flags &= ~kSessionFlagScanning;  // what was begun behind it is scanned again, too
    if (descriptor_->kind == kDescriptorKindProtocolError) return reopen();
    if (session.stalled_on == 0) {
      session.stalled_on = link;
      session.flags |= kSessionFlagBacklog;
      lane_.stalled_[static_cast<size_t>(link)].push_back(descriptor_->row);
      ++lane_.counterOf(session).stalled;
      ++lane_.counter->stalls;
    }
    lane_.journal.touch(lane_.links[session.stalled_on]).stalled = 1;
    --lane_.counterOf(session).requests;
    putBack();
  }

  // The request, and what follows it, stays unread until everything before it is answered.
  void wait() {
    touched().flags |= kSessionFlagBacklog | kSessionFlagBarrier;
    session_->flags &= ~kSessionFlagScanning;
    --lane_.counterOf(*session_).requests;
    putBack();
  }

  void putBack() {
    Receipt& receipt = lane_.receipts[descriptor_->receipt];
    if (!chained()) receipt.used = std::min(receipt.used, descriptor_->start);
  }

  // [Split, merge, parts, keys, step, link of each part…, part of each key…]
  void split(const int32_t* word) {
    const int32_t merge = word[1], parts = word[2], keys = word[3], step = word[4];
    const int32_t* link_of = word + 5;
    POISON("apply", bytes(), chained() ? 0 : descriptor_->bytes);
    const int32_t* part_of = link_of + parts;
    // Each part repeats the name and a header; the rest is the request's own bytes, once.
    for (int32_t part = 0; part < parts; ++part) {
      if (int64_t{lane_.links[link_of[part]].out_bytes} + descriptor_->bytes + 8192 > kQueueMax)
        return stall(link_of[part]);
    }
    const bool fits =
        lane_.chains.reserve(descriptor_->bytes + int64_t{8192} * parts + 2 * keys) &&
        lane_.chains.nodes.reserve(descriptor_->bytes / ChainStore::kNodeBytes + 2 * parts + 4);
    if (!fits) return refuseForMemory();
    const int32_t whole = lane_.newRequest();
    Request& parent = track(whole, descriptor_->bytes, 0);
    parent.state = kRequestStateWaiting;
    parent.merge = merge;
    parent.parts = parts;
    parent.keys = keys;
    if (merge == kMergeKindInterleave) noteOrder(parent, part_of, keys);
    lane_.pushToSession(touched(), whole);
    lane_.command_counters[descriptor_->command].calls += 1;
    lane_.pool_counters[session_->pool].fragments += parts;
    counts_.assign(static_cast<size_t>(parts), 0);
    for (int32_t i = 0; i < keys; ++i) ++counts_[static_cast<size_t>(part_of[i])];
    for (int32_t part = 0; part < parts; ++part) {
      Link& link = lane_.journal.touch(lane_.links[link_of[part]]);
      const int32_t before = outOf(link).bytes;
      writePart(outOf(link), part, part_of, keys, step);
      const int32_t number = lane_.newRequest();
      Request& request = track(number, outOf(link).bytes - before, link_of[part]);
      request.flags |= kRequestFlagPart;
      request.parent = whole;
      request.part = part;
      request.session_next = parent.first_part;
      parent.first_part = number;
      strung(link, request, number);
    }
    dropChained();
  }

  // Which part has each key, two bytes a key: in the row while they are few, else in its held chain.
  void noteOrder(Request& parent, const int32_t* part_of, int32_t keys) {
    const bool few = keys * 2 <= static_cast<int32_t>(sizeof parent.inline_);
    for (int32_t i = 0; i < keys; ++i) {
      const auto part = static_cast<uint16_t>(part_of[i]);
      if (few) {
        memcpy(parent.inline_ + 2 * i, &part, sizeof part);
      } else {
        lane_.chains.append(heldOf(parent), reinterpret_cast<const uint8_t*>(&part), sizeof part);
      }
    }
  }

  void writePart(Chain& out, int32_t part, const int32_t* part_of, int32_t keys, int32_t step) {
    const int32_t* argument = lane_.region.argument + descriptor_->arguments;
    uint8_t header[kHeaderMax];
    const int32_t length =
        writeHeader(header, '*', 1 + counts_[static_cast<size_t>(part)] * step);
    lane_.chains.append(out, header, length);
    cursor_ = {};
    copyArgument(out, argument);
    for (int32_t key = 0; key < keys; ++key) {
      if (part_of[key] != part) continue;
      for (int32_t i = 0; i < step; ++i) copyArgument(out, argument + 3 * (1 + key * step + i));
    }
  }

  // Copies one argument with its "$n" line.
  void copyArgument(Chain& out, const int32_t* argument) {
    const int32_t offset = argument[0], length = argument[1];
    if (!chained()) {
      const uint8_t* from = bytes() + offset;
      while (*--from != '$') {
      }  // digits and CRLF lie between
      lane_.chains.append(out, from, static_cast<int32_t>(bytes() + offset - from) + length + 2);
      return;
    }
    uint8_t header[kHeaderMax];
    lane_.chains.append(out, header, writeHeader(header, '$', length));
    lane_.chains.appendPart(out, inOf(*session_), offset, length + 2, &cursor_);
  }

  Lane& lane_;
  Descriptor* descriptor_ = nullptr;
  Session* session_ = nullptr;
  std::vector<int32_t> counts_;  // keys of each part
  ChainCursor cursor_;           // where copying from a large request has got to
};

void Lane::applyPlans(int32_t decided) {
  Applier applier(*this);
  const int32_t step = head->step;
  mark(head->step, kStepApplying);
  for (int32_t i = head->applied; i < decided; mark(head->applied, ++i)) {
    Descriptor& descriptor = descriptors[i];
    if (descriptor.kind == kDescriptorKindRequest ||
        descriptor.kind == kDescriptorKindProtocolError)
      applier.run(descriptor);
    else if (descriptor.kind == kDescriptorKindMessage)
      applier.runMessage(descriptor);
  }
  mark(head->step, step);
}

}  // namespace baton
