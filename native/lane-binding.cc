// What TypeScript may ask of the lane that this process runs (src/native/binding.ts has the contracts).
#include "lane-binding.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lane-attach.h"
#include "look.h"
#include "loop.h"
#include "throw.h"

namespace baton {

namespace {

Loop loop;

int32_t intOf(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }

struct Bytes {
  const uint8_t* data;
  int32_t size;
};

Bytes bytesOf(const Napi::Value& value) {
  auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), static_cast<int32_t>(array.ByteLength())};
}

Napi::Value laneFetch(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), lane->fetch());
}

Napi::Value laneClaim(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), lane->claim(intOf(info[0])));
}

Napi::Value laneBegin(const Napi::CallbackInfo& info) {
  lane->begin();
  return info.Env().Undefined();
}

Napi::Value laneLoop(const Napi::CallbackInfo& info) {
  loop.prepare(info.Env());
  return info.Env().Undefined();
}

Napi::Value laneStart(const Napi::CallbackInfo& info) {
  loop.begin(lane, info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

Napi::Value laneStop(const Napi::CallbackInfo& info) {
  loop.end();
  return info.Env().Undefined();
}

Napi::Value laneTurn(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), loop.turn());
}

Napi::Value laneFinish(const Napi::CallbackInfo& info) {
  loop.finish();
  return info.Env().Undefined();
}

Napi::Value laneApply(const Napi::CallbackInfo& info) {
  lane->head->decided = intOf(info[0]);
  lane->applyPlans(lane->head->decided);
  return info.Env().Undefined();
}

// A listening socket comes to the number that it has in all owners of the lane.
Napi::Value lanePlace(const Napi::CallbackInfo& info) {
  const int number = lane->listenerFd(intOf(info[0]));
  const int fd = intOf(info[1]);
  if (dup3(fd, number, O_CLOEXEC) < 0) return throwErrno(info.Env(), "dup3 for a listener", errno);
  close(fd);
  return info.Env().Undefined();
}

// A listener that several workers share wakes one of them; of one per lane there is only one
// anyway.
Napi::Value laneListen(const Napi::CallbackInfo& info) {
  const int32_t id = intOf(info[0]);
  Listener& listener = lane->listeners[id];
  listener.pool = intOf(info[1]);
  listener.is_unix = info[2].As<Napi::Boolean>() ? 1 : 0;
  listener.fd = lane->listenerFd(id);
  listener.cookie = lane->cookieAt(listener.fd);
  listener.state = kListenerStateWatched;
  // Fails where an owner before us has registered this very socket.
  lane->interest(listener.fd, kListenerId + id, static_cast<uint32_t>(EPOLLIN) | EPOLLEXCLUSIVE,
                true);
  return info.Env().Undefined();
}

// Others may hold the socket: it is only taken out of the lane's epoll, and this copy closed.
Napi::Value laneUnlisten(const Napi::CallbackInfo& info) {
  const int32_t id = intOf(info[0]);
  const int fd = lane->listenerFd(id);
  lane->interest(fd, kListenerId + id, 0, false);
  lane->listeners[id].state = kListenerStateFree;
  close(fd);
  return info.Env().Undefined();
}

Napi::Value laneCloseListeners(const Napi::CallbackInfo& info) {
  for (int32_t id = 0; id < lane->sizes.listeners; ++id) {
    if (lane->listeners[id].state != kListenerStateWatched) continue;
    lane->interest(lane->listenerFd(id), kListenerId + id, 0, false);
    lane->listeners[id].state = kListenerStateFree;
    close(lane->listenerFd(id));  // a successor may go on with its queue
  }
  return info.Env().Undefined();
}

Napi::Value laneDrain(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), lane->drainSessions(intOf(info[0]), intOf(info[1])));
}

Napi::Value laneCut(const Napi::CallbackInfo& info) {
  lane->cutSessions(intOf(info[0]), intOf(info[1]));
  return info.Env().Undefined();
}

