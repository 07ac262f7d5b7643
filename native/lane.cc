// Rows, lists and small steps that all concerns of a lane share.
#include "lane.h"

#include <ctime>

namespace baton {

double monotonicUs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

void rememberPeeks(int fd) {
  const int from_now_on = 0;
  setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &from_now_on, sizeof from_now_on);
}

int32_t Lane::nextSessionRow() const {
  if (!free_sessions_.empty()) return free_sessions_.back();
  return head->session_top < sizes.sessions ? head->session_top : 0;
}

// The one that nextSessionRow named.
int32_t Lane::takeSessionRow() {
  if (!free_sessions_.empty()) {
    const int32_t number = free_sessions_.back();
    free_sessions_.pop_back();
    return number;
  }
  return head->session_top < sizes.sessions ? head->session_top++ : 0;
}

// The caller has seen to it that there is one (requestsAvailable).
int32_t Lane::newRequest() {
  int32_t number;
  if (!free_requests_.empty()) {
    number = free_requests_.back();
    free_requests_.pop_back();
  } else {
    number = head->request_top++;
  }
  Request& request = requests[number];
  // Only the half that every request uses: the rest is set where it is used, and a freed row's held
  // chain is empty.
  memset(static_cast<void*>(&request), 0, offsetof(Request, held_head));
  journal.adopt(request);
  ++head->requests_open;
  return number;
}

void Lane::freeRequest(int32_t number) {
  Request& request = requests[number];
  const bool plain = request.state == kRequestStateSent &&
                     (request.flags & (kRequestFlagPart | kRequestFlagPartial)) == 0;
  if (!plain) chains.clear(heldOf(journal.touch(request)));
  if (request.imaged == head->turn) request.near_bytes = 0;  // settleNear must pass it over
  --head->requests_open;
  freed_requests_.push_back(number);
}

void Lane::pushToSession(Session& session, int32_t request) {
  if (session.requests == 0) {
    session.request_head = request;
  } else {
    requests[session.request_tail].session_next =
        request;  // beyond the committed tail: no image needed
  }
  session.request_tail = request;
  ++session.requests;
  requests[request].flags |= kRequestFlagInSession;
}

// A popped row is not changed: if the turn is undone, its list leads to it again. Callers that let
// it live on in its other list clear the flag in its imaged row.
void Lane::popFromSession(Session& session) {
  session.request_head = --session.requests == 0 ? 0 : requests[session.request_head].session_next;
}

void Lane::pushToLink(Link& link, int32_t request) {
  if (link.requests == 0) {
    link.request_head = request;
  } else {
    requests[link.request_tail].link_next = request;
  }
  link.request_tail = request;
  ++link.requests;
  requests[request].flags |= kRequestFlagInLink;
}

void Lane::popFromLink(Link& link) {
  link.request_head = --link.requests == 0 ? 0 : requests[link.request_head].link_next;
}

void Lane::dirtySession(int32_t number) {
  uint8_t& mark = session_dirty_[static_cast<size_t>(number)];
  if (mark != 0) return;
  mark = 1;
  if (isPeer(sessions[number])) return relays.dirtySession(number);
  dirty_sessions_.push_back(number);
}

void Lane::dirtyLink(int32_t number) {
  uint8_t& mark = link_dirty_[static_cast<size_t>(number)];
  if (mark != 0) return;
  mark = 1;
  if (links[number].home != 0) return relays.dirtyLink(number);
  dirty_links_.push_back(number);
}

Descriptor& Lane::describe(DescriptorKind_ kind, int32_t row) {
  Descriptor& descriptor = descriptors[head->descriptors++];
  descriptor = {};
  descriptor.kind = kind;
  descriptor.row = row;
  descriptor.arguments = -1;
  descriptor.offset = -1;
  return descriptor;
}

}  // namespace baton
