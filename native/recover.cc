// What a new owner does before its first turn: what died with the owner before is repaired, then
// private lists are made from rows.
//
//   given by a living owner:   rows ─────────────────────────────────────────► lists
//   inherited from a dead one: undo the open turn ─ repair rows from the kernel's counters
//                              ─ rebuild what follows from rows ─ COMMIT ────► lists
//                              rows that do not add up: vet.cc; whom to blame: blame.cc
//                              bytes that turn had received wait in the in chains, to be framed
//
// The kernel counted what the dead owner received and sent, whether or not it lived to note it.
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "fault.h"
#include "fd-pass.h"
#include "lane.h"
#include "reach.h"

namespace baton {

namespace {

enum TcpState { kFinWait1 = 4, kFinWait2, kTimeWait, kClose, kCloseWait, kLastAck, kClosing = 11 };

struct KernelCounts {
  uint64_t received;  // bytes taken out of the socket
  uint64_t sent;      // bytes put into it; an active connect counts one for its SYN
  bool is_reset;      // then an end that came before may be counted among the bytes received
};

constexpr uint64_t kSynBytes = 1;  // what the kernel counts as sent for an active connect

// False for a socket that has no such counters.
bool countsOf(int fd, KernelCounts* counts) {
  tcp_info before, after;
  int unread = 0, unacked = 0;
  do {
    socklen_t length = sizeof before;
    before = {};
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &before, &length) != 0) return false;
    if (ioctl(fd, SIOCOUTQ, &unacked) != 0 || ioctl(fd, SIOCINQ, &unread) != 0) return false;
    length = sizeof after;
    after = {};
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &after, &length) != 0) return false;
  } while (before.tcpi_bytes_acked != after.tcpi_bytes_acked ||
           before.tcpi_bytes_received != after.tcpi_bytes_received);
  const int state = after.tcpi_state;
  const bool peer_ended = state == kCloseWait || state == kLastAck || state == kClosing;
  counts->received =
      after.tcpi_bytes_received - static_cast<uint64_t>(unread) - (peer_ended ? 1 : 0);
  counts->sent = after.tcpi_bytes_acked + static_cast<uint64_t>(unacked);
  counts->is_reset = state == kClose;
  return true;
}

}  // namespace

void Lane::begin() {
  session_dirty_.assign(static_cast<size_t>(sizes.sessions), 0);
  session_again_.assign(static_cast<size_t>(sizes.sessions), 0);
  session_read_.assign(static_cast<size_t>(sizes.sessions), 0);
  link_dirty_.assign(static_cast<size_t>(sizes.links), 0);
  stalled_.assign(static_cast<size_t>(sizes.links), {});
  for (auto* list :
       {&free_sessions_, &free_requests_, &freed_requests_, &dirty_sessions_, &dirty_links_,
        &closing_, &closed_, &again_, &starved_, &near_, &unread_links_, &lost_links_,
        &poisoned_links_, &orphans_})
    list->clear();
  starved_since_us_ = 0;
  reserved_rows_ = 0;
  const bool is_repaired = inherited_ && cold_.empty() && repair();
  if (!is_repaired) {
    if (!cold_.empty()) startCold();
    head->descriptors = head->receipts = head->arena_used = head->arguments = 0;
    chains.nodes.adopt();
    chains.chunks.adopt();
  }
  head->decided = head->applied = head->operations = 0;
  post.begin();
  relays.begin();
  resumeTime();
  listSessions();
  listLinks();
  for (int32_t i = 1; i < head->request_top; ++i) {
    if (requests[i].state == kRequestStateFree) free_requests_.push_back(i);
  }
  fetchListeners();
  if (isWhole()) beWhole();
  row->pause_us = inherited_ ? 0 : monotonicUs() - row->frozen_us;
  if (!inherited_) ++row->takeovers;
  inherited_ = false;
}

// --- after a death