Napi::Value linkDefine(const Napi::CallbackInfo& info) {
  const int32_t number = intOf(info[0]);
  lane->head->link_top = std::max(lane->head->link_top, number + 1);
  Link& link = lane->journal.touch(lane->links[number]);
  link.pool = intOf(info[1]);
  link.backend = intOf(info[2]);
  link.protocol = intOf(info[3]);
  link.place = intOf(info[4]);
  link.home = intOf(info[5]);
  link.flags = 0;
  link.retry_us = link.deadline_us = 0;
  link.failures = link.replies_due = link.reason = link.reason_bytes = 0;
  link.fd = -1;
  link.state = kLinkStateDown;
  return info.Env().Undefined();
}

Napi::Value linkFree(const Napi::CallbackInfo& info) {
  lane->freeLink(intOf(info[0]));
  return info.Env().Undefined();
}

Napi::Value linkLeave(const Napi::CallbackInfo& info) {
  Link& link = lane->journal.touch(lane->links[intOf(info[0])]);
  link.flags &= ~kLinkFlagLeaving;
  if (info[1].As<Napi::Boolean>()) link.flags |= kLinkFlagLeaving;
  return info.Env().Undefined();
}

Napi::Value linkPlan(const Napi::CallbackInfo& info) {
  Link& link = lane->journal.touch(lane->links[intOf(info[0])]);
  link.deadline_us = info[1].As<Napi::Number>().DoubleValue();
  link.retry_us = info[2].As<Napi::Number>().DoubleValue();
  link.failures = intOf(info[3]);
  link.replies_due = intOf(info[4]);
  return info.Env().Undefined();
}

Napi::Value linkReason(const Napi::CallbackInfo& info) {
  Link& link = lane->journal.touch(lane->links[intOf(info[0])]);
  const std::string text = info[2].As<Napi::String>();
  link.reason = intOf(info[1]);
  link.reason_bytes = static_cast<int32_t>(std::min(text.size(), sizeof link.reason_text));
  memcpy(link.reason_text, text.data(), static_cast<size_t>(link.reason_bytes));
  return info.Env().Undefined();
}

Napi::Value linkResolving(const Napi::CallbackInfo& info) {
  lane->journal.touch(lane->links[intOf(info[0])]).state = kLinkStateResolving;
  return info.Env().Undefined();
}

Napi::Value linkConnect(const Napi::CallbackInfo& info) {
  const std::string address = info[1].As<Napi::String>();
  return Napi::Number::New(info.Env(),
                           lane->connectLink(intOf(info[0]), address.c_str(), intOf(info[2]),
                                            info[3].As<Napi::Boolean>()));
}

Napi::Value linkRelay(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), lane->relays.open(intOf(info[0])));
}

Napi::Value linkHandshake(const Napi::CallbackInfo& info) {
  const Bytes bytes = bytesOf(info[1]);
  return Napi::Number::New(info.Env(), lane->handshake(intOf(info[0]), bytes.data, bytes.size));
}

Napi::Value linkOpenGate(const Napi::CallbackInfo& info) {
  lane->openGate(intOf(info[0]));
  return info.Env().Undefined();
}

Napi::Value linkLose(const Napi::CallbackInfo& info) {
  const Bytes error = bytesOf(info[1]);
  return Napi::Number::New(info.Env(), lane->loseLink(intOf(info[0]), error.data, error.size,
                                                     info[2].As<Napi::Boolean>()));
}

Napi::Value linkTimeouts(const Napi::CallbackInfo& info) {
  const Bytes error = bytesOf(info[2]);
  return Napi::Number::New(
      info.Env(), lane->timeOut(intOf(info[0]), info[1].As<Napi::Number>().DoubleValue(), error.data,
                               error.size));
}

