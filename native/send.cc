// Output: what a committed turn has queued goes to the kernel. Nothing of an open turn is ever
// sent.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

#include "fault.h"
#include "lane.h"

namespace baton {

namespace {

constexpr int32_t kPieces = 64;  // iovecs per call: 256 KiB

ssize_t sendPieces(const iovec* pieces, int32_t count, int fd) {
  if (count == 1) return send(fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
  msghdr message = {};
  message.msg_iov = const_cast<iovec*>(pieces);
  message.msg_iovlen = static_cast<size_t>(count);
  return sendmsg(fd, &message, MSG_NOSIGNAL);
}

// Sends from the front of a chain. Bytes sent, or -errno. Of a TCP socket the kernel counts them;
// for a unix socket `wire` does, where an undone turn leaves it alone.
ssize_t sendChain(const ChainStore& chains, const Chain& chain, int fd, Wire* wire, int32_t turn) {
  iovec pieces[kPieces];
  const int32_t count = chains.pieces(chain, pieces, kPieces);
  if (wire == nullptr) {
    const ssize_t sent = sendPieces(pieces, count, fd);
    return sent < 0 ? -errno : sent;
  }
  if (wire->turn != turn) {
    wire->sent = wire->sending = 0;  // before it is this turn's that are looked at
    storeBarrier();
    FAULT(WireCleared);
    wire->turn = turn;
    storeBarrier();
  }
  wire->sending = 1;
  storeBarrier();
  FAULT(WireSaid);
  const ssize_t sent = sendPieces(pieces, count, fd);
  const int failed = errno;
  FAULT(WireSent);
  if (sent > 0) wire->sent += static_cast<int32_t>(sent);
  storeBarrier();
  wire->sending = 0;
  return sent < 0 ? -failed : sent;
}

}  // namespace

Wire* Lane::wireOf(Session& session) {
  return kCrashSafe && (session.flags & kSessionFlagUnix) != 0 ? &wires[numberOf(session)] : nullptr;
}

Wire* Lane::wireOf(Link& link) {
  return kCrashSafe && (link.flags & kLinkFlagUnix) != 0 ? &wires[sizes.sessions + numberOf(link)] : nullptr;
}

void Lane::interest(int fd, int32_t id, uint32_t events, bool add) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = static_cast<uint32_t>(id);
  const int operation = add ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  epoll_ctl(epoll_fd, operation, fd, &event);
}

// Asks for what a session may do now: read when it is open and no limit mutes it, write when it
// must. A session that waits for nothing stays registered, for hang-ups.
void Lane::sessionInterest(int32_t number) {
  const Session& session = sessions[number];
  if (session.fd < 0 || session.state == kSessionStateClosing || session.state == kSessionStateFree)
    return;
  const bool reads = session.state == kSessionStateOpen && (session.flags & kSessionFlagMuted) == 0;
  const bool writes = (session.flags & kSessionFlagWantWrite) != 0;
  epoll_event event = {};
  event.events = (reads ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u);
  event.data.u64 = static_cast<uint32_t>(number);
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, session.fd, &event);
}

void Lane::flushSession(int32_t number) {
  Session& session = sessions[number];
  if (session.state != kSessionStateOpen && session.state != kSessionStateFinishing) return;
  if ((session.flags & kSessionFlagWantWrite) != 0) return;
  Chain& out = outOf(session);
  int32_t budget = kFlushMax;
  while (out.bytes > 0) {
    if (budget <= 0) return dirtySession(number);
    const ssize_t sent = sendChain(chains, out, session.fd, wireOf(session), head->turn);
    ++counter->sends;
    if (sent == -EINTR) continue;
    if (sent == -EAGAIN) {
      journal.touch(session).flags |= kSessionFlagWantWrite;
      return sessionInterest(number);
    }
    if (sent < 0) return closeSession(number, kCloseReasonClientError);
    FAULT(SessionSent);
    journal.touch(session).tx += static_cast<uint64_t>(sent);
    pool_counters[session.pool].bytes_out += static_cast<double>(sent);
    chains.consume(out, static_cast<int32_t>(sent));
    FAULT(SessionNoted);
    budget -= static_cast<int32_t>(sent);
  }
  if (session.state == kSessionStateFinishing && session.requests == 0) {
    closeSession(
        number, (session.flags & kSessionFlagEof) != 0 ? kCloseReasonClientEof : kCloseReasonAsked);
  }
}

void Lane::flushLink(int32_t number) {
  Link& link = links[number];
  if (link.state != kLinkStateUp || (link.flags & kLinkFlagWantWrite) != 0) return;
  Chain& out = outOf(link);
  int32_t budget = kFlushMax;
  while (out.bytes > 0) {
    if (budget <= 0) return dirtyLink(number);
    const ssize_t sent = sendChain(chains, out, link.fd, wireOf(link), head->turn);
    ++counter->sends;
    if (sent == -EINTR) continue;
    if (sent == -EAGAIN) {
      journal.touch(link).flags |= kLinkFlagWantWrite;
      interest(link.fd, number + kLinkId, EPOLLIN | EPOLLOUT, false);
      break;
    }
    if (sent < 0)
      break;  // the reason comes with the next receive, behind the replies that still arrive
    FAULT(LinkSent);
    journal.touch(link).tx += static_cast<uint64_t>(sent);
    chains.consume(out, static_cast<int32_t>(sent));
    backend_counters[link.backend].in_queue_bytes -= static_cast<double>(sent);
    FAULT(LinkNoted);
    budget -= static_cast<int32_t>(sent);
  }
  if (link.stalled != 0 && roomy(link)) wakeStalled(number);
}

// Whether sessions that stalled on a link may go on. A link may have as many request rows as are
// free: so however many servers hang, rows are left for the others (src/proxy/dispatch.ts refuses
// by the same rule).
bool Lane::roomy(const Link& link) const {
  return link.out_bytes < queueLimit(link) / 2 && link.requests < requestsAvailable() / 2;
}

// A link's queue has shrunk: the sessions that waited for it are framed again, in the next turn.
void Lane::wakeStalled(int32_t number) {
  journal.touch(links[number]).stalled = 0;
  std::vector<int32_t> waiting;
  waiting.swap(stalled_[static_cast<size_t>(number)]);
  for (const int32_t session : waiting) {
    if (sessions[session].state != kSessionStateOpen || sessions[session].stalled_on != number)
      continue;
    journal.touch(sessions[session]).stalled_on = 0;
    resume(session);
  }
}

}  // namespace baton
