// The life of a session, from accept to close.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "fault.h"
#include "lane.h"

namespace baton {

namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr char kMaxClients[] = "-ERR max number of clients reached\r\n";

void refuse(int fd) {
  (void)!send(fd, kMaxClients, sizeof kMaxClients - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  shutdown(fd, SHUT_RDWR);
  close(fd);
}

void notePeer(SessionInfo& info, const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    info.family = 4;
    info.peer_port = ntohs(v4.sin_port);
    memcpy(info.peer, &v4.sin_addr, 4);
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    info.family = 6;
    info.peer_port = ntohs(v6.sin6_port);
    memcpy(info.peer, &v6.sin6_addr, 16);
  } else {
    info.family = 1;
  }
}

}  // namespace

void Lane::acceptAll(int32_t number) {
  const Listener& listener = listeners[number];
  if (listener.state != kListenerStateWatched || !isWhole()) return;
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    // Sessions on their way out still count: a newcomer they leave no room for waits a turn.
    const bool full = clientsFull(listener.pool) ||
                      (free_sessions_.empty() && head->session_top == sizes.sessions);
    if (full && !(closing_.empty() && closed_.empty())) return;
    // Said beforehand: whoever finds the connection without a row knows which one it was for.
    const int32_t row_number = full ? 0 : nextSessionRow();
    if (kCrashSafe) head->accept_row = row_number;
    storeBarrier();
    FAULT(AcceptSaid);
    sockaddr_storage address = {};
    socklen_t length = sizeof address;
    const int fd = accept4(listener.fd, reinterpret_cast<sockaddr*>(&address), &length,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
    FAULT(Accepted);
    if (fd >= 0) openSession(fd, row_number, number, address);
    const int failed = fd < 0 ? errno : 0;
    if (kCrashSafe) head->accept_row = 0;
    if (failed == 0) continue;
    if (failed == EMFILE || failed == ENFILE) refuseForDescriptors(listener);
    return;  // EAGAIN, or a client that left while it waited
  }
}

// Descriptors have run out: the spare one lets us tell a client so instead of leaving it to hang.
void Lane::refuseForDescriptors(const Listener& listener) {
  ++counter->accept_errors;
  describe(kDescriptorKindAcceptFailed, 0).command = errno;
  if (spare_fd < 0) return;
  close(spare_fd);
  const int fd = accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) refuse(fd);
  spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool Lane::clientsFull(int32_t pool) const {
  const int32_t most = pools[pool].clients_max;
  if (most == 0) return false;
  double open = 0;
  for (const Peer& peer : peers) {
    if (peer.row->state != kLaneStateFree) open += peer.counters[pool].client_connections;
  }
  return open >= most;
}

void Lane::openSession(int fd, int32_t number, int32_t listener, const sockaddr_storage& address) {
  const int placed = number == 0 ? -1 : dup3(fd, sessionFd(number), O_CLOEXEC);
  if (placed < 0) {
    const int32_t pool = listeners[listener].pool;
    pool_counters[pool].refused_clients += 1;
    describe(kDescriptorKindClientRefused, pool).command = number == 0 ? 0 : errno;
    return refuse(fd);
  }
  FAULT(AcceptPlaced);
  close(fd);
  takeSessionRow();
  fillSession(number, listener, address);
  interest(placed, number, EPOLLIN, true);
  FAULT(AcceptRowed);
}

// A row that is begun anew: of what it was before, only the journal's word and its uses stay.
Session& Lane::blankSession(int32_t number) {
  Session& session = journal.touch(sessions[number]);
  const int32_t imaged = session.imaged;
  const int32_t generation = session.generation;
  session = {};
  session.imaged = imaged;
  session.generation = generation;
  session.fd = -1;
  session.opened_us = session.active_us = head->now_us;
  session.last_command = -1;
  SessionInfo& info = journal.touch(infos[number]);
  const int32_t info_imaged = info.imaged;
  info = {};
  info.imaged = info_imaged;
  return session;
}

// The row of a connection that has come to its number; it is a client from now on.
void Lane::fillSession(int32_t number, int32_t listener, const sockaddr_storage& address) {
  const Listener& from = listeners[listener];
  Session& session = blankSession(number);
  session.fd = sessionFd(number);
  session.pool = from.pool;
  session.listener = listener;
  session.mode = pools[from.pool].initial_mode;
  session.flags = from.is_unix != 0 ? kSessionFlagUnix : 0;
  if (from.is_unix != 0) rememberPeeks(session.fd);
  session.cookie = cookieAt(session.fd);
  session.client_id = head->next_client_id;
  head->next_client_id += kLanesMax;
  notePeer(infos[number], address);
  storeBarrier();
  session.state = kSessionStateOpen;
  ++head->sessions_open;
  ++counter->accepts;
  pool_counters[session.pool].accepted += 1;
  pool_counters[session.pool].client_connections += 1;
}

