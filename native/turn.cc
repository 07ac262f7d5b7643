// The turn: the order of things, and the commit.
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

#include "fault.h"
#include "lane.h"

namespace baton {

namespace {
constexpr int32_t kDescriptorsKept = 64;  // for what is noticed on the way
}

// Finishes the open turn: plans are carried out, rests are kept, then everything becomes true at
// once.
void Lane::seal() {
  applyPlans(head->decided);
  FAULT(Applied);
  keepRests();
  FAULT(RestsKept);
  settleNear();
  FAULT(NearSettled);
  relays.flush();
  post.fill();
  const bool has_worked = head->receipts > 0 || head->descriptors > 0;
  journal.commit();
  FAULT(Committed);
  counter->bells_rung += post.publish();
  FAULT(MessagesPublished);
  if (has_worked) head->sealed = (head->sealed + 1) & 0x7fffffff;
  if (!peeked_.empty()) takePeeked();
  FAULT(PeekedTaken);
  counter->turns += 1;
  counter->images = static_cast<double>(journal.images());
  chains.nodes.settle();
  chains.chunks.settle();
  FAULT(UnitsSettled);
  if (head->now_us - trimmed_us_ > kTrimEveryUs) {
    trimmed_us_ = head->now_us;
    chains.nodes.trim();
    chains.chunks.trim();
  }
  for (const int32_t number : freed_requests_) requests[number].state = kRequestStateFree;
  free_requests_.insert(free_requests_.end(), freed_requests_.begin(), freed_requests_.end());
  freed_requests_.clear();
  free_sessions_.insert(free_sessions_.end(), closed_.begin(), closed_.end());
  closed_.clear();
  head->receipts = head->arena_used = head->arguments = 0;
  head->descriptors = head->decided = head->applied = 0;
  reserved_rows_ = 0;
  head->nodes_used = chains.nodes.used();
  head->chunks_used = chains.chunks.used();
  row->turns = (row->turns + 1) & 0x7fffffff;
  FAULT(Sealed);
}

// Sends what the sealed turn has queued. This is part of the next turn already.
void Lane::flush() {
  flushing_.swap(dirty_links_);
  for (const int32_t number : flushing_) {
    link_dirty_[static_cast<size_t>(number)] = 0;
    flushLink(number);
  }
  flushing_.clear();
  flushing_.swap(dirty_sessions_);
  for (const int32_t number : flushing_) {
    session_dirty_[static_cast<size_t>(number)] = 0;
    flushSession(number);
  }
  flushing_.clear();
  destroyClosing();
  retryStarved();
}

// Sessions that a limit of their own or of the lane stopped: those for which there is room go on.
void Lane::retryStarved() {
  if (starved_.empty()) return;
  size_t still = 0;
  for (const int32_t number : starved_) {
    const Session& session = sessions[number];
    if (session.state != kSessionStateOpen || (session.flags & kSessionFlagBacklog) == 0 ||
        session.stalled_on != 0)
      continue;
    const bool collecting = (session.flags & kSessionFlagScanning) != 0;
    if ((session.flags & kSessionFlagBarrier) != 0 && session.requests > 0) {
      starved_[still++] = number;
      continue;
    }
    const bool room =
        collecting ? chains.roomFor(kCollectReserve) : mayFrame(session, pools[session.pool], 0);
    if (room)
      resume(number);
    else
      starved_[still++] = number;
  }
  starved_.resize(still);
  relieveMemory();
}

// Clients whose large requests fill all memory wait for each other for ever when nothing else holds
// any: then the largest of them is closed.
void Lane::relieveMemory() {
  if (starved_.empty() || chains.roomFor(kCollectReserve)) {
    starved_since_us_ = 0;
    return;
  }
  if (starved_since_us_ == 0) starved_since_us_ = head->now_us;
  if (head->now_us - starved_since_us_ < kDeadlockUs || outputPending()) return;
  int32_t largest = 0;
  for (int32_t number = 1; number < head->session_top; ++number) {
    if (sessions[number].state == kSessionStateOpen &&
        sessions[number].in_bytes > sessions[largest].in_bytes)
      largest = number;
  }
  starved_since_us_ = 0;
  if (largest != 0) closeSession(largest, kCloseReasonNoMemory);
}

bool Lane::outputPending() const {
  for (int32_t number = 1; number < head->link_top; ++number) {
    if (links[number].requests > 0) return true;
  }
  for (int32_t number = 1; number < head->session_top; ++number) {
    if (sessions[number].state != kSessionStateFree && sessions[number].out_bytes > 0) return true;
  }
  return false;
}

void Lane::frameWaiting() {
  if (again_.empty()) return;
  std::vector<int32_t> now;
  now.swap(again_);
  for (const int32_t number : now) session_again_[static_cast<size_t>(number)] = 0;
  for (const int32_t number : now) {
    if (sessions[number].state == kSessionStateOpen) readSession(number, Source::Chain);
  }
}

// What other lanes have sent: an event each, so that TypeScript decides it as part of this turn.
void Lane::receiveMessages() {
  const int32_t room = sizes.descriptors - kDescriptorsKept - head->descriptors;
  counter->messages_received += post.receive(room, [this](int32_t from, const Message& message) {
    const Relays::Taken taken = relays.take(from, message);
    if (taken != Relays::Taken::NotOurs) return taken == Relays::Taken::Yes;
    Descriptor& descriptor = describe(kDescriptorKindMessage, message.row);
    descriptor.command = message.kind;
    descriptor.argc = message.value;
    descriptor.pool = from;
    return true;
  });
}

// In the first turn, which sockets alone would not cause.
void Lane::redo() {
  for (const int32_t number : poisoned_links_) linkBroken(links[number], EPROTO);
  poisoned_links_.clear();
  answerOrphans();
  for (const int32_t number : unread_links_) readLink(number, Source::Chain);
  unread_links_.clear();
  for (const int32_t number : lost_links_) {
    if (links[number].state != kLinkStateDown) linkBroken(links[number], ECONNRESET);
  }
  lost_links_.clear();
}

void Lane::receiveReady(const void* ready, int32_t count) {
  const auto* events = static_cast<const epoll_event*>(ready);
  head->now_us = time();
  row->heartbeat_us = head->now_us + head->ownerless_us;
  if (!unread_links_.empty() || !lost_links_.empty() || !poisoned_links_.empty() ||
      !orphans_.empty())
    redo();
  if (!isWhole()) bringReady(ready, count);
  receiveMessages();
  frameWaiting();
  int32_t listening[kEvents];
  int32_t listeners_ready = 0;
  for (int32_t i = 0; i < count; ++i) {
    const auto id = static_cast<int32_t>(events[i].data.u64);
    const uint32_t what = events[i].events;
    if (head->descriptors > sizes.descriptors - kDescriptorsKept) break;  // they come again
    if (id >= kLinkId) {
      const int32_t number = id - kLinkId;
      if ((what & EPOLLOUT) != 0 || links[number].state == kLinkStateConnecting)
        linkWritable(number);
      if ((what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) readLink(number, Source::Socket);
    } else if (id >= kListenerId) {
      listening[listeners_ready++] = id - kListenerId;
    } else if (id == kDoorbellId) {
      uint64_t rings;
      (void)!read(doorbell_fd, &rings, sizeof rings);
    } else {
      sessionEvent(id, what);
    }
  }
  // Last, so that clients that have just left make room for those that come.
  for (int32_t i = 0; i < listeners_ready; ++i) acceptAll(listening[i]);
}

void Lane::sessionEvent(int32_t number, uint32_t what) {
  Session& session = sessions[number];
  if ((what & EPOLLOUT) != 0 && (session.flags & kSessionFlagWantWrite) != 0) {
    journal.touch(session).flags &= ~kSessionFlagWantWrite;
    sessionInterest(number);
    dirtySession(number);
  }
  const bool gone = (what & (EPOLLHUP | EPOLLERR)) != 0;
  const bool unread =
      session.state == kSessionStateFinishing || (session.flags & kSessionFlagMuted) != 0;
  if (gone && unread) return closeSession(number, kCloseReasonClientError);
  if ((what & EPOLLIN) != 0 || gone) sessionReadable(number);
}

}  // namespace baton
