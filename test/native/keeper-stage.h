// Around a keeper under test: a lane's socket pair and shared word, workers to be killed, and the
// far ends of their sockets, which see whether one was closed.
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <vector>

#include "check.h"
#include "fd-pass.h"
#include "keeper.h"

namespace stage {

constexpr int kFirst = 5000;  // the lane's numbers begin here, in every worker

inline uint64_t nowUs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

// What a process has used of a processor; 0 when there is no such process.
inline uint64_t cpuUs(int pid) {
  clockid_t clock;
  timespec used = {};
  if (clock_getcpuclockid(pid, &clock) == 0) clock_gettime(clock, &used);
  return static_cast<uint64_t>(used.tv_sec) * 1'000'000 +
         static_cast<uint64_t>(used.tv_nsec) / 1000;
}

// For moments too short to sleep.
inline void spin(int32_t us) {
  for (const uint64_t until = nowUs() + static_cast<uint64_t>(us); nowUs() < until;) sched_yield();
}

// For processes that must not outlive the test, also where a check fails.
inline void dieWithParent() { prctl(PR_SET_PDEATHSIG, SIGKILL); }

inline pid_t forkBound() {
  const pid_t pid = fork();
  if (pid == 0) dieWithParent();
  return pid;
}

template <class Condition>
auto waitFor(const char* what, Condition condition) {
  const uint64_t until = nowUs() + 30'000'000;
  for (;;) {
    const auto seen = condition();
    if (seen) return seen;
    CHECK(nowUs() < until, "waited for %s", what);
    poll(nullptr, 0, 1);
  }
}

inline void raiseLimit() {
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  CHECK(limit.rlim_max >= 8000, "the hard limit of open files is %lu", limit.rlim_max);
}

inline std::string procFile(int pid, const char* name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/" + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What /proc/PID/fd lists, without the number that reads it.
inline std::set<int> openNumbers(int pid) {
  std::set<int> numbers;
  DIR* list = opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
  if (list == nullptr) return numbers;
  while (const dirent* entry = readdir(list)) {
    if (entry->d_name[0] != '.') numbers.insert(atoi(entry->d_name));
  }
  if (pid == getpid()) numbers.erase(dirfd(list));
  closedir(list);
  return numbers;
}

// Opens every number below the highest that is open.
inline void fillHoles(const std::set<int>& open) {
  for (int fd = 0; fd < *open.rbegin(); ++fd) {
    if (!open.contains(fd)) dup2(*open.rbegin(), fd);
  }
}

inline long residentKb(int pid) {
  const std::string status = procFile(pid, "status");
  const size_t at = status.find("VmRSS:");
  return at == std::string::npos ? 0 : atol(status.c_str() + at + 6);
}

inline long mappedKb(int pid) {
  const std::string status = procFile(pid, "status");
  const size_t at = status.find("VmSize:");
  return at == std::string::npos ? 0 : atol(status.c_str() + at + 7);
}

inline std::string titleOf(int pid) { return procFile(pid, "cmdline").c_str(); }

// A thread that never stops changing its process' mappings.
inline void* mapForEver(void*) {
  constexpr size_t kBytes = 1 << 20;
  for (;;) {
    void* at = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(at, 1, kBytes);
    munmap(at, kBytes);
  }
}

inline uint64_t cookieOf(int fd) {
  uint64_t cookie = 0;
  socklen_t bytes = sizeof cookie;
  getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &bytes);
  return cookie;
}

// Connected pairs: the near ends go to one worker or several, the far ones stay here.
class Peers {
 public:
  explicit Peers(int32_t count) : near_(count), far_(count), cookies_(count) {
    for (int32_t i = 0; i < count; ++i) {
      int pair[2];
      const int failed = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
      CHECK(failed == 0, "socketpair: %s", strerror(errno));
      near_[i] = pair[0];
      far_[i] = pair[1];
      cookies_[i] = cookieOf(pair[0]);
    }
  }
  ~Peers() {
    closeNear();
    for (const int fd : far_) close(fd);
  }
  Peers(const Peers&) = delete;

  int32_t count() const { return static_cast<int32_t>(far_.size()); }
  int near(int32_t i) const { return near_[i]; }
  uint64_t cookie(int32_t i) const { return cookies_[i]; }
  // From then on only workers have them.
  void closeNear() {
    for (const int fd : near_) close(fd);
    near_.clear();
  }
  // Near ends that nobody has any more.
  int32_t hungUp() const {
    int32_t count = 0;
    for (const int fd : far_) {
      pollfd polled = {fd, 0, 0};
      count += poll(&polled, 1, 0) == 1 && (polled.revents & POLLHUP) != 0;
    }
    return count;
  }
  void checkTalk(int32_t i, int fd) const {
    char byte = 0;
    CHECK(write(fd, "x", 1) == 1, "write: %s", strerror(errno));
    CHECK(read(far_[i], &byte, 1) == 1 && byte == 'x', "read: %s", strerror(errno));
  }