// A turn of its own, which may itself be cut short by a death and is then begun again: undo what is
// open, note what the kernel knows better, commit. Nothing is received or sent meanwhile. False:
// it cannot be repaired, cold_ says why.
bool Lane::repair() {
  nameSuspect();
  cold_ = isHopeless() ? "workers keep dying over it" : "";
  if (!cold_.empty()) return false;
  std::vector<int32_t> accepted;
  undoTurn(&accepted);
  FAULT(Undone);
  fetchAccepted(accepted);
  if (!isHeadSound() || !mend()) cold_ = "its rows do not add up";
  if (!cold_.empty()) return false;
  FAULT(Recounted);
  blame();
  if (isHopeless()) cold_ = "workers keep dying on it";
  if (!cold_.empty()) return false;
  head->descriptors = 0;
  const int32_t received = head->receipts;
  for (int32_t i = 0; i < received; ++i) {
    if (receipts[i].turn == head->undone && isSound(receipts[i])) keepReceived(receipts[i]);
  }
  FAULT(ReceivedKept);
  adoptAccepted(accepted);
  FAULT(AcceptedAdopted);
  for (int32_t i = 1; i < head->session_top; ++i) {
    if (sessions[i].state != kSessionStateFree) repairSession(i);
  }
  FAULT(SessionsRepaired);
  for (int32_t i = 1; i < head->link_top; ++i) {
    if (links[i].state != kLinkStateFree) repairLink(i);
  }
  FAULT(LinksRepaired);
  journal.keepWord(head->undone);
  head->undone = 0;
  journal.commit();
  FAULT(RepairCommitted);
  chains.nodes.settle();
  chains.chunks.settle();
  head->receipts = head->arena_used = head->arguments = 0;
  head->failed_repairs = 0;
  mark(head->step, kStepOther);
  return true;
}

// The open turn never happened. `undone` names it for as long as its receipts are needed, for the
// number of the open turn goes on. Lists the descriptors of sessions that it had opened.
void Lane::undoTurn(std::vector<int32_t>* accepted) {
  const bool is_first = head->undone == 0;
  if (is_first) head->undone = journal.openTurn();
  storeBarrier();
  FAULT(UndoBegun);
  std::vector<bool> imaged(static_cast<size_t>(sizes.sessions));
  journal.visit([&](const uint8_t* row_at) {
    const auto* at = reinterpret_cast<const Session*>(row_at);
    if (at >= sessions && at < sessions + sizes.sessions)
      imaged[static_cast<size_t>(at - sessions)] = true;
  });
  if (head->accept_row != 0) imaged[static_cast<size_t>(head->accept_row)] = true;
  journal.rollBack();
  head->closing = 0;
  // Who died while he rolled back has taken images away: then it may be any row.
  for (int32_t i = 1; i < std::min(head->session_top + 1, sizes.sessions); ++i) {
    const bool may_be = imaged[static_cast<size_t>(i)] || !is_first;
    if (may_be && sessions[i].state == kSessionStateFree) accepted->push_back(sessionFd(i));
  }
}

// The keeper may not have heard of the death yet: it is told, so that it puts a connection that was
// just being accepted where it belongs. It may have connections of links, too, that nobody asked it
// for: begun in the undone turn, or given up in it, maybe by a repair that was cut short. Only who has
// them can take them out of the epoll, which dropConnect and closeStale do.
void Lane::fetchAccepted(const std::vector<int32_t>& numbers) {
  std::vector<int32_t> asked;
  if (head->accept_row != 0) asked.push_back(kPassAccepted);
  asked.insert(asked.end(), numbers.begin(), numbers.end());
  for (int32_t i = 1; i < std::min(head->link_top, sizes.links); ++i) {
    if (held_[static_cast<size_t>(sizes.sessions + i)] == 0) asked.push_back(linkFd(i));
  }
  fetchNumbers(asked);
}

