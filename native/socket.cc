#include "socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "process.h"

namespace baton {

namespace {

struct Address {
  sockaddr_storage storage = {};
  socklen_t length = 0;

  const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

std::string textOf(const std::string& host, int port) {
  bool isBracketed = host.find(':') != std::string::npos;
  return (isBracketed ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

/** The first address of a name, as twemproxy takes it. */
bool resolve(Napi::Env env, const std::string& host, int port, Address* address) {
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) {
    int code = failed == EAI_SYSTEM ? errno : failed == EAI_AGAIN ? EAGAIN : EADDRNOTAVAIL;
    throwSystemError(env, code, "getaddrinfo", host);
    return false;
  }
  memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
  address->length = found->ai_addrlen;
  freeaddrinfo(found);
  return true;
}

bool enable(int fd, int level, int option, bool on = true) {
  int value = on;
  return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/**
 * SO_REUSEADDR, because connections of an earlier run may linger in TIME_WAIT; it does not let two
 * listen. Returns the socket, or -errno and the call that failed.
 */
int boundSocket(const Address& address, bool reuseport, bool v6only, const char** failedCall) {
  int family = address.storage.ss_family;
  *failedCall = "socket";
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  *failedCall = "setsockopt";
  bool isSet = enable(fd, SOL_SOCKET, SO_REUSEADDR) &&
               (!reuseport || enable(fd, SOL_SOCKET, SO_REUSEPORT)) &&
               (family != AF_INET6 || enable(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only));
  if (isSet) {
    *failedCall = "bind";
    if (bind(fd, address.generic(), address.length) == 0) return fd;
  }
  int failed = errno;
  close(fd);
  return -failed;
}

Napi::Value socketListenTcp(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string host = info[0].As<Napi::String>().Utf8Value();
  int port = info[1].As<Napi::Number>().Int32Value();
  int backlog = info[2].As<Napi::Number>().Int32Value();
  Napi::Object options = info[3].As<Napi::Object>();
  bool reuseport = options.Get("reuseport").ToBoolean();
  bool v6only = options.Get("v6only").ToBoolean();

  Address address;
  if (!resolve(env, host, port, &address)) return env.Undefined();
  const char* call = nullptr;
  int fd = boundSocket(address, reuseport, v6only, &call);
  if (fd < 0) return throwSystemError(env, -fd, call, textOf(host, port));
  // Accepted sockets inherit these, which saves three system calls for each of them.
  enable(fd, IPPROTO_TCP, TCP_NODELAY);
  enable(fd, SOL_SOCKET, SO_OOBINLINE);
  if (options.Get("keepalive").ToBoolean()) enable(fd, SOL_SOCKET, SO_KEEPALIVE);
  if (listen(fd, backlog) == 0) return Napi::Number::New(env, fd);
  int failed = errno;
  close(fd);
  return throwSystemError(env, failed, "listen", textOf(host, port));
}

/** A bind without SO_REUSEPORT fails where anybody listens already, whatever his options are. */
Napi::Value socketProbe(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string host = info[0].As<Napi::String>().Utf8Value();
  int port = info[1].As<Napi::Number>().Int32Value();
  Address address;
  if (!resolve(env, host, port, &address)) return env.Undefined();
  const char* call = nullptr;
  int fd = boundSocket(address, false, info[2].ToBoolean(), &call);
  if (fd < 0) return throwSystemError(env, -fd, call, textOf(host, port));
  close(fd);
  return env.Undefined();
}

bool unixAddress(Napi::Env env, const std::string& path, Address* address) {
  auto* name = reinterpret_cast<sockaddr_un*>(&address->storage);
  if (path.size() >= sizeof name->sun_path) {
    throwSystemError(env, ENAMETOOLONG, "bind", path);
    return false;
  }
  name->sun_family = AF_UNIX;
  memcpy(name->sun_path, path.c_str(), path.size() + 1);
  address->length = sizeof *name;
  return true;
}

Napi::Value socketListenUnix(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string path = info[0].As<Napi::String>().Utf8Value();
  int backlog = info[2].As<Napi::Number>().Int32Value();
  Address address;
  if (!unixAddress(env, path, &address)) return env.Undefined();
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return throwSystemError(env, errno, "socket", path);
  // The mode must be right from the first moment on, so it is the umask that makes it.
  bool hasMode = info[1].IsNumber();
  mode_t mode = hasMode ? info[1].As<Napi::Number>().Uint32Value() : 0;
  mode_t before = hasMode ? umask(~mode & 0777) : 0;
  const char* call = "bind";
  int result = bind(fd, address.generic(), address.length);
  if (hasMode) umask(before);
  if (result == 0) {
    call = "listen";
    result = listen(fd, backlog);
  }
  if (result == 0) return Napi::Number::New(env, fd);
  int failed = errno;
  close(fd);
  return throwSystemError(env, failed, call, path);
}

/** EAGAIN means a full accept queue: somebody listens, however badly. */
Napi::Value socketUnixAnswers(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Address address;
  if (!unixAddress(env, info[0].As<Napi::String>().Utf8Value(), &address)) return env.Undefined();
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return throwSystemError(env, errno, "socket", "");
  int result = connect(fd, address.generic(), address.length);
  bool answers = result == 0 || errno == EAGAIN || errno == EINPROGRESS;
  close(fd);
  return Napi::Boolean::New(env, answers);
}

/** For the sockets that a listener will accept from now on. */
Napi::Value socketKeepalive(const Napi::CallbackInfo& info) {
  enable(info[0].As<Napi::Number>().Int32Value(), SOL_SOCKET, SO_KEEPALIVE, info[1].ToBoolean());
  return info.Env().Undefined();
}

/** Above the standard descriptors, which may be closed. */
Napi::Value socketDuplicate(const Napi::CallbackInfo& info) {
  int fd = fcntl(info[0].As<Napi::Number>().Int32Value(), F_DUPFD_CLOEXEC, 3);
  if (fd < 0) return throwSystemError(info.Env(), errno, "fcntl", "F_DUPFD_CLOEXEC");
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value socketClose(const Napi::CallbackInfo& info) {
  close(info[0].As<Napi::Number>().Int32Value());
  return info.Env().Undefined();
}

}  // namespace

void initSocket(Napi::Env env, Napi::Object exports) {
  exports.Set("socketListenTcp", Napi::Function::New(env, socketListenTcp));
  exports.Set("socketProbe", Napi::Function::New(env, socketProbe));
  exports.Set("socketListenUnix", Napi::Function::New(env, socketListenUnix));
  exports.Set("socketUnixAnswers", Napi::Function::New(env, socketUnixAnswers));
  exports.Set("socketKeepalive", Napi::Function::New(env, socketKeepalive));
  exports.Set("socketDuplicate", Napi::Function::New(env, socketDuplicate));
  exports.Set("socketClose", Napi::Function::New(env, socketClose));
}

}  // namespace baton
