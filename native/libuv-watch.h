// Tells the lane that libuv has something to do, so that the lane can sleep in its own epoll.
//
//   watching thread:  wait for arm ─► poll(uv_backend_fd) ─► ready = true, ring the lane's doorbell ─┐
//   lane's thread:    leave to libuv ◄── the doorbell is one of the lane's descriptors ◄────────────┘
//                     └─ back from libuv: arm
//
// The thread touches no lane and no JavaScript. The other ways cost more: an epoll around the lane's and
// libuv's makes every arriving packet climb two levels, and every sleep two calls (ARCHITECTURE.md).
#pragma once
#include <semaphore.h>

#include <atomic>

namespace baton {

class LibuvWatch {
 public:
  // Starts the thread; it ends with the process. 0 or an errno.
  int begin(int backend_fd);

  // libuv has run: from now on its next event counts, and rings this doorbell.
  void arm(int doorbell_fd);

  // Whether libuv's descriptors were ready when the doorbell was rung.
  bool ready() const { return ready_.load(std::memory_order_acquire); }

 private:
  static void* run(void* watch);
  void watch();

  int backend_fd_ = -1;
  std::atomic<int> doorbell_fd_{-1};
  sem_t armed_;
  bool is_armed_ = false;  // the lane's thread only
  std::atomic<bool> ready_{false};
};

}  // namespace baton
