// The life of a link, from connect to loss. When to connect, what to say first and when to give up
// is decided in src/proxy/link-set.ts; here is how.
//
// Stream offsets: the handshake goes before offset 0, requests are counted from there:
//
//   | handshake (tx_base) | sent … tx | out chain … queued_total |
//
// so a request is wholly unsent exactly when link_end - bytes >= tx.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "fault.h"
#include "lane.h"

namespace baton {

namespace {

socklen_t fillAddress(sockaddr_storage* to, const char* address, int port, bool unix_socket) {
  *to = {};
  if (unix_socket) {
    auto* path = reinterpret_cast<sockaddr_un*>(to);
    path->sun_family = AF_UNIX;
    strncpy(path->sun_path, address, sizeof path->sun_path - 1);
    return sizeof *path;
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(to);
  if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<uint16_t>(port));
    return sizeof *v4;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(to);
  if (inet_pton(AF_INET6, address, &v6->sin6_addr) != 1) return 0;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(static_cast<uint16_t>(port));
  return sizeof *v6;
}

}  // namespace

// A link that is down and owes nothing is nobody's from now on.
void Lane::freeLink(int32_t number) {
  Link& link = journal.touch(links[number]);
  if (link.state != kLinkStateDown || link.requests > 0) return;
  chains.clear(inOf(link));
  chains.clear(outOf(link));
  link.state = kLinkStateFree;
}

// Its connection is none any more.
void Lane::uncount(Link& link) {
  if (link.fd >= 0) --head->links_open;
  backend_counters[link.backend].connections -= link.counted;
  link.counted = 0;
}

// Starts a connect. 0 or -errno; the outcome comes as a LinkUp or LinkLost descriptor.
int Lane::connectLink(int32_t number, const char* address, int port, bool unix_socket) {
  sockaddr_storage to;
  const socklen_t length = fillAddress(&to, address, port, unix_socket);
  if (length == 0) return -EINVAL;
  if (links[number].fd >= 0) return -EISCONN;  // one whose loss is still to be told: loseLink ends it
  bringAll();  // see away.cc
  const int made = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) return -errno;
  const int fd = dup3(made, linkFd(number), O_CLOEXEC);
  const int failed = errno;
  close(made);
  if (fd < 0) return -failed;
  FAULT(SocketMade);
  const int one = 1;
  if (!unix_socket) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &one,
               sizeof one);  // urgent data must be counted like any other
    if (pools[links[number].pool].keepalive != 0)
      setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  }
  if (unix_socket) rememberPeeks(fd);
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), length) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    close(fd);
    return -error;
  }
  FAULT(ConnectStarted);
  Link& link = journal.touch(links[number]);
  ++head->links_open;
  link.fd = fd;
  link.flags = (link.flags & kLinkFlagLeaving) | (unix_socket ? kLinkFlagUnix : 0);
  ++link.generation;
  link.rx = link.tx_base = 0;
  link.blames = 0;
  link.peeked = 0;
  link.streaming = 0;
  link.replies = 0;
  socklen_t cookie_length = sizeof link.cookie;
  getsockopt(fd, SOL_SOCKET, SO_COOKIE, &link.cookie, &cookie_length);
  link.connected_us = head->now_us;
  link.state = kLinkStateConnecting;
  backend_counters[link.backend].connects += 1;
  interest(fd, number + kLinkId, EPOLLIN | EPOLLOUT, true);
  FAULT(ConnectNoted);
  return 0;
}

