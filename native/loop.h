// The lane's loop inside libuv's: a uv_prepare hook that runs turns until libuv has something to
// do.
//
//   libuv iteration: timers … prepare ─► [ turn, decide, turn, decide, … ] ─► its own poll (timeout
//   0)
//
//   the lane's epoll ── sessions, links, listeners
//                    └─ doorbell ◄── LibuvWatch, when libuv has something to do
//
// The worker sleeps in the lane's epoll itself: one system call a turn. It holds lane-owned
// descriptors only, so that an owner to come may inherit it.
#pragma once
#include <napi.h>
#include <sys/epoll.h>
#include <uv.h>

#include "lane.h"
#include "libuv-watch.h"

namespace baton {

class Loop {
 public:
  // Once a process, before it has a lane: a thread takes a while to start. False: it has thrown into
  // JavaScript, for lack of descriptors or memory.
  bool prepare(Napi::Env env);
  // Of a lane that may be given away and come back.
  void begin(Lane* lane, Napi::Function run);
  void end();

  // One turn as TypeScript sees it: carries out the plans, sends, waits, receives. Returns
  // descriptors, or -1 when the lane was given away.
  int32_t turn();
  // Before the hook returns to libuv, so that nothing decided waits for it.
  void finish();

 private:
  static void onPrepare(uv_prepare_t* handle);
  void enter();
  int wait(epoll_event* events);
  int sleepTimeout() const;
  bool timerDue() const;

  Lane* lane_ = nullptr;
  uv_loop_t* uv_ = nullptr;
  uv_prepare_t prepare_;
  uv_idle_t idle_;
  Napi::FunctionReference run_;
  Napi::AsyncContext* context_ = nullptr;
  LibuvWatch watch_;
  bool has_deadline_ = false;
  double deadline_us_ = 0;
  bool running_ = false;
  int32_t turns_to_note_ = 0;  // until the lane's row says since when it is served
};

}  // namespace baton
