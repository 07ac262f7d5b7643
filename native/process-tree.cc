#include "process-tree.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "fd-pass.h"
#include "keeper.h"
#include "process.h"

namespace baton {

namespace {

// --- descriptors ---

Napi::Value processEpoll(const Napi::CallbackInfo& info) {
  int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return throwSystemError(info.Env(), errno, "epoll_create1", "");
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value processPair(const Napi::CallbackInfo& info) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return throwSystemError(info.Env(), errno, "socketpair", "");
  }
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  for (uint32_t i = 0; i < 2; i++) result[i] = Napi::Number::New(info.Env(), ends[i]);
  return result;
}

// --- docks ---

socklen_t abstractName(const std::string& name, sockaddr_un* address) {
  *address = {};
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path + 1, name.data(), name.size());  // behind a zero byte: it has no file
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
}

Napi::Value processDock(const Napi::CallbackInfo& info) {
  constexpr int kBacklog = 16;
  std::string name = info[0].As<Napi::String>().Utf8Value();
  sockaddr_un address;
  if (name.size() >= sizeof address.sun_path) {
    return throwSystemError(info.Env(), ENAMETOOLONG, "bind", name);
  }
  const socklen_t length = abstractName(name, &address);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return throwSystemError(info.Env(), errno, "socket", "");
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 && listen(fd, kBacklog) == 0) {
    return Napi::Number::New(info.Env(), fd);
  }
  int failed = errno;
  close(fd);
  return throwSystemError(info.Env(), failed, "bind", name);
}

// Of a dock that root or this user listens on. The descriptor or -errno.
int connectDock(const std::string& name) {
  sockaddr_un address;
  if (name.size() >= sizeof address.sun_path) return -ENAMETOOLONG;
  const socklen_t length = abstractName(name, &address);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  ucred peer = {};
  socklen_t size = sizeof peer;
  int failed = 0;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    failed = errno;
  } else if (peer.uid != 0 && peer.uid != geteuid()) {
    failed = EACCES;
  }
  if (failed == 0) return fd;
  close(fd);
  return -failed;
}

Napi::Value processFetch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string name = info[0].As<Napi::String>().Utf8Value();
  Napi::Array asked = info[1].As<Napi::Array>();
  std::vector<int32_t> numbers;
  for (uint32_t i = 0; i < asked.Length(); i++) {
    numbers.push_back(asked.Get(i).As<Napi::Number>().Int32Value());
  }
  int dock = connectDock(name);
  if (dock < 0) return throwSystemError(env, -dock, "connect", name);
  std::map<int32_t, int> fds;
  auto take = [](void* context, int32_t number, int fd) {
    auto& all = *static_cast<std::map<int32_t, int>*>(context);
    if (!all.emplace(number, fd).second) close(fd);
  };
  int result = fetchDescriptors(dock, numbers.data(), static_cast<int32_t>(numbers.size()),
                                info[2].As<Napi::Number>().Int32Value(), take, &fds);
  close(dock);
  if (result < 0) {
    for (const auto& [number, fd] : fds) close(fd);
    return throwSystemError(env, -result, "recvmsg", name);
  }
  Napi::Array list = Napi::Array::New(env, numbers.size());
  for (uint32_t i = 0; i < numbers.size(); i++) {
    auto found = fds.find(numbers[i]);
    list[i] = Napi::Number::New(env, found == fds.end() ? -1 : found->second);
  }
  return list;
}

// --- what is inherited, and what may be done ---

Napi::Value processProbeKeeper(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), probeKeeper());
}

Napi::Value processCloseOnExec(const Napi::CallbackInfo& info) {
  Napi::Array fds = info[0].As<Napi::Array>();
  for (uint32_t i = 0; i < fds.Length(); i++) {
    int fd = fds.Get(i).As<Napi::Number>().Int32Value();
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0) {
      return throwSystemError(info.Env(), errno, "fcntl", std::to_string(fd));
    }
  }
  return info.Env().Undefined();
}

