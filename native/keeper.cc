#include "keeper.h"

#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <vector>

#include "bare-keeper.h"
#include "title-area.h"

// Where glibc registers the calling thread's rseq area with the kernel, from the thread pointer.
extern "C" {
__attribute__((weak)) extern const ptrdiff_t __rseq_offset;
__attribute__((weak)) extern const unsigned int __rseq_size;
}

namespace baton {

namespace {

struct Kept {
  int pid, pidfd;
};

std::vector<Kept>& started() {
  static std::vector<Kept> all;
  return all;
}

class Ranges {
 public:
  explicit Ranges(uintptr_t page) : page_(page) {}

  void add(const volatile void* at, size_t bytes) {
    const auto from = reinterpret_cast<uintptr_t>(at);
    all_.push_back({from / page_ * page_, (from + bytes + page_ - 1) / page_ * page_});
  }

  // The code and constants of this library or program. What it can write is the worker's.
  void addCode() {
    dl_iterate_phdr(
        [](dl_phdr_info* object, size_t, void* ranges) {
          const auto here = reinterpret_cast<uintptr_t>(&keep);
          bool is_this = false;
          for (int i = 0; i < object->dlpi_phnum; ++i) {
            const ElfW(Phdr)& part = object->dlpi_phdr[i];
            if (part.p_type != PT_LOAD) continue;
            is_this |= here - (object->dlpi_addr + part.p_vaddr) < part.p_memsz;
          }
          for (int i = 0; is_this && i < object->dlpi_phnum; ++i) {
            const ElfW(Phdr)& part = object->dlpi_phdr[i];
            if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0) continue;
            static_cast<Ranges*>(ranges)->add(
                reinterpret_cast<const void*>(object->dlpi_addr + part.p_vaddr), part.p_memsz);
          }
          return is_this ? 1 : 0;
        },
        this);
  }

  // The kernel goes on writing to the thread's rseq area, and kills who has unmapped it.
  void addThread() {
    const auto thread = static_cast<const char*>(__builtin_thread_pointer());
    add(thread, 1);
    if (&__rseq_size != nullptr && __rseq_size > 0)
      add(thread + __rseq_offset, std::max(__rseq_size, 64U));
  }

  // Ascending and apart. False: more than a keeper has room for.
  bool store(Arena* arena) {
    std::sort(all_.begin(), all_.end(), [](Range a, Range b) { return a.from < b.from; });
    arena->ranges = 0;
    for (const Range& range : all_) {
      Range* last = arena->ranges > 0 ? &arena->range[arena->ranges - 1] : nullptr;
      if (last != nullptr && range.from <= last->to) {
        last->to = std::max(last->to, range.to);
      } else if (arena->ranges == Arena::kRangesMax) {
        return false;
      } else {
        arena->range[arena->ranges++] = range;
      }
    }
    return true;
  }

 private:
  uintptr_t page_;
  std::vector<Range> all_;
};

bool prepare(Arena* arena, size_t bytes, const KeeperOrder& order) {
  arena->order = order;
  arena->guest = -1;
  arena->page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  writeKeeperTitle(order.lane, arena->title);
  const TitleArea title = findTitleArea();
  arena->title_at = title.start;
  arena->title_bytes = std::min(title.argumentBytes, size_t{4096});
  if (arena->title_bytes <= strlen(arena->title)) arena->title_bytes = 0;
  Ranges kept(arena->page);
  kept.add(arena, bytes);
  if (order.named != nullptr) kept.add(order.named, sizeof *order.named);
  if (order.accepting != nullptr) kept.add(order.accepting, sizeof *order.accepting);
  if (order.later != nullptr) kept.add(order.later, sizeof *order.later);
  if (order.mapping != nullptr) kept.add(order.mapping, order.mapping_bytes);
  if (arena->title_bytes > 0) kept.add(arena->title_at, arena->title_bytes);
  kept.addCode();
  kept.addThread();
  return kept.store(arena);
}

// clone(2) on a stack of its own, with all signals blocked from the first instruction on: a handler
// of the worker's would run in a memory that is no longer there. Returns the pid or -errno.
int cloneBare(int (*run)(void*), void* stack_end, void* argument) {
  // By the kernel's own name: libc would leave out two signals that it uses itself.
  const uint64_t all = ~uint64_t{0};
  uint64_t before = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  const int pid = clone(run, stack_end, CLONE_FILES | SIGCHLD, argument);
  const int failed = pid < 0 ? -errno : 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof before);
  return pid < 0 ? failed : pid;
}

void reap(int pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

int startKeeper(const KeeperOrder& order) {
  const size_t bytes = (sizeof(Arena) + 4095) / 4096 * 4096 + Arena::kStackBytes;
  void* room = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return -errno;
  auto* arena = static_cast<Arena*>(room);
  int result = -E2BIG;
  if (prepare(arena, bytes, order)) {
    arena->pidfd = static_cast<int>(syscall(SYS_pidfd_open, order.worker_pid, 0));
    result = cloneBare(keep, static_cast<char*>(room) + bytes, arena);
    if (result > 0) {
      started().push_back({result, arena->pidfd});
    } else if (arena->pidfd >= 0) {
      close(arena->pidfd);
    }
  }
  munmap(room, bytes);
  return result;
}

void stopKeeper(int pid) {
  const auto same = [pid](const Kept& kept) { return kept.pid == pid; };
  const auto kept = std::find_if(started().begin(), started().end(), same);
  if (kept == started().end()) return;
  kill(pid, SIGKILL);
  reap(pid);
  if (kept->pidfd >= 0) close(kept->pidfd);
  started().erase(kept);
}

int probeKeeper() {
  constexpr size_t kBytes = 16 * 1024;
  int pipe[2];
  if (pipe2(pipe, O_CLOEXEC) != 0) return -errno;
  void* stack = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int result = stack == MAP_FAILED ? -errno : 0;
  if (result == 0) {
    result = cloneBare(closeOne, static_cast<char*>(stack) + kBytes,
                       reinterpret_cast<void*>(static_cast<intptr_t>(pipe[1])));
    munmap(stack, kBytes);
  }
  bool is_shared = false;
  if (result > 0) {
    reap(result);
    pollfd reader = {pipe[0], POLLIN, 0};
    is_shared = poll(&reader, 1, 0) == 1 && (reader.revents & POLLHUP) != 0;
    result = is_shared ? 0 : -ENOSYS;
  }
  close(pipe[0]);
  if (!is_shared) close(pipe[1]);  // otherwise closed already, and perhaps somebody else's by now
  return result;
}

}  // namespace baton
