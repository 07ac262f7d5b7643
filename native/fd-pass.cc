#include "fd-pass.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace baton {

namespace {

// A reply can be lost: another claimant took it, or the keeper found no room to send it. One that
// is only late is as good as the one to the second asking.
constexpr uint64_t kAskAgainUs = 10'000;  // doubled each time, for machines that are slow
constexpr uint64_t kAskAgainMaxUs = 160'000;

uint64_t nowUs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

// Different for all batches of all processes, one after another or at a time.
uint64_t newToken() {
  static uint64_t batches = 0;
  const uint64_t who = static_cast<uint64_t>(getpid()) << 40;
  return who ^ (nowUs() << 8) ^ (++batches & 0xff);
}

// Returns poll's revents of `fd`, 0 when `until_us` has come.
int await(int fd, short events, uint64_t until_us) {
  for (;;) {
    const uint64_t now = nowUs();
    if (now >= until_us) return 0;
    pollfd polled = {fd, events, 0};
    const int ready = poll(&polled, 1, static_cast<int>((until_us - now + 999) / 1000));
    if (ready > 0) return polled.revents;
    if (ready < 0 && errno != EINTR) return 0;
  }
}

// A message that has come, with what it brought along.
struct Arrival {
  PassReply reply;
  ssize_t bytes = 0;
  bool is_cut = false;  // more descriptors came than this process may open
  int32_t fds = 0;
  int fd[kPassMax];

  void closeAll() {
    for (int32_t i = 0; i < fds; ++i) close(fd[i]);
    fds = 0;
  }
  bool isWhole() const {
    return bytes >= static_cast<ssize_t>(passReplyBytes(0)) && reply.format == kPassFormat &&
           reply.count >= 0 && reply.count <= kPassMax && reply.count == fds &&
           bytes == static_cast<ssize_t>(passReplyBytes(reply.count));
  }
};

// 0, -EAGAIN when there is none, or -errno.
int receive(int claim_fd, Arrival* arrival) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kPassMax)];
  iovec bytes = {&arrival->reply, sizeof arrival->reply};
  msghdr message = {};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  do {
    arrival->bytes = recvmsg(claim_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (arrival->bytes < 0 && errno == EINTR);
  if (arrival->bytes < 0) return -errno;
  if (arrival->bytes == 0) return -EPIPE;  // no keeper's end is left
  arrival->fds = 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t size = part->cmsg_len - CMSG_LEN(0);
    memcpy(arrival->fd, CMSG_DATA(part), size);
    arrival->fds = static_cast<int32_t>(size / sizeof(int));
  }
  arrival->is_cut = (message.msg_flags & MSG_CTRUNC) != 0;
  return 0;
}

int ask(int claim_fd, const PassRequest& request) {
  for (;;) {
    const ssize_t sent =
        send(claim_fd, &request, passRequestBytes(request.count), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return 0;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != ENOBUFS) return -errno;
    // Requests of the dead, that no keeper has come to read yet.
    if (await(claim_fd, POLLOUT, request.until_us) == 0) return -ETIMEDOUT;
  }
}

// Waits for the reply to `request` until `until_us`. 0, -EAGAIN: ask again, or -errno. Replies that
// claimants before this one did not live to read are in front: they go first.
int awaitReply(int claim_fd, const PassRequest& request, uint64_t until_us, Arrival* arrival) {
  for (;;) {
    const int failed = receive(claim_fd, arrival);
    if (failed == -EAGAIN) {
      if (await(claim_fd, POLLIN, until_us) == 0) return -EAGAIN;
      continue;
    }
    if (failed != 0) return failed;
    const bool is_mine = arrival->bytes >= static_cast<ssize_t>(passReplyBytes(0)) &&
                         arrival->reply.token == request.token;
    if (is_mine && arrival->is_cut) {
      arrival->closeAll();
      return -EMSGSIZE;
    }
    if (is_mine && arrival->isWhole()) return -arrival->reply.error;
    arrival->closeAll();
    if (is_mine) return -EPROTO;
  }
}

// Asks until there is an answer. 0 or -errno.
int passBatch(int claim_fd, const PassRequest& request, Arrival* arrival) {
  int result = -ETIMEDOUT;
  uint64_t patience = kAskAgainUs;
  while (nowUs() < request.until_us) {
    const int failed = ask(claim_fd, request);
    if (failed != 0) return failed;
    const uint64_t until = std::min(request.until_us, nowUs() + patience);
    patience = std::min(2 * patience, kAskAgainMaxUs);
    const int answer = awaitReply(claim_fd, request, until, arrival);
    if (answer != -EAGAIN && answer != -ETOOMANYREFS) return answer;
    // Another keeper is named in this moment, or others have too many descriptors on their way.
    result = answer == -ETOOMANYREFS ? answer : -ETIMEDOUT;
    if (nowUs() < until) poll(nullptr, 0, 1);
  }
  return result;
}

}  // namespace

int fetchDescriptors(int claim_fd, const int32_t* numbers, int32_t count, int timeout_ms,
                     void (*take)(void* context, int32_t number, int fd), void* context) {
  PassRequest request = {};
  request.format = kPassFormat;
  request.until_us = nowUs() + static_cast<uint64_t>(timeout_ms) * 1000;
  Arrival arrival;
  int taken = 0;
  for (int32_t at = 0; at < count; at += request.count) {
    request.count = std::min(kPassMax, count - at);
    request.token = newToken();
    memcpy(request.numbers, numbers + at, static_cast<size_t>(request.count) * sizeof(int32_t));
    const int failed = passBatch(claim_fd, request, &arrival);
    if (failed != 0) return failed;
    for (int32_t i = 0; i < arrival.fds; ++i)
      take(context, arrival.reply.numbers[i], arrival.fd[i]);
    taken += arrival.fds;
  }
  return taken;
}

}  // namespace baton
