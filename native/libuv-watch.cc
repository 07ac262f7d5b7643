#include "libuv-watch.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace baton {

int LibuvWatch::begin(int backend_fd) {
  backend_fd_ = backend_fd;
  sem_init(&armed_, 0, 0);
  // Signals are for Node's own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int failed = pthread_create(&thread, nullptr, run, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed == 0) pthread_detach(thread);
  return failed;
}

void LibuvWatch::arm(int doorbell_fd) {
  doorbell_fd_.store(doorbell_fd, std::memory_order_relaxed);
  if (is_armed_ && !ready()) return;
  ready_.store(false, std::memory_order_relaxed);
  is_armed_ = true;
  sem_post(&armed_);
}

void* LibuvWatch::run(void* watch) {
  static_cast<LibuvWatch*>(watch)->watch();
  return nullptr;
}

void LibuvWatch::watch() {
  for (;;) {
    while (sem_wait(&armed_) != 0) {
    }
    pollfd backend = {backend_fd_, POLLIN, 0};
    while (poll(&backend, 1, -1) < 0 && errno == EINTR) {
    }
    ready_.store(true, std::memory_order_release);
    const uint64_t one = 1;
    while (write(doorbell_fd_, &one, sizeof one) < 0 && errno == EINTR) {
    }
  }
}

}  // namespace baton