// Connections that were accepted in the undone turn get the rows that they were meant for.
void Lane::adoptAccepted(const std::vector<int32_t>& numbers) {
  for (const int32_t fd : numbers) {
    const int32_t number = fd - fd_base;
    if (held_[static_cast<size_t>(number)] == 0) continue;
    const int32_t listener = listenerOf(fd);
    sockaddr_storage peer = {};
    socklen_t length = sizeof peer;
    if (listener < 0 || getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0) {
      // It has left. Its number must be free at once, for the keeper puts the next one there; and
      // what the epoll says of it must not be taken for that one's.
      interest(fd, number, 0, false);
      shutdown(fd, SHUT_RDWR);
      close(fd);
      held_[static_cast<size_t>(number)] = 0;
      continue;
    }
    head->session_top = std::max(head->session_top, number + 1);
    fillSession(number, listener, peer);
  }
  head->accept_row = 0;
}

// The listener that a connection came by: the one on its port, or its path. -1: none of the lane's.
int32_t Lane::listenerOf(int fd) const {
  sockaddr_storage mine = {};
  socklen_t length = sizeof mine;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&mine), &length) != 0) return -1;
  const auto portOf = [](const sockaddr_storage& address) {
    return address.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                                        : reinterpret_cast<const sockaddr_in6&>(address).sin6_port;
  };
  int32_t found = -1;
  for (int32_t id = 0; id < sizes.listeners; ++id) {
    if (listeners[id].state != kListenerStateWatched) continue;
    sockaddr_storage its = {};
    socklen_t its_length = sizeof its;
    if (getsockname(listenerFd(id), reinterpret_cast<sockaddr*>(&its), &its_length) != 0) continue;
    const bool is_unix = its.ss_family == AF_UNIX;
    if (is_unix != (mine.ss_family == AF_UNIX)) continue;
    if (is_unix) {
      if (length == its_length && memcmp(&mine, &its, length) == 0) return id;
    } else if (portOf(mine) == portOf(its)) {
      // Several may listen on a port, on different addresses: the same address is the one.
      if (memcmp(&mine, &its, length) == 0) return id;
      found = id;
    }
  }
  return found;
}

// Bytes that the undone turn had received go to the in chain, as if a limit had kept them from
// being framed. How many there are the kernel knows, whether or not the owner lived to note it.
void Lane::keepReceived(const Receipt& receipt) {
  const bool is_link = receipt.row >= kLinkId;
  const int32_t number = is_link ? receipt.row - kLinkId : receipt.row;
  const uint64_t known = is_link ? links[number].rx : sessions[number].rx;
  KernelCounts counts;  // a unix socket has none, but still what was only looked at
  if (!countsOf(is_link ? linkFd(number) : sessionFd(number), &counts)) return;
  const auto got = static_cast<int64_t>(counts.received - known);
  if (got <= 0 || got > receipt.room) return;
  const uint8_t* bytes = region.arena + receipt.offset + receipt.kept;
  const auto count = static_cast<int32_t>(got);
  if (!is_link && counts.is_reset) return;  // it closes: nobody waits for an answer
  if (!is_link) return keepReceived(sessions[number], bytes, count);
  Link& link = journal.touch(links[number]);
  link.rx += static_cast<uint64_t>(count);
  if (!chains.append(inOf(link), bytes, count)) noteLost(link);
}

void Lane::keepReceived(Session& session, const uint8_t* bytes, int32_t count) {
  if (session.state != kSessionStateOpen) return;
  journal.touch(session).rx += static_cast<uint64_t>(count);
  if ((session.flags & kSessionFlagScanning) != 0) {
    PushState& state = scanOf(session);
    const int32_t taken =
        pushBytes(&state, bytes, count, PushMode::Request, pools[session.pool].bulk_max);
    if (taken < 0) return closeSession(numberOf(session), kCloseReasonProtocol);
    if (state.left == 0) {
      session.flags &= ~kSessionFlagScanning;
      session.whole_bytes = session.in_bytes + taken;
    }
  }
  session.flags |= kSessionFlagBacklog;
  if (!chains.append(inOf(session), bytes, count))
    closeSession(numberOf(session), kCloseReasonNoMemory);
}