// A journalled write to a session's description; see SessionInfo in layout.ts.
Napi::Value sessionNote(const Napi::CallbackInfo& info) {
  SessionInfo& row = lane->journal.touch(lane->infos[intOf(info[0])]);
  const Bytes bytes = bytesOf(info[2]);
  const auto note = [&](uint8_t* to, size_t room, int32_t* length) {
    *length = std::min(bytes.size, static_cast<int32_t>(room));
    if (*length > 0) memcpy(to, bytes.data, static_cast<size_t>(*length));
  };
  switch (intOf(info[1])) {
    case 0:
      note(row.name, sizeof row.name, &row.name_bytes);
      break;
    case 1:
      note(row.lib_name, sizeof row.lib_name, &row.lib_name_bytes);
      break;
    case 2:
      note(row.lib_ver, sizeof row.lib_ver, &row.lib_ver_bytes);
      break;
    default:
      row.db = bytes.size > 0 ? bytes.data[0] : 0;
      break;
  }
  return info.Env().Undefined();
}

// Copies bytes of a large request out of its session's in chain.
Napi::Value sessionRead(const Napi::CallbackInfo& info) {
  const int32_t count = intOf(info[2]);
  auto buffer = Napi::Buffer<uint8_t>::New(info.Env(), static_cast<size_t>(count));
  lane->chains.read(inOf(lane->sessions[intOf(info[0])]), intOf(info[1]), count, buffer.Data());
  return buffer;
}

Napi::Value listOf(Napi::Env env, const std::vector<std::string>& found) {
  auto list = Napi::Array::New(env, found.size());
  for (size_t i = 0; i < found.size(); ++i)
    list.Set(static_cast<uint32_t>(i), Napi::String::New(env, found[i]));
  return list;
}

Napi::Value laneCheck(const Napi::CallbackInfo& info) {
  // check() speaks of sealed turns, and a turn whose events nobody has looked at cannot be sealed.
  const bool is_open = lane->head->decided < lane->head->descriptors;
  if (!is_open) lane->seal();
  return listOf(info.Env(), is_open ? std::vector<std::string>() : lane->check());
}

Napi::Value laneLook(const Napi::CallbackInfo& info) {
  const Look look = lookAt(*lane, info[0].As<Napi::Boolean>());
  return Napi::Number::New(info.Env(), static_cast<int32_t>(look));
}

Napi::Value laneExamine(const Napi::CallbackInfo& info) {
  return listOf(info.Env(), checkCopy(*lane, static_cast<Look>(intOf(info[0]))));
}

Napi::Value laneRelease(const Napi::CallbackInfo& info) {
  lane->leave();
  return info.Env().Undefined();
}

}  // namespace

void initLane(Napi::Env env, Napi::Object exports) {
  const struct {
    const char* name;
    Napi::Value (*call)(const Napi::CallbackInfo&);
  } calls[] = {
      {"laneFetch", laneFetch},
      {"laneClaim", laneClaim},
      {"laneBegin", laneBegin},
      {"laneLoop", laneLoop},
      {"laneStart", laneStart},
      {"laneStop", laneStop},
      {"laneTurn", laneTurn},
      {"laneFinish", laneFinish},
      {"laneApply", laneApply},
      {"lanePlace", lanePlace},
      {"laneListen", laneListen},
      {"laneUnlisten", laneUnlisten},
      {"laneCloseListeners", laneCloseListeners},
      {"laneDrain", laneDrain},
      {"laneCut", laneCut},
      {"laneCheck", laneCheck},
      {"laneLook", laneLook},
      {"laneExamine", laneExamine},
      {"laneRelease", laneRelease},
      {"linkDefine", linkDefine},
      {"linkFree", linkFree},
      {"linkLeave", linkLeave},
      {"linkPlan", linkPlan},
      {"linkReason", linkReason},
      {"linkResolving", linkResolving},
      {"linkConnect", linkConnect},
      {"linkRelay", linkRelay},
      {"linkHandshake", linkHandshake},
      {"linkOpenGate", linkOpenGate},
      {"linkLose", linkLose},
      {"linkTimeouts", linkTimeouts},
      {"sessionNote", sessionNote},
      {"sessionRead", sessionRead},
  };
  initLaneAttach(env, exports);
  for (const auto& each : calls)
    exports.Set(each.name, Napi::Function::New(env, each.call, each.name));
}

}  // namespace baton
