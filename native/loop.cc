#include "loop.h"

#include <unistd.h>

#include <algorithm>

#include "throw.h"

namespace baton {

namespace {
// The first one of an owner has received nothing yet, the second one has sent what that brought.
constexpr int32_t kTurnsToNote = 2;
// A turn at least so often, however quiet it is: the lane's heartbeat.
constexpr int kHeartbeatMs = 100;
}  // namespace

bool Loop::prepare(Napi::Env env) {
  napi_get_uv_event_loop(env, &uv_);
  const int failed = watch_.begin(uv_backend_fd(uv_));
  if (failed != 0) {
    throwErrno(env, "pthread_create", failed);
    return false;
  }
  context_ = new Napi::AsyncContext(env, "baton:lane");
  uv_prepare_init(uv_, &prepare_);
  uv_idle_init(uv_, &idle_);
  prepare_.data = this;
  return true;
}

void Loop::begin(Lane* lane, Napi::Function run) {
  run_ = Napi::Persistent(run);
  lane_ = lane;
  uv_prepare_start(&prepare_, onPrepare);
  // While the idle handle is active libuv polls without waiting: the waiting is ours.
  uv_idle_start(&idle_, [](uv_idle_t*) {});
  running_ = true;
  turns_to_note_ = kTurnsToNote;
}

void Loop::end() {
  if (!running_) return;
  running_ = false;
  uv_prepare_stop(&prepare_);
  uv_idle_stop(&idle_);
}

void Loop::onPrepare(uv_prepare_t* handle) { static_cast<Loop*>(handle->data)->enter(); }

void Loop::enter() {
  // uv_backend_timeout says 0 while an idle handle is active.
  uv_idle_stop(&idle_);
  uv_update_time(uv_);
  const int timeout = uv_backend_timeout(uv_);
  has_deadline_ = timeout >= 0;
  deadline_us_ = lane_->time() + timeout * 1000.0;
  lane_->head->leave = 0;
  watch_.arm(lane_->doorbell_fd);
  {
    Napi::Env env = run_.Env();
    Napi::HandleScope scope(env);
    run_.MakeCallback(env.Global(), {}, *context_);
    if (env.IsExceptionPending()) {
      // An error thrown while deciding is our bug: the worker dies and another takes its place.
      napi_fatal_exception(env, env.GetAndClearPendingException().Value());
    }
  }
  uv_update_time(uv_);
  if (running_) uv_idle_start(&idle_, [](uv_idle_t*) {});
}

int32_t Loop::turn() {
  lane_->seal();
  lane_->flush();
  if (__builtin_expect(turns_to_note_ > 0, 0)) {
    if (--turns_to_note_ == 0) lane_->row->served_us = monotonicUs();
  } else if (__builtin_expect(!lane_->isWhole(), 0)) {
    lane_->bringMore();
  }
  if (__builtin_expect(lane_->isClaimed(), 0) && lane_->isWhole() && lane_->yield()) return -1;
  epoll_event events[kEvents];
  const int count = wait(events);
  lane_->receiveReady(events, count);
  if (watch_.ready() || timerDue()) lane_->head->leave = 1;
  return lane_->head->descriptors;
}

void Loop::finish() {
  lane_->seal();
  lane_->flush();
}

// Events of the lane's epoll; sleeps only when there is nothing to do at all.
int Loop::wait(epoll_event* events) {
  int timeout = lane_->hasWork() || !lane_->isWhole() ? 0 : sleepTimeout();
  if (timeout == 0) return std::max(0, epoll_wait(lane_->epoll_fd, events, kEvents, 0));
  if (lane_->post.maySleep()) {
    lane_->row->sleeping = 1;
    ++lane_->counter->sleeps;
  } else {
    timeout = 0;
  }
  const int count = epoll_wait(lane_->epoll_fd, events, kEvents, timeout);
  lane_->row->sleeping = 0;
  lane_->post.wake(count == 0 && timeout != 0);
  return std::max(0, count);
}

int Loop::sleepTimeout() const {
  if (lane_->head->leave != 0) return 0;
  if (!has_deadline_) return kHeartbeatMs;
  const double left = deadline_us_ - lane_->time();
  return left <= 0 ? 0 : std::min(kHeartbeatMs, static_cast<int>(left / 1000) + 1);
}

bool Loop::timerDue() const { return has_deadline_ && lane_->head->now_us >= deadline_us_; }

}  // namespace baton
