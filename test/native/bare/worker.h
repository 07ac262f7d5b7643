// A process that runs the lane without JavaScript, from claim to death: started by fork.
#pragma once
#include <dirent.h>
#include <fcntl.h>

#include <csignal>
#include <set>

#include "fault.h"
#include "keeper.h"
#include "mind.h"

namespace bare {

constexpr int kDamaged = 3;  // exit codes
constexpr int kNotClaimed = 4;
constexpr int kLost = 5;
constexpr int kQuietMs = 20;
constexpr int kCheckTurns = 16;
constexpr int kLingerUs = 500;
constexpr int kClaimMs = 10'000;
constexpr int kOrphanMs = 10'000;

inline volatile sig_atomic_t must_end = 0;

class Worker {
 public:
  Worker(const Place& place, int32_t row) : place_(place), row_(row), mind_(lane_, place) {}

  [[noreturn]] void run() {
    signal(SIGTERM, [](int) { must_end = 1; });
    attach();
    keeper_ = baton::startKeeper({place_.keeper_fd, getpid(), row_, &lane_.row->keeper,
                                  lane_.fd_base, &lane_.head->accept_row, lane_.keeper_bell, 0,
                                  kOrphanMs, nullptr, nullptr, 0});
    if (keeper_ < 0) give_up("keeper");
    const int claim = lane_.claim(kClaimMs);
    if (claim < 0) {
      fprintf(stderr, "claim: %s\n", strerror(-claim));
      end(kNotClaimed);
    }
    lane_.begin();
    lane_.row->state = baton::kLaneStateServing;
    if (claim == baton::kClaimFresh) mind_.furnish();
    check(false);
    const std::string strays = strayRegistrations();
    if (!strays.empty()) fail("in the epoll is who is gone:" + strays);
    mind_.adopt();
    listen();
    me().state = baton::kWorkerStateServing;
    serve();
  }

 private:
  baton::Worker& me() const { return place_.workers()[row_]; }

  void attach() {
    place_.attach(&lane_, row_);
    lane_.epoll_fd = place_.epoll_fd;
    lane_.claim_fd = place_.claim_fd;
    lane_.doorbell_fd = dup3(place_.bell_fd, lane_.bellFd(), O_CLOEXEC);
    lane_.keeper_bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (lane_.doorbell_fd < 0 || lane_.keeper_bell < 0) give_up("descriptors");
    lane_.interest(lane_.doorbell_fd, baton::kDoorbellId, EPOLLIN, true);
    for (int32_t id = 0; id < kPools; ++id) {
      if (dup3(place_.listeners[id], lane_.listenerFd(id), O_CLOEXEC) < 0) give_up("listener");
    }
  }

  void listen() {
    for (int32_t id = 0; id < kPools; ++id) {
      baton::Listener& listener = lane_.listeners[id];
      listener.pool = id;
      listener.is_unix = id == kUnix ? 1 : 0;
      listener.fd = lane_.listenerFd(id);
      listener.cookie = lane_.cookieAt(listener.fd);
      listener.state = baton::kListenerStateWatched;
      lane_.interest(listener.fd, baton::kListenerId + id,
                     static_cast<uint32_t>(EPOLLIN) | EPOLLEXCLUSIVE, true);
    }
  }

  [[noreturn]] void serve() {
    for (;;) {
      lane_.seal();
      if (++turns_ % kCheckTurns == 0) check(false);
      lane_.flush();
      if (lane_.isClaimed() && lane_.yield()) stepBack();
      if (must_end != 0 && isIdle()) leave();
      epoll_event events[baton::kEvents];
      const int timeout = lane_.hasWork() || mind_.hasWork() ? 0 : kQuietMs;
      const int count = epoll_wait(lane_.epoll_fd, events, baton::kEvents, timeout);
      lane_.receiveReady(events, std::max(0, count));
      mind_.goOn();
      if (lane_.head->descriptors > 0) mind_.decide();
    }
  }

  // What is registered for a connection that is gone would be taken for the next one's in its row.
  std::string strayRegistrations() const {
    const std::string path = "/proc/self/fdinfo/" + std::to_string(lane_.epoll_fd);
    FILE* file = fopen(path.c_str(), "r");
    if (file == nullptr) give_up("fdinfo");
    std::set<uint64_t> ids;
    std::string strays;
    char line[256];
    while (fgets(line, sizeof line, file) != nullptr) {
      unsigned long long id = 0;
      if (sscanf(line, "tfd: %*d events: %*x data: %llx", &id) != 1) continue;
      const bool is_new = ids.insert(id).second;
      if (!is_new || !isOpen(static_cast<int32_t>(id)))
        strays += (is_new ? " " : " again ") + std::to_string(id);
    }
    fclose(file);
    return strays;
  }

  bool isOpen(int32_t id) const {
    if (id >= baton::kLinkId) return lane_.links[id - baton::kLinkId].fd >= 0;
    return id >= baton::kDoorbellId || lane_.sessions[id].state != baton::kSessionStateFree;
  }

  // Says what does not add up. `idle`: nobody is there, so nothing must be held either.
  void check(bool idle) {
    lane_.seal();
    std::vector<std::string> found = lane_.check();
    for (const baton::Finding& each : lane_.takeFindings())
      found.push_back("damage seen in row " + std::to_string(each.row) + ": " + each.what);
    if (lane_.counter->poisoned != 0) found.push_back("a sound request was taken for a poison");
    if (idle) {
      const auto none = [&](const char* what, int64_t count) {
        if (count != 0) found.push_back(std::to_string(count) + " " + what + " when idle");
      };
      none("requests", lane_.head->requests_open);
      none("nodes", lane_.head->nodes_used);
      none("chunks", lane_.head->chunks_used);
      none("descriptors too many", strayDescriptors());
    }
    if (found.empty()) return;
    std::string all;
    for (const std::string& each : found) all += ": " + each;
    fail("the lane does not add up" + all);
  }

  [[noreturn]] void fail(const std::string& what) {
    fprintf(stderr, "%s\n", what.c_str());
    end(kDamaged);
  }

  // In the lane's range, of which no row knows.
  int64_t strayDescriptors() const {
    int64_t open = 0;
    for (int fd = lane_.fd_base; fd <= lane_.bellFd(); ++fd) open += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return open - kPools - 1 - lane_.head->links_open;
  }

  bool isIdle() const { return lane_.head->sessions_open + lane_.head->requests_open == 0; }

  // Its keeper answers until the next owner's does.
  [[noreturn]] void stepBack() {
    me().state = baton::kWorkerStateFrozen;
    while (*const_cast<volatile int32_t*>(&lane_.row->keeper) == row_) usleep(kLingerUs);
    end(0);
  }

  [[noreturn]] void leave() {
    check(true);
    lane_.leave();
    end(lane_.row->pool_bytes[0] + lane_.row->pool_bytes[1] == 0 ? 0 : kLost);
  }

  [[noreturn]] void end(int code) {
    baton::stopKeeper(keeper_);
    _exit(code);
  }

  const Place& place_;
  const int32_t row_;
  baton::Lane lane_;
  Mind mind_;
  int keeper_ = -1;
  int64_t turns_ = 0;
};

}  // namespace bare