// What was sent leaves the queue; interest is registered anew; who has lost his descriptor goes.
void Lane::repairSession(int32_t number) {
  Session& session = sessions[number];
  if (session.state == kSessionStateClosing || isAway(number) || isPeer(session)) return;
  if (held_[static_cast<size_t>(number)] != session.cookie)
    return closeSession(number, kCloseReasonClientError);
  interest(session.fd, number, EPOLLIN, true);
  sessionInterest(number);
  if ((session.flags & kSessionFlagUnix) != 0) repairPeeked(session.fd, session.peeked);
  if (session.out_bytes == 0) return;
  const int64_t sent = sentSince(session.fd, wireOf(session), session.tx);
  if (sent < 0 || sent > session.out_bytes) return closeSession(number, kCloseReasonClientError);
  if (sent == 0) return;
  journal.touch(session).tx += static_cast<uint64_t>(sent);
  chains.consume(outOf(session), static_cast<int32_t>(sent));
}

// Bytes that went out after `known`. -1: nobody can know, a unix socket was just being sent to.
int64_t Lane::sentSince(int fd, const Wire* wire, uint64_t known) const {
  KernelCounts counts;
  if (wire == nullptr)
    return countsOf(fd, &counts) ? static_cast<int64_t>(counts.sent - known) : -1;
  if (wire->turn != head->undone) return 0;
  return wire->sending != 0 ? -1 : wire->sent;
}

// Bytes of a committed turn are taken out, if the dead owner did not live to do it; what he had
// only looked at is looked at again.
void Lane::repairPeeked(int fd, int32_t& peeked) {
  int ahead = 0;
  socklen_t length = sizeof ahead;
  if (getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &ahead, &length) != 0) return;
  peeked = std::min(peeked, ahead);
  settlePeeked(fd, peeked);
  rememberPeeks(fd);
}

void Lane::repairLink(int32_t number) {
  Link& link = links[number];
  if (link.fd < 0) return;
  const bool is_here = held_[static_cast<size_t>(sizes.sessions + number)] == link.cookie;
  if (link.state != kLinkStateUp) return dropConnect(number, is_here);
  if (!is_here) return noteLost(link);
  const bool writes = (link.flags & kLinkFlagWantWrite) != 0;
  const uint32_t events = static_cast<uint32_t>(EPOLLIN) | (writes ? EPOLLOUT : 0u);
  interest(link.fd, number + kLinkId, events, true);
  interest(link.fd, number + kLinkId, events, false);
  if ((link.flags & kLinkFlagUnix) != 0) repairPeeked(link.fd, link.peeked);
  if (link.out_bytes == 0) return;
  const int64_t sent = sentSince(link.fd, wireOf(link), kSynBytes + link.tx_base + link.tx);
  if (sent < 0 || sent > link.out_bytes) return noteLost(link);
  if (sent == 0) return;
  journal.touch(link).tx += static_cast<uint64_t>(sent);
  chains.consume(outOf(link), static_cast<int32_t>(sent));
  backend_counters[link.backend].in_queue_bytes -= static_cast<double>(sent);
}

// What nobody will find out a second time must be in the row when the repair is committed.
void Lane::noteLost(Link& link) { journal.touch(link).flags |= kLinkFlagLost; }

// A connection that has carried no request yet: another connect costs nobody anything.
void Lane::dropConnect(int32_t number, bool is_here) {
  Link& link = journal.touch(links[number]);
  link.state = kLinkStateDown;
  chains.clear(inOf(link));
  if (is_here) {
    interest(link.fd, number + kLinkId, 0, false);
    shutdown(link.fd, SHUT_RDWR);
    close(link.fd);
  }
  uncount(link);
  link.fd = -1;
}

