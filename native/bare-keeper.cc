#include "bare-keeper.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include <cerrno>

#include "raw-call.h"

namespace baton {

namespace {

constexpr long kLookMs = 50;     // how often an orphan looks whether it is still named
constexpr uint64_t kGuestUs = 2'000'000;  // a guest who is silent for so long goes
constexpr int kPassTries = 100;  // descriptors that the worker closes while they are being sent
constexpr long kUnmapTries = 20'000;
constexpr size_t kRequestHead = offsetof(PassRequest, numbers);
constexpr size_t kReplyHead = offsetof(PassReply, numbers);

enum Polled { kRequests, kWorker, kBell, kDock, kMaster, kPolled };

BATON_BARE uint64_t nowUs() {
  timespec now;
  rawCall(SYS_clock_gettime, CLOCK_MONOTONIC, rawPointer(&now));
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

BATON_BARE bool isNamed(const Arena& keeper) {
  const volatile int32_t* named = keeper.order.named;
  return named != nullptr && __atomic_load_n(named, __ATOMIC_ACQUIRE) == keeper.order.worker_row;
}

// Unmaps what can be unmapped. The kernel refuses a range as a whole if one page in it is sealed
// (the vdso may be): such pages are found by halving, and skipped.
BATON_BARE void unmapGap(uintptr_t from, uintptr_t to, uintptr_t page) {
  uintptr_t size = to - from;
  for (long tries = 0; from < to && tries < kUnmapTries; ++tries) {
    if (size > to - from) size = to - from;
    if (rawCall(SYS_munmap, static_cast<long>(from), static_cast<long>(size)) == 0) {
      from += size;
      size *= 2;
    } else if (size > page) {
      size = size / 2 / page * page;
    } else {
      from += page;
    }
  }
}

// From the last range to the end of the address space, which depends on the machine.
BATON_BARE void unmapTop(uintptr_t from, uintptr_t page) {
  for (int bits = 56; bits >= 36; --bits) {
    const uintptr_t end = (uintptr_t{1} << bits) - page;
    if (end <= from) return;
    const long failed = rawCall(SYS_munmap, static_cast<long>(from), static_cast<long>(end - from));
    if (failed == 0) return;
    if (failed == -EINVAL) continue;  // beyond the end
    unmapGap(from, end, page);
    return;
  }
}

// Takes no list of mappings: other threads of the worker may have made new ones until the clone.
BATON_BARE void giveBackMemory(const Arena& keeper) {
  uintptr_t from = 0;
  for (int i = 0; i < keeper.ranges; ++i) {
    unmapGap(from, keeper.range[i].from, keeper.page);
    from = keeper.range[i].to;
  }
  unmapTop(from, keeper.page);
}

BATON_BARE void showTitle(const Arena& keeper) {
  rawCall(SYS_prctl, PR_SET_NAME, rawPointer("baton"));
  for (size_t i = 0; i < keeper.title_bytes; ++i) {
    const char letter = i < Arena::kTitleBytes ? keeper.title[i] : '\0';
    static_cast<volatile char*>(keeper.title_at)[i] = letter;
  }
}

BATON_BARE void closeNumbers(int from, int to) {
  if (from > to) return;
  if (rawCall(SYS_close_range, from, to, 0) == 0) return;
  for (int fd = from; fd <= to; ++fd) rawCall(SYS_close, fd);
}

// The worker has taken a lane.
BATON_BARE void readOrder(Arena& keeper) {
  const KeeperOrder* later = keeper.order.later;
  if (later == nullptr || keeper.order.named != nullptr) return;
  if (__atomic_load_n(&later->named, __ATOMIC_ACQUIRE) == nullptr) return;
  keeper.order.keeper_fd = later->keeper_fd;
  keeper.order.dock_fd = later->dock_fd;
  keeper.order.accepting = later->accepting;
  keeper.order.lane = later->lane;
  keeper.order.named = later->named;
  writeKeeperTitle(keeper.order.lane, keeper.title);
  showTitle(keeper);
}

// A client's connection: not a listening socket, not one of a pair without names, not a guest's.
BATON_BARE bool isConnection(Arena& keeper, int fd) {
  int value = 0, length = sizeof value;
  long known = rawCall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, rawPointer(&value),
                       rawPointer(&length));
  if (known != 0 || value != SOCK_STREAM) return false;
  known = rawCall(SYS_getsockopt, fd, SOL_SOCKET, SO_ACCEPTCONN, rawPointer(&value),
                  rawPointer(&length));
  if (known != 0 || value != 0) return false;
  length = sizeof keeper.address;
  if (rawCall(SYS_getpeername, fd, rawPointer(&keeper.address), rawPointer(&length)) != 0)
    return false;
  length = sizeof keeper.address;
  if (rawCall(SYS_getsockname, fd, rawPointer(&keeper.address), rawPointer(&length)) != 0)
    return false;
  return length > static_cast<int>(sizeof keeper.address.ss_family);
}

// The worker died between accepting a connection and moving it to its row's number.
BATON_BARE void placeAccepted(Arena& keeper) {
  if (keeper.order.accepting == nullptr) return;
  const int32_t row = __atomic_load_n(keeper.order.accepting, __ATOMIC_ACQUIRE);
  const int number = keeper.order.first_fd + row;
  if (row == 0 || rawCall(SYS_fcntl, number, F_GETFD) >= 0) return;
  for (int fd = 0; fd < keeper.order.first_fd; ++fd) {
    if (fd == keeper.order.keeper_fd || !isConnection(keeper, fd)) continue;
    rawCall(SYS_dup3, fd, number, O_CLOEXEC);
    return;
  }
}

BATON_BARE void dismissGuest(Arena& keeper) {
  if (keeper.guest < 0) return;
  rawCall(SYS_close, keeper.guest);
  keeper.guest = -1;
}

// The worker has died. What is not the lane's goes. In a lane without a dock that is also the
// claimants' end of the pair: once nobody else holds that either, nobody will ever ask.
BATON_BARE void mourn(Arena& keeper) {
  keeper.is_dead = true;
  keeper.quiet_us = nowUs();
  dismissGuest(keeper);  // it asks again
  placeAccepted(keeper);
  const int kept = keeper.order.keeper_fd;
  const int end = keeper.order.kept_fd >= 0 ? keeper.order.kept_fd : keeper.order.first_fd;
  closeNumbers(0, (kept < end ? kept : end) - 1);
  closeNumbers(kept + 1, end - 1);
}

BATON_BARE int* rightsOf(Arena& keeper) {
  return reinterpret_cast<int*>(keeper.rights + CMSG_LEN(0));
}

// Chooses the requested numbers that are open.
BATON_BARE void chooseOpen(Arena& keeper) {
  int32_t count = 0;
  for (int32_t i = 0; i < keeper.request.count; ++i) {
    const int number = keeper.request.numbers[i];
    if (number == kPassAccepted) placeAccepted(keeper);
    if (rawCall(SYS_fcntl, number, F_GETFD) < 0) continue;
    keeper.reply.numbers[count] = number;
    rightsOf(keeper)[count] = number;
    ++count;
  }
  keeper.reply.count = count;
}

BATON_BARE long sendReply(Arena& keeper) {
  const auto count = static_cast<size_t>(keeper.reply.count);
  keeper.bytes.iov_base = &keeper.reply;
  keeper.bytes.iov_len = kReplyHead + count * sizeof(int32_t);
  keeper.message.msg_iov = &keeper.bytes;
  keeper.message.msg_iovlen = 1;
  keeper.message.msg_control = count > 0 ? keeper.rights : nullptr;
  keeper.message.msg_controllen = count > 0 ? CMSG_SPACE(count * sizeof(int)) : 0;
  auto* head = reinterpret_cast<cmsghdr*>(keeper.rights);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(count * sizeof(int));
  long sent;
  do {
    sent = rawCall(SYS_sendmsg, keeper.asker, rawPointer(&keeper.message),
                   MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent == -EINTR);
  return sent;
}

BATON_BARE void sendError(Arena& keeper, int error) {
  keeper.reply.error = error;
  keeper.reply.count = 0;
  sendReply(keeper);
}

// A reply for which there is no room is dropped: who asked reads everything, and asks again.
BATON_BARE void pass(Arena& keeper) {
  keeper.reply.error = 0;
  for (int tries = 0; tries < kPassTries; ++tries) {
    chooseOpen(keeper);
    const long sent = sendReply(keeper);
    if (sent >= 0 || sent == -EAGAIN || sent == -EPIPE || sent == -ECONNRESET) return;
    if (sent == -EBADF) continue;  // the worker, alive, has closed one since
    sendError(keeper, static_cast<int>(-sent));
    return;
  }
  sendError(keeper, EAGAIN);
}

// Reads a request and answers it; false at the end of them. Several keepers may have been woken by
// it: `named` is looked at again on both sides of the reading, so that none answers from a table
// that is no longer the lane's.
BATON_BARE bool serve(Arena& keeper, int asker) {
  if (!isNamed(keeper)) return true;
  keeper.asker = asker;
  keeper.bytes.iov_base = &keeper.request;
  keeper.bytes.iov_len = sizeof keeper.request;
  keeper.message.msg_iov = &keeper.bytes;
  keeper.message.msg_iovlen = 1;
  keeper.message.msg_control = nullptr;
  keeper.message.msg_controllen = 0;
  const long got = rawCall(SYS_recvmsg, asker, rawPointer(&keeper.message),
                           MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got == 0) return false;
  if (got < static_cast<long>(kRequestHead)) return got > 0 || got == -EAGAIN || got == -EINTR;
  const int32_t count = keeper.request.count;
  keeper.quiet_us = nowUs();
  if (keeper.quiet_us >= keeper.request.until_us) return true;  // of one that gave up or died
  keeper.reply.format = kPassFormat;
  keeper.reply.token = keeper.request.token;
  const bool is_sound = keeper.request.format == kPassFormat && count > 0 && count <= kPassMax &&
                        got == static_cast<long>(kRequestHead) + count * 4L;
  if (!is_sound) {
    sendError(keeper, EPROTO);
  } else if (!isNamed(keeper)) {
    sendError(keeper, EAGAIN);
  } else {
    pass(keeper);
  }
  return true;
}

// Names of docks are anybody's to connect to: a guest is root, or who this is.
BATON_BARE void admitGuest(Arena& keeper) {
  const long guest =
      rawCall(SYS_accept4, keeper.order.dock_fd, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (guest < 0) return;
  keeper.guest = static_cast<int>(guest);
  keeper.guest_us = nowUs();
  int length = sizeof keeper.peer;
  const long known = rawCall(SYS_getsockopt, guest, SOL_SOCKET, SO_PEERCRED,
                             rawPointer(&keeper.peer), rawPointer(&length));
  const bool is_ours = keeper.peer.uid == 0 || keeper.peer.uid == rawCall(SYS_geteuid);
  if (known != 0 || !is_ours) dismissGuest(keeper);
}

BATON_BARE void lookAtDock(Arena& keeper) {
  const pollfd& polled = keeper.polled[kDock];
  const short events = polled.revents;
  if (keeper.guest < 0) {
    if (events == 0 || polled.fd != keeper.order.dock_fd) return;
    if ((events & POLLIN) == 0)
      keeper.order.dock_fd = -1;
    else if (isNamed(keeper))
      admitGuest(keeper);
    return;
  }
  const bool has_more = events == 0 || ((events & POLLIN) != 0 && serve(keeper, keeper.guest));
  const bool is_late = nowUs() - keeper.guest_us > kGuestUs;
  if (!has_more || is_late || !isNamed(keeper)) dismissGuest(keeper);
}

BATON_BARE void await(Arena& keeper) {
  const bool is_served = isNamed(keeper) && !keeper.is_alone;
  pollfd* polled = keeper.polled;
  polled[kRequests].fd = is_served ? keeper.order.keeper_fd : -1;
  polled[kWorker].fd = keeper.is_dead ? -1 : keeper.pidfd;
  polled[kBell].fd = keeper.is_dead ? -1 : keeper.order.bell_fd;
  polled[kDock].fd = keeper.guest >= 0 ? keeper.guest : isNamed(keeper) ? keeper.order.dock_fd : -1;
  polled[kMaster].fd = keeper.is_dead ? keeper.order.master_fd : -1;
  for (int i = 0; i < kPolled; ++i) {
    polled[i].events = POLLIN;
    polled[i].revents = 0;
  }
  timespec look;
  look.tv_sec = 0;
  look.tv_nsec = kLookMs * 1'000'000;
  const bool has_to_look =
      keeper.is_dead || keeper.guest >= 0 || keeper.pidfd < 0 || keeper.order.bell_fd < 0;
  rawCall(SYS_ppoll, rawPointer(polled), kPolled, rawPointer(has_to_look ? &look : nullptr));
}

// The pidfd only wakes: the worker could have closed its number, and what follows from a death must
// never be done to a worker that lives.
BATON_BARE void lookAtWorker(Arena& keeper) {
  if (keeper.is_dead) return;
  if ((keeper.polled[kWorker].revents & POLLNVAL) != 0) keeper.pidfd = -1;
  if (rawCall(SYS_getppid) != keeper.order.worker_pid) mourn(keeper);
}

// Its patience begins when nobody is left who would replace the worker.
BATON_BARE void lookAtMaster(Arena& keeper) {
  if (keeper.polled[kMaster].revents == 0) return;
  keeper.order.master_fd = -1;
  keeper.quiet_us = nowUs();
}

BATON_BARE void silenceBell(Arena& keeper) {
  if (keeper.is_dead || keeper.polled[kBell].revents == 0) return;
  uint64_t rung;
  const long got = rawCall(SYS_read, keeper.order.bell_fd, rawPointer(&rung), sizeof rung);
  if (got < 0 && got != -EAGAIN && got != -EINTR) keeper.order.bell_fd = -1;
}

BATON_BARE bool isNeeded(const Arena& keeper) {
  if (!keeper.is_dead) return true;
  if (keeper.is_alone || !isNamed(keeper)) return false;
  if (keeper.order.master_fd >= 0) return true;
  const auto patience_us = static_cast<uint64_t>(keeper.order.orphan_ms) * 1000;
  return nowUs() - keeper.quiet_us < patience_us;
}

}  // namespace

BATON_BARE void writeKeeperTitle(int lane, char* title) {
  const char* text = lane < 0 ? "baton: keeper of a standby" : "baton: keeper of lane ";
  volatile char* end = title;  // volatile: the compiler must not make a libc call of the loop
  while (*text != '\0') *end++ = *text++;
  if (lane >= 100) *end++ = static_cast<char>('0' + lane / 100 % 10);
  if (lane >= 10) *end++ = static_cast<char>('0' + lane / 10 % 10);
  if (lane >= 0) *end++ = static_cast<char>('0' + lane % 10);
  while (end < title + Arena::kTitleBytes) *end++ = '\0';
}

BATON_BARE int keep(void* arena) {
  Arena& keeper = *static_cast<Arena*>(arena);
  giveBackMemory(keeper);
  showTitle(keeper);
  while (isNeeded(keeper)) {
    await(keeper);
    silenceBell(keeper);
    readOrder(keeper);
    lookAtWorker(keeper);
    lookAtMaster(keeper);
    const short requests = keeper.polled[kRequests].revents;
    if ((requests & POLLIN) != 0)
      keeper.is_alone = !serve(keeper, keeper.order.keeper_fd);
    else if (requests != 0)
      keeper.is_alone = true;
    lookAtDock(keeper);
  }
  rawCall(SYS_exit_group, 0);
  return 0;
}

BATON_BARE int closeOne(void* fd) {
  rawCall(SYS_close, static_cast<long>(reinterpret_cast<intptr_t>(fd)));
  rawCall(SYS_exit_group, 0);
  return 0;
}

}  // namespace baton