 private:
  std::vector<int> near_, far_;
  std::vector<uint64_t> cookies_;
};

// A listening socket by an abstract name, as a lane's dock is.
class Dock {
 public:
  Dock() {
    name_.sun_family = AF_UNIX;
    const int written =
        snprintf(name_.sun_path + 1, sizeof name_.sun_path - 1, "baton-dock-%d", getpid());
    bytes_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path)) + 1 +
             static_cast<socklen_t>(written);
    fd_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int failed = bind(fd_, address(), bytes_) || listen(fd_, 16);
    CHECK(failed == 0, "bind, listen: %s", strerror(errno));
  }
  ~Dock() { close(fd_); }
  Dock(const Dock&) = delete;
  int fd() const { return fd_; }
  const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&name_); }
  socklen_t bytes() const { return bytes_; }

 private:
  sockaddr_un name_ = {};
  socklen_t bytes_;
  int fd_;
};

class Guest {
 public:
  explicit Guest(const Dock& dock) {
    fd_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    const int failed = connect(fd_, dock.address(), dock.bytes());
    CHECK(failed == 0, "connect: %s", strerror(errno));
  }
  ~Guest() { close(fd_); }
  Guest(const Guest&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

class Worker;

class Lane {
 public:
  Lane() {
    const int failed = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair_);
    CHECK(failed == 0, "socketpair: %s", strerror(errno));
    named_ = static_cast<int32_t*>(
        mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  }
  ~Lane() {
    close(pair_[0]);
    close(pair_[1]);
    munmap(named_, 1 << 20);
  }
  Lane(const Lane&) = delete;

  int keepers() const { return pair_[0]; }
  int claimants() const { return pair_[1]; }
  void closeClaimants() { close(pair_[1]), pair_[1] = -1; }
  void name(const Worker& worker);
  void nameNobody() { __atomic_store_n(named_, 0, __ATOMIC_RELEASE); }
  baton::KeeperOrder order(int32_t row, int pid, int bell, int orphan_ms) const {
    return {.keeper_fd = keepers(),
            .worker_pid = pid,
            .worker_row = row,
            .named = named_,
            .first_fd = kFirst,
            .accepting = named_ + 1,
            .bell_fd = bell,
            .lane = 12,
            .orphan_ms = orphan_ms};
  }

  // A request of somebody who does not wait for the reply. False: the queue is full.
  bool ask(const int32_t* numbers, int32_t count, uint64_t patience_us) {
    baton::PassRequest request = {};
    request.format = baton::kPassFormat;
    request.count = count;
    request.token = 1;
    request.until_us = nowUs() + patience_us;
    memcpy(request.numbers, numbers, static_cast<size_t>(count) * sizeof(int32_t));
    return send(claimants(), &request, baton::passRequestBytes(count), MSG_DONTWAIT) >= 0;
  }
  // Whether keepers have left requests unread, and claimants replies.
  bool isAsked() const { return isReadable(keepers()); }
  bool isAnswered() const { return isReadable(claimants()); }

 private:
  static bool isReadable(int fd) {
    pollfd polled = {fd, POLLIN, 0};
    return poll(&polled, 1, 0) == 1;
  }

  int pair_[2];
  int32_t* named_;
};

// A process with a lane's sockets by its numbers, and a keeper beside it.
class Worker {
 public:
  struct Inside {
    std::function<void()> ready;  // says so to the test; called after `then` if not before
  };
  struct Plan {
    std::function<void()> first = nullptr;        // before its keeper is started
    std::function<void(Inside&)> then = nullptr;  // afterwards
    int stays_open = -1;                          // below the lane's numbers
    int orphan_ms = 60'000;
    bool is_late = false;  // a standby's: the lane becomes known when `then` has run
    int dock = -1;
    int master = -1;  // pidfd
  };

  Worker(Lane& lane, int32_t row, Peers& peers, const Plan& plan) : row_(row) {
    bell_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    said_ = static_cast<Said*>(
        mmap(nullptr, sizeof(Said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_ = forkBound();
    if (pid_ == 0) run(lane, peers, plan);
    waitFor("a worker", [&] { return said_->is_ready.load() || waitpid(pid_, nullptr, WNOHANG); });
    CHECK(said_->keeper > 0, "startKeeper: %s", strerror(-said_->keeper));
  }
  ~Worker() {
    kill();
    if (status_ == kRuns && said_->keeper > 0) {
      ::kill(keeper(), SIGKILL);
      waitpid(keeper(), nullptr, 0);
    }
    close(bell_);
    munmap(said_, sizeof(Said));
  }
  Worker(const Worker&) = delete;

  int pid() const { return pid_; }
  int32_t row() const { return row_; }
  int bell() const { return bell_; }
  int keeper() const { return said_->keeper; }

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    awaitEnd();
  }
  int awaitEnd() {
    int status = -1;
    CHECK(waitpid(pid_, &status, 0) == pid_, "waitpid: %s", strerror(errno));
    pid_ = 0;
    return status;
  }
  bool isKeeperAlive() { return !hasKeeperEnded(); }
  // Of a keeper without a worker: waits for its end and returns what waitpid says.
  int keeperStatus() {
    waitFor("a keeper's end", [&] { return hasKeeperEnded(); });
    return status_;
  }

 private:
  static constexpr int kRuns = -1;
  struct Said {
    int keeper;
    std::atomic<bool> is_ready;
  };

  [[noreturn]] void run(Lane& lane, Peers& peers, const Plan& plan) {
    for (int32_t i = 0; i < peers.count(); ++i) dup3(peers.near(i), kFirst + i, O_CLOEXEC);
    for (int fd = 3; fd < kFirst; ++fd) {
      const bool is_needed = fd == lane.keepers() || fd == lane.claimants() || fd == bell_;
      const bool stays = fd == plan.stays_open || fd == plan.dock || fd == plan.master;
      if (!is_needed && !stays) close(fd);
    }
    if (plan.first) plan.first();
    baton::KeeperOrder order = lane.order(row_, getpid(), bell_, plan.orphan_ms);
    if (plan.dock >= 0 || plan.master >= 0) {
      order.kept_fd = kFirst - 2;
      if (plan.dock >= 0) order.dock_fd = dup3(plan.dock, kFirst - 1, O_CLOEXEC);
      if (plan.master >= 0) order.master_fd = dup3(plan.master, kFirst - 2, O_CLOEXEC);
    }
    auto* later = static_cast<baton::KeeperOrder*>(mmap(nullptr, sizeof order,
        PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    later->dock_fd = -1;
    baton::KeeperOrder open = order;
    open.keeper_fd = open.lane = -1;
    open.named = open.accepting = nullptr;
    open.later = later;
    open.mapping = order.named;
    open.mapping_bytes = 2 * sizeof *order.named;
    said_->keeper = baton::startKeeper(plan.is_late ? open : order);
    Inside inside = {[this] { said_->is_ready = true; }};
    if (plan.then) plan.then(inside);
    later->keeper_fd = order.keeper_fd;
    later->accepting = order.accepting;
    later->lane = order.lane;
    __atomic_store_n(&later->named, order.named, __ATOMIC_RELEASE);
    inside.ready();
    for (;;) pause();
  }
  bool hasKeeperEnded() {
    if (status_ != kRuns) return true;
    int status;
    const bool has_ended = waitpid(keeper(), &status, WNOHANG) == keeper();
    if (has_ended) status_ = status;
    return has_ended;
  }

  int32_t row_;
  int pid_ = 0, bell_ = -1, status_ = kRuns;
  Said* said_ = nullptr;
};

inline void Lane::name(const Worker& worker) {
  __atomic_store_n(named_, worker.row(), __ATOMIC_RELEASE);
  eventfd_write(worker.bell(), 1);
}

inline std::vector<int32_t> row(int32_t first, int32_t count) {
  std::vector<int32_t> numbers;
  for (int32_t i = 0; i < count; ++i) numbers.push_back(first + i);
  return numbers;
}

// What a claimant got. Closes it at the end.
class Fetched {
 public:
  Fetched(Lane& lane, std::vector<int32_t> numbers, int timeout_ms = 10'000)
      : Fetched(lane.claimants(), numbers, timeout_ms) {}
  Fetched(int from, std::vector<int32_t> numbers, int timeout_ms) {
    const auto take = [](void* context, int32_t number, int fd) {
      auto& self = *static_cast<Fetched*>(context);
      CHECK(self.fds_.emplace(number, fd).second, "%d came twice", number);
      CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "%d is left open by exec", number);
      self.order_.push_back(number);
    };
    result_ = baton::fetchDescriptors(from, numbers.data(), static_cast<int32_t>(numbers.size()),
                                      timeout_ms, take, this);
  }
  Fetched(Lane& lane, int32_t first, int32_t count, int timeout_ms = 10'000)
      : Fetched(lane, row(first, count), timeout_ms) {}
  ~Fetched() { closeAll(); }
  Fetched(const Fetched&) = delete;

  int result() const { return result_; }
  const std::vector<int32_t>& order() const { return order_; }
  bool has(int32_t number) const { return fds_.contains(number); }
  int fd(int32_t number) const { return fds_.at(number); }
  uint64_t cookie(int32_t number) const { return cookieOf(fds_.at(number)); }
  void closeAll() {
    for (const auto& [number, fd] : fds_) close(fd);
    fds_.clear();
  }
  // Each is the socket that the worker had by that number.
  void checkAgainst(const Peers& peers) const {
    for (const auto& [number, fd] : fds_) {
      CHECK(cookieOf(fd) == peers.cookie(number - kFirst), "%d is another socket", number);
    }
  }

 private:

  int result_;
  std::map<int32_t, int> fds_;
  std::vector<int32_t> order_;
};

}  // namespace stage