void Lane::linkWritable(int32_t number) {
  Link& link = links[number];
  if (link.state == kLinkStateUp) {
    journal.touch(link).flags &= ~kLinkFlagWantWrite;
    interest(link.fd, number + kLinkId, EPOLLIN, false);
    return dirtyLink(number);
  }
  if (link.state != kLinkStateConnecting) return;
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(link.fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return linkBroken(link, error);
  journal.touch(link).state = kLinkStateHandshake;
  link.connected_us = link.received_us = head->now_us;
  backend_counters[link.backend].connections += 1;
  link.counted = 1;
  interest(link.fd, number + kLinkId, EPOLLIN, false);
  describe(kDescriptorKindLinkUp, number);
}

// Sends what must precede all requests (AUTH, SELECT, HELLO). Little enough for an empty socket
// buffer.
int Lane::handshake(int32_t number, const uint8_t* bytes, int32_t count) {
  Link& link = links[number];
  const ssize_t sent = send(link.fd, bytes, static_cast<size_t>(count), MSG_NOSIGNAL);
  if (sent != count) return sent < 0 ? -errno : -EAGAIN;
  journal.touch(link).tx_base += static_cast<uint64_t>(count);
  FAULT(Greeted);
  return 0;
}

// The handshake is done: requests may go out.
void Lane::openGate(int32_t number) {
  journal.touch(links[number]).state = kLinkStateUp;
  dirtyLink(number);
}

// Closes a link. Requests whose bytes have begun to leave are answered with `error`, for nobody
// knows whether they were carried out; the others are answered too unless `resend`, then they stay
// queued for the next connection. Of a link that was lost with an owner nobody knows how far its
// queue has gone: nothing of it is sent again. Returns how many were answered.
int32_t Lane::loseLink(int32_t number, const uint8_t* error, int32_t count, bool resend) {
  Link& link = journal.touch(links[number]);
  if (link.fd >= 0) {
    if (link.state != kLinkStateDown) interest(link.fd, number + kLinkId, 0, false);
    shutdown(link.fd, SHUT_RDWR);
    close(link.fd);
    uncount(link);
    link.fd = -1;
  }
  if (link.home != 0) relays.end(link);
  const bool is_known = (link.flags & kLinkFlagLost) == 0;
  link.state = kLinkStateDown;
  link.flags &= kLinkFlagLeaving;
  chains.clear(inOf(link));
  std::vector<int32_t> lost;
  const bool keep = resend && is_known && chains.reserve(link.out_bytes);
  rebuildQueue(link, false, !keep, &lost);
  link.tx = 0;
  for (const int32_t request : lost) giveUp(request, error, count);
  wakeStalled(number);
  return static_cast<int32_t>(lost.size());
}

// A request that left its link's list without a reply.
void Lane::giveUp(int32_t number, const uint8_t* error, int32_t count) {
  Request& request = journal.touch(requests[number]);
  request.flags &= ~kRequestFlagInLink;
  if (request.session != 0 && (request.flags & kRequestFlagTimedOut) == 0)
    return answerError(number, error, count);
  if ((request.flags & kRequestFlagInSession) == 0 && request.parent == 0) freeRequest(number);
}

// Makes a link's list and queue anew. Requests whose bytes have begun to leave stay if `keep_begun`
// (the connection lives on); wholly unsent ones stay unless they are not wanted any more, or
// `drop_all`. The others are listed in `dropped`.
void Lane::rebuildQueue(Link& link, bool keep_begun, bool drop_all, std::vector<int32_t>* dropped) {
  Chain& out = outOf(link);
  const uint64_t begin = link.queued_total - static_cast<uint64_t>(out.bytes);
  Chain kept = {};
  uint64_t end = keep_begun ? begin : 0;
  int32_t number = link.request_head;
  int32_t left = link.requests;
  link.requests = link.request_head = 0;
  for (; left > 0; --left) {
    Request& request = journal.touch(requests[number]);
    const int32_t next = request.link_next;
    const uint64_t start = request.link_end - static_cast<uint64_t>(request.bytes);
    const bool begun = start < begin;
    const bool unwanted = request.session == 0 || (request.flags & kRequestFlagTimedOut) != 0;
    if (begun ? !keep_begun : drop_all || unwanted) {
      dropped->push_back(number);
      counterOf(link).in_queue -= 1;
    } else {
      const uint64_t from = begun ? begin : start;
      const auto bytes =
          static_cast<int32_t>(request.link_end > from ? request.link_end - from : 0);
      chains.appendPart(kept, out, static_cast<int32_t>(from - begin), bytes);
      end += static_cast<uint64_t>(bytes);
      if (bytes > 0) request.link_end = end;
      pushToLink(link, number);
    }
    number = next;
  }
  counterOf(link).in_queue_bytes += kept.bytes - out.bytes;
  chains.clear(out);
  out = kept;
  link.queued_total = end;
}

// Gives requests that arrived before `older_than_us` an error. One that is wholly unsent leaves the
// queue; one that was sent stays in the list so that its late reply is known and dropped.
int32_t Lane::timeOut(int32_t number, double older_than_us, const uint8_t* error, int32_t count) {
  Link& link = journal.touch(links[number]);
  std::vector<int32_t> late;
  for (int32_t request = link.request_head, left = link.requests; left > 0;
       --left, request = requests[request].link_next) {
    if (requests[request].arrived_us > older_than_us) break;
    // A reply that has begun to flow is not cut off: if it stops flowing the link is given up as
    // silent.
    if (requests[request].session == 0 ||
        (requests[request].flags & (kRequestFlagTimedOut | kRequestFlagPartial)) != 0)
      continue;
    journal.touch(requests[request]).flags |= kRequestFlagTimedOut;
    late.push_back(request);
  }
  if (late.empty()) return 0;
  std::vector<int32_t> left_queue;
  // Without memory for a new queue they stay in the old one; their replies will be dropped.
  if (chains.reserve(link.out_bytes)) rebuildQueue(link, true, false, &left_queue);
  for (const int32_t request : left_queue) requests[request].flags &= ~kRequestFlagInLink;
  for (const int32_t request : late) answerError(request, error, count);
  for (const int32_t request : left_queue) {
    const Request& left = requests[request];
    if (left.session == 0 && left.parent == 0 && (left.flags & kRequestFlagInSession) == 0)
      freeRequest(request);
  }
  return static_cast<int32_t>(late.size());
}

}  // namespace baton
