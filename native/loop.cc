#include "loop.h"

#include <unistd.h>

#include "throw.h"

namespace baton {

namespace {

constexpr uint32_t kLaneReady = 1;
constexpr uint32_t kLibuvReady = 2;
constexpr int kBusyEvents =
    4;  // with at least so many events in the last turn the next is not slept for
constexpr double kLookEveryUs = 1000;  // libuv's descriptors wait no longer while the lane is busy

}  // namespace

bool Loop::begin(Napi::Env env, Lane* lane, Napi::Function run) {
  lane_ = lane;
  run_ = Napi::Persistent(run);
  context_ = new Napi::AsyncContext(env, "baton:lane");
  napi_get_uv_event_loop(env, &uv_);
  private_epoll_ = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u32 = kLaneReady;
  bool made =
      private_epoll_ >= 0 && epoll_ctl(private_epoll_, EPOLL_CTL_ADD, lane_->epoll_fd, &event) == 0;
  event.data.u32 = kLibuvReady;
  made = made && epoll_ctl(private_epoll_, EPOLL_CTL_ADD, uv_backend_fd(uv_), &event) == 0;
  if (!made) {
    throwErrno(env, "epoll_ctl", errno);
    return false;
  }
  uv_prepare_init(uv_, &prepare_);
  uv_idle_init(uv_, &idle_);
  prepare_.data = this;
  uv_prepare_start(&prepare_, onPrepare);
  // While the idle handle is active libuv polls without waiting: the waiting is ours.
  uv_idle_start(&idle_, [](uv_idle_t*) {});
  running_ = true;
  return true;
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
  deadline_us_ = monotonicUs() + timeout * 1000.0;
  lane_->head->leave = 0;
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
  epoll_event events[kEvents];
  const int count = wait(events);
  lane_->receiveReady(events, count);
  busy_ = count;
  if (timerDue()) lane_->head->leave = 1;
  return lane_->head->descriptors;
}

void Loop::finish() {
  lane_->seal();
  lane_->flush();
}

// Events of the lane's epoll; sleeps only when there is nothing to do at all.
int Loop::wait(epoll_event* events) {
  if (busy_ >= kBusyEvents || lane_->hasWork()) {
    const int count = epoll_wait(lane_->epoll_fd, events, kEvents, 0);
    if (count > 0 || lane_->hasWork()) {
      if (lane_->head->now_us - looked_us_ > kLookEveryUs) lookAtLibuv();
      return count < 0 ? 0 : count;
    }
  }
  epoll_event ready[2];
  lane_->row->sleeping = 1;
  ++lane_->counter->sleeps;
  const int woken = epoll_wait(private_epoll_, ready, 2, sleepTimeout());
  lane_->row->sleeping = 0;
  looked_us_ = lane_->head->now_us;
  bool lane_ready = false;
  for (int i = 0; i < woken; ++i) {
    if (ready[i].data.u32 == kLibuvReady)
      lane_->head->leave = 1;
    else
      lane_ready = true;
  }
  if (!lane_ready) return 0;
  const int count = epoll_wait(lane_->epoll_fd, events, kEvents, 0);
  return count < 0 ? 0 : count;
}

void Loop::lookAtLibuv() {
  looked_us_ = lane_->head->now_us;
  epoll_event ready[2];
  const int count = epoll_wait(private_epoll_, ready, 2, 0);
  for (int i = 0; i < count; ++i) {
    if (ready[i].data.u32 == kLibuvReady) lane_->head->leave = 1;
  }
}

int Loop::sleepTimeout() const {
  if (lane_->head->leave != 0) return 0;
  if (!has_deadline_) return -1;
  const double left = deadline_us_ - monotonicUs();
  return left <= 0 ? 0 : static_cast<int>(left / 1000) + 1;
}

bool Loop::timerDue() const { return has_deadline_ && lane_->head->now_us >= deadline_us_; }

}  // namespace baton
