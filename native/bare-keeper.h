// What runs as a keeper (keeper.h), in a process that has nothing but its code, the pages of its
// Arena and the descriptors: no libc, no heap, no writable data of this library.
//
//   | Arena | … | ◄── stack |
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "fd-pass.h"
#include "keeper.h"

namespace baton {

struct Range {
  uintptr_t from, to;
};

// Made and filled in by the worker, who unmaps its copy after the clone.
struct Arena {
  static constexpr int kRangesMax = 16;
  static constexpr size_t kTitleBytes = 64;
  static constexpr size_t kStackBytes = 16 * 1024;

  KeeperOrder order;
  int pidfd;  // of the worker; -1: the kernel has none, getppid() tells
  uintptr_t page;
  int ranges;  // what stays mapped, ascending
  Range range[kRangesMax];
  char title[kTitleBytes];
  char* title_at;
  size_t title_bytes;  // 0: there is no room for a title

  // The keeper's own.
  bool is_dead;       // the worker
  bool is_alone;      // nobody is left at the other end
  uint64_t quiet_us;  // when the worker and its master were dead, or somebody asked last
  int asker;          // who is answered: the lane's pair, or a guest
  int guest;          // who came by the dock; -1: nobody
  uint64_t guest_us;  // since when
  ucred peer;
  PassRequest request;
  PassReply reply;
  pollfd polled[5];
  sockaddr_storage address;
  iovec bytes;
  msghdr message;
  alignas(cmsghdr) char rights[CMSG_SPACE(sizeof(int) * kPassMax)];
};

// For clone(2): a keeper, until it ends.
int keep(void* arena);
// `title` has Arena::kTitleBytes; a lane of -1: of none yet.
void writeKeeperTitle(int lane, char* title);
// For clone(2): closes one number and ends, which its parent sees if they share the table.
int closeOne(void* fd);

}  // namespace baton
