// How a lane's descriptors come from its keeper to another process, over the lane's socket pair
// (SOCK_SEQPACKET; one end is the keepers', the other one the claimants'):
//
//   claimant                                     keeper (keeper.h)
//   PassRequest: token, numbers ───────────────► the one that lane.keeper names reads it
//   PassReply: token, numbers  ◄─────────────── those of them that are open, copies by SCM_RIGHTS
//
// A claimant may die at any point, and another one asks over the same pair. Whatever the dead one
// left is told by its token: replies to it are closed by whoever receives them, its request goes
// stale by itself (until_us). The pair outlives versions of the program: what is said over it must
// not change but behind a new `format`.
#pragma once

#include <cstddef>
#include <cstdint>

namespace baton {

constexpr int32_t kPassMax = 253;  // SCM_MAX_FD of the kernel
constexpr uint32_t kPassFormat = 0x31534642;
// Among the numbers of a request, in front: the keeper's worker is dead, and a connection that it was
// accepting is to be where its row says before the others are looked for. Never in a reply. A keeper
// that does not know this finds no such number open.
constexpr int32_t kPassAccepted = -1;

struct PassRequest {
  uint32_t format;
  int32_t count;      // numbers that follow, 1 to kPassMax
  uint64_t token;     // of the claimant and this batch
  uint64_t until_us;  // CLOCK_MONOTONIC; afterwards nobody waits for the reply
  int32_t numbers[kPassMax];
};

struct PassReply {
  uint32_t format;
  int32_t count;  // numbers that follow and descriptors that come along, 0 to kPassMax
  uint64_t token;
  int32_t error;  // 0 or an errno; EAGAIN: ask again
  int32_t numbers[kPassMax];
};

constexpr size_t passRequestBytes(int32_t count) {
  return offsetof(PassRequest, numbers) + static_cast<size_t>(count) * sizeof(int32_t);
}
constexpr size_t passReplyBytes(int32_t count) {
  return offsetof(PassReply, numbers) + static_cast<size_t>(count) * sizeof(int32_t);
}

// The claimant's side. Asks the lane's present keeper for copies of the descriptors that have the
// numbers `numbers[0]` to `numbers[count - 1]` in its worker, and calls `take(context, number, fd)`
// for each that is open there, in the order asked for. `fd` is a new number here, close-on-exec; it
// is the callee's. A row may change while it travels: who asks proves what came (SO_COOKIE).
//
// Waits for `timeout_ms` at most, for all of it. Returns how many were taken, or -errno; some may
// have been taken then as well:
//   -ETIMEDOUT     no keeper answers
//   -ETOOMANYREFS  more descriptors are on their way between processes of this user than
//                  RLIMIT_NOFILE allows
//   -EMSGSIZE      this process may not open as many (RLIMIT_NOFILE)
//   -EPROTO        the keeper speaks another format
int fetchDescriptors(int claim_fd, const int32_t* numbers, int32_t count, int timeout_ms,
                     void (*take)(void* context, int32_t number, int fd), void* context);

}  // namespace baton