// What can be counted is counted anew, and what no row leads to becomes free.
void Lane::recount(const Reach& reach) {
  for (int32_t i = 1; i < head->request_top; ++i) {
    if (requests[i].state != kRequestStateFree && !reach.hasRequest(i))
      memset(static_cast<void*>(&requests[i]), 0, sizeof(Request));
  }
  head->requests_open = reach.request_count;
  chains.nodes.rebuild(reach.nodes);
  chains.chunks.rebuild(reach.chunks);
  for (int32_t i = 0; i < sizes.pools; ++i) pool_counters[i].client_connections = 0;
  for (int32_t i = 0; i < sizes.backends; ++i) {
    BackendCounter& counted = backend_counters[i];
    counted.connections = counted.in_queue = counted.in_queue_bytes = 0;
  }
  head->sessions_open = head->links_open = 0;
  for (int32_t i = 1; i < head->session_top; ++i) {
    if (sessions[i].state == kSessionStateFree || isPeer(sessions[i])) continue;
    ++head->sessions_open;
    pool_counters[sessions[i].pool].client_connections += 1;
  }
  for (int32_t i = 1; i < head->link_top; ++i) {
    const Link& link = links[i];
    if (link.state == kLinkStateFree || link.home != 0) continue;
    BackendCounter& counted = backend_counters[link.backend];
    counted.connections += link.counted;
    counted.in_queue += link.requests;
    counted.in_queue_bytes += link.out_bytes;
    if (link.fd >= 0) ++head->links_open;
  }
}

// --- always

// The lane's clients wait meanwhile, so every row is looked at only once. Sessions that something
// kept from being framed are framed again: the new owner may have other links and other limits.
void Lane::listSessions() {
  closing_.clear();
  for (int32_t i = 1; i < head->session_top; ++i) {
    Session& session = sessions[i];
    closeStale(sessionFd(i), session.state != kSessionStateFree, session.cookie);
    if (session.state == kSessionStateFree) {
      free_sessions_.push_back(i);
      continue;
    }
    if (session.state == kSessionStateClosing) {
      closing_.push_back(i);
      continue;
    }
    if (session.stalled_on != 0) journal.touch(session).stalled_on = 0;
    if ((session.flags & kSessionFlagBacklog) != 0) resume(i);
    const bool waits = (session.flags & kSessionFlagWantWrite) != 0;
    const bool ends = session.state == kSessionStateFinishing;
    if ((session.out_bytes > 0 && !waits) || ends) dirtySession(i);
  }
}

void Lane::listLinks() {
  for (int32_t i = 1; i < head->link_top; ++i) {
    Link& link = links[i];
    closeStale(linkFd(i), link.state != kLinkStateFree && link.fd >= 0, link.cookie);
    if (link.stalled != 0) journal.touch(link).stalled = 0;
    if (link.state != kLinkStateUp) continue;
    if ((link.flags & kLinkFlagLost) != 0) {
      lost_links_.push_back(i);
      continue;
    }
    if (link.in_bytes > 0) unread_links_.push_back(i);
    if (link.out_bytes > 0 && (link.flags & kLinkFlagWantWrite) == 0) dirtyLink(i);
  }
}

// A descriptor whose connection has ended since it was fetched.
void Lane::closeStale(int32_t number, bool is_open, uint64_t cookie) {
  const auto index = static_cast<size_t>(number - fd_base);
  if (index >= held_.size() || held_[index] == 0) return;
  if (is_open && held_[index] == cookie) return;
  interest(number, number - fd_base, 0, false);  // a keeper may hold it for a while yet
  close(number);
}

// Listening sockets that the owner before watches and this process does not have: its configuration
// does not name them, and only who has the socket can take it out of the lane's epoll.
void Lane::fetchListeners() {
  std::vector<int32_t> numbers;
  for (int32_t id = 0; id < sizes.listeners; ++id) {
    const bool is_watched = listeners[id].state == kListenerStateWatched;
    if (is_watched && cookieAt(listenerFd(id)) != listeners[id].cookie)
      numbers.push_back(listenerFd(id));
  }
  if (!numbers.empty()) fetchNumbers(numbers);
}

}  // namespace baton