/** Whether code of a file may be mapped: not on a file system that is mounted noexec. */
Napi::Value processMayExecute(const Napi::CallbackInfo& info) {
  std::string path = info[0].As<Napi::String>().Utf8Value();
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return throwSystemError(info.Env(), errno, "open", path);
  void* page = mmap(nullptr, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
  close(fd);
  if (page != MAP_FAILED) munmap(page, 1);
  return Napi::Boolean::New(info.Env(), page != MAP_FAILED);
}

// --- children and orphans ---

/** As $? has it: 128 more than the signal for one that was killed. */
int shellStatus(const siginfo_t& ending) {
  return ending.si_code == CLD_EXITED ? ending.si_status : 128 + ending.si_status;
}

Napi::Value processReap(const Napi::CallbackInfo& info) {
  siginfo_t ending = {};
  const auto pid = static_cast<id_t>(info[0].As<Napi::Number>().Int32Value());
  if (waitid(P_PID, pid, &ending, WEXITED | WNOHANG) != 0) {
    return throwSystemError(info.Env(), errno, "waitid", std::to_string(pid));
  }
  if (ending.si_pid == 0) return info.Env().Null();
  return Napi::Number::New(info.Env(), shellStatus(ending));
}

/** Looks before it takes: libuv must find its own child, or it waits for that one for ever. */
Napi::Value processReapOrphans(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const pid_t own = info[0].As<Napi::Number>().Int32Value();
  Napi::Array reaped = Napi::Array::New(env);
  for (uint32_t count = 0;; count++) {
    siginfo_t ending = {};
    if (waitid(P_ALL, 0, &ending, WEXITED | WNOHANG | WNOWAIT) != 0) break;
    if (ending.si_pid == 0 || ending.si_pid == own) break;
    if (waitid(P_PID, static_cast<id_t>(ending.si_pid), &ending, WEXITED | WNOHANG) != 0) break;
    Napi::Object one = Napi::Object::New(env);
    one.Set("pid", Napi::Number::New(env, ending.si_pid));
    one.Set("status", Napi::Number::New(env, shellStatus(ending)));
    reaped[count] = one;
  }
  return reaped;
}

Napi::Value processSubreaper(const Napi::CallbackInfo& info) {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    return throwSystemError(info.Env(), errno, "prctl", "PR_SET_CHILD_SUBREAPER");
  }
  return info.Env().Undefined();
}

// --- those outside ---

Napi::Value processHasTerminal(const Napi::CallbackInfo& info) {
  int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0) close(fd);
  return Napi::Boolean::New(info.Env(), fd >= 0);
}

Napi::Value processNotify(const Napi::CallbackInfo& info) {
  std::string path = info[0].As<Napi::String>().Utf8Value();
  std::string text = info[1].As<Napi::String>().Utf8Value();
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return throwSystemError(info.Env(), EINVAL, "sendto", path);
  }
  memcpy(address.sun_path, path.data(), path.size());
  // A name that begins with @ has no file: its first byte is zero, its length says where it ends.
  if (path[0] == '@') address.sun_path[0] = 0;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return throwSystemError(info.Env(), errno, "socket", "");
  ssize_t sent = sendto(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                        reinterpret_cast<const sockaddr*>(&address), length);
  int failed = sent < 0 ? errno : 0;
  close(fd);
  return failed == 0 ? info.Env().Undefined()
                     : throwSystemError(info.Env(), failed, "sendto", path);
}

}  // namespace

void initProcessTree(Napi::Env env, Napi::Object exports) {
  exports.Set("processEpoll", Napi::Function::New(env, processEpoll));
  exports.Set("processPair", Napi::Function::New(env, processPair));
  exports.Set("processDock", Napi::Function::New(env, processDock));
  exports.Set("processFetch", Napi::Function::New(env, processFetch));
  exports.Set("processProbeKeeper", Napi::Function::New(env, processProbeKeeper));
  exports.Set("processCloseOnExec", Napi::Function::New(env, processCloseOnExec));
  exports.Set("processMayExecute", Napi::Function::New(env, processMayExecute));
  exports.Set("processReap", Napi::Function::New(env, processReap));
  exports.Set("processReapOrphans", Napi::Function::New(env, processReapOrphans));
  exports.Set("processSubreaper", Napi::Function::New(env, processSubreaper));
  exports.Set("processHasTerminal", Napi::Function::New(env, processHasTerminal));
  exports.Set("processNotify", Napi::Function::New(env, processNotify));
}

}  // namespace baton