// The client will send no more. What it asked for is still answered, as far as it reads.
void Lane::endOfInput(int32_t number) {
  Session& session = journal.touch(sessions[number]);
  pool_counters[session.pool].client_eof += 1;
  if (session.requests == 0 && session.out_bytes == 0)
    return closeSession(number, kCloseReasonClientEof);
  session.flags |= kSessionFlagEof;
  session.state = kSessionStateFinishing;
  sessionInterest(number);
}

// Closes at the next commit; until then the row stays as it is, but nothing is done for it any
// more.
void Lane::closeSession(int32_t number, CloseReason_ reason) {
  Session& session = sessions[number];
  if (session.state == kSessionStateFree || session.state == kSessionStateClosing) return;
  journal.touch(session).state = kSessionStateClosing;
  closing_.push_back(number);
  PoolCounter& counted = pool_counters[session.pool];
  if (reason == kCloseReasonClientError) counted.client_err += 1;
  if (reason == kCloseReasonOutputLimit) counted.closed_output += 1;
  if (reason == kCloseReasonRequestTooLarge) counted.closed_request += 1;
  if (reason == kCloseReasonNoMemory) ++counter->pool_full;
  if (reason == kCloseReasonClientEof || reason == kCloseReasonAsked ||
      reason == kCloseReasonDrained)
    return;
  if (head->descriptors == sizes.descriptors) return;  // a log line less, no more
  Descriptor& descriptor = describe(kDescriptorKindSessionClosed, number);
  descriptor.command = reason;
  descriptor.pool = session.pool;
  descriptor.bytes = session.out_bytes;
}

void Lane::destroyClosing() {
  for (const int32_t number : closing_) {
    Session& session = journal.touch(sessions[number]);
    abandonRequests(session);
    chains.clear(inOf(session));
    chains.clear(outOf(session));
    if (isPeer(session))
      relays.closed(session);
    else
      disconnect(session);
    session.stalled_on = session.mode = 0;
    session.fd = -1;
    ++session.generation;
    session.state = kSessionStateFree;
    closed_.push_back(number);
    FAULT(RowFreed);
  }
  closing_.clear();
}

void Lane::disconnect(const Session& session) {
  interest(session.fd, numberOf(session), 0, false);
  FAULT(Unwatched);
  shutdown(session.fd, SHUT_RDWR);  // a duplicate elsewhere would keep the connection open
  FAULT(ShutDown);
  close(session.fd);
  FAULT(Closed);
  --head->sessions_open;
  pool_counters[session.pool].client_connections -= 1;
}

// The client is gone: requests still owed by a server stay in its link's list, their replies are
// dropped.
void Lane::abandonRequests(Session& session) {
  for (int32_t number = session.request_head, left = session.requests; left > 0; --left) {
    Request& request = requests[number];
    const int32_t next = request.session_next;
    for (int32_t part = request.first_part; part != 0;) {
      const int32_t following = requests[part].session_next;
      abandon(requests[part]);
      part = following;
    }
    abandon(request);
    number = next;
  }
  session.requests = session.request_head = 0;
}

void Lane::abandon(Request& request) {
  if ((request.flags & kRequestFlagInLink) == 0) return freeRequest(numberOf(request));
  journal.touch(request);
  chains.clear(heldOf(request));
  request.session = request.parent = 0;
  request.flags &= ~kRequestFlagInSession;
}

// Graceful end of the sessions of a pool, or of a listener, or (-1, -1) of all: those without work
// are closed, the others when their last reply is out. Returns how many are left.
int32_t Lane::drainSessions(int32_t pool, int32_t listener) {
  bringAll();
  int32_t left = 0;
  for (int32_t number = 1; number < head->session_top; ++number) {
    Session& session = sessions[number];
    if (session.state == kSessionStateFree || isPeer(session)) continue;
    if (pool >= 0 && session.pool != pool) continue;
    if (listener >= 0 && session.listener != listener) continue;
    ++left;
    if (session.state != kSessionStateOpen) continue;
    if (session.requests > 0 || session.out_bytes > 0 || session.in_bytes > 0) continue;
    closeSession(number, kCloseReasonDrained);
  }
  if (pool < 0 && listener < 0 && relays.isNeeded()) ++left;  // by clients of other lanes
  return left;
}

// Time is up: whatever they have under way.
void Lane::cutSessions(int32_t pool, int32_t listener) {
  bringAll();
  for (int32_t number = 1; number < head->session_top; ++number) {
    const Session& session = sessions[number];
    if (isPeer(session)) continue;
    if (pool >= 0 && session.pool != pool) continue;
    if (listener >= 0 && session.listener != listener) continue;
    closeSession(number, kCloseReasonDrained);
  }
}

}  // namespace baton
