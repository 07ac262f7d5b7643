#include "process.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "process-tree.h"
#include "title-area.h"

extern char** environ;

namespace baton {

Napi::Value throwSystemError(Napi::Env env, int code, const char* syscall,
                             const std::string& what) {
  std::string subject = what.empty() ? "" : " " + what;
  std::string message = syscall + subject + ": " + strerror(code);
  Napi::Error error = Napi::Error::New(env, message);
  const char* name = strerrorname_np(code);
  error.Set("code", Napi::String::New(env, name == nullptr ? "UNKNOWN" : name));
  error.Set("errno", Napi::Number::New(env, -code));
  error.Set("syscall", Napi::String::New(env, syscall));
  error.ThrowAsJavaScriptException();
  return env.Undefined();
}

namespace {

// --- the title ---

/** Copies out what getenv() finds in the area. The copies live as long as the process. */
void moveEnvironment(const TitleArea& area) {
  for (char** entry = environ; entry != nullptr && *entry != nullptr; entry++) {
    if (*entry >= area.start && *entry < area.start + area.bytes) *entry = strdup(*entry);
  }
}

void setTitle(const std::string& title) {
  static TitleArea area;
  if (area.start == nullptr) {
    area = findTitleArea();
    if (area.start != nullptr) moveEnvironment(area);
  }
  if (area.start != nullptr) {
    size_t length = title.size() < area.bytes - 1 ? title.size() : area.bytes - 1;
    memset(area.start, 0, area.bytes);
    memcpy(area.start, title.data(), length);
  }
  // The short name that ps -e, top and killall show: the program, not its role.
  prctl(PR_SET_NAME, title.substr(0, title.find(':')).c_str());
}

Napi::Value processTitle(const Napi::CallbackInfo& info) {
  setTitle(info[0].As<Napi::String>().Utf8Value());
  return info.Env().Undefined();
}

// --- rights and limits ---

Napi::Value processAffinity(const Napi::CallbackInfo& info) {
  Napi::Array cpus = info[0].As<Napi::Array>();
  cpu_set_t set;
  CPU_ZERO(&set);
  for (uint32_t i = 0; i < cpus.Length(); i++) {
    int64_t cpu = cpus.Get(i).As<Napi::Number>().Int64Value();
    if (cpu < 0 || cpu >= CPU_SETSIZE) {
      return throwSystemError(info.Env(), EINVAL, "sched_setaffinity", "");
    }
    CPU_SET(static_cast<int>(cpu), &set);
  }
  // The calling thread only: it runs the lane. Node's few background threads may go anywhere else.
  if (sched_setaffinity(0, sizeof set, &set) == 0) return info.Env().Undefined();
  return throwSystemError(info.Env(), errno, "sched_setaffinity", "");
}

struct Identity {
  std::string name;
  uid_t user = 0;
  gid_t group = 0;
};

/** Looks `name` up, as a number if there is no such name. Returns an errno; ENOENT: unknown. */
int findUser(const std::string& name, Identity* found) {
  std::vector<char> room(16384);
  passwd entry;
  passwd* result = nullptr;
  int failed = getpwnam_r(name.c_str(), &entry, room.data(), room.size(), &result);
  bool isNumber = !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
  if (result == nullptr && isNumber) {
    uid_t user = static_cast<uid_t>(strtoul(name.c_str(), nullptr, 10));
    failed = getpwuid_r(user, &entry, room.data(), room.size(), &result);
  }
  if (result == nullptr) return failed == 0 ? ENOENT : failed;
  *found = {entry.pw_name, entry.pw_uid, entry.pw_gid};
  return 0;
}

int findGroup(const std::string& name, gid_t* found) {
  std::vector<char> room(65536);
  group entry;
  group* result = nullptr;
  int failed = getgrnam_r(name.c_str(), &entry, room.data(), room.size(), &result);
  bool isNumber = !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
  if (result == nullptr && isNumber) {
    *found = static_cast<gid_t>(strtoul(name.c_str(), nullptr, 10));
    return 0;
  }
  if (result == nullptr) return failed == 0 ? ENOENT : failed;
  *found = entry.gr_gid;
  return 0;
}

bool identityOf(const Napi::CallbackInfo& info, Identity* found) {
  std::string user = info[0].As<Napi::String>().Utf8Value();
  int failed = findUser(user, found);
  if (failed != 0) {
    throwSystemError(info.Env(), failed, "getpwnam", user);
    return false;
  }
  if (!info[1].IsString()) return true;
  std::string group = info[1].As<Napi::String>().Utf8Value();
  failed = findGroup(group, &found->group);
  if (failed == 0) return true;
  throwSystemError(info.Env(), failed, "getgrnam", group);
  return false;
}

Napi::Value processIdentity(const Napi::CallbackInfo& info) {
  Identity identity;
  if (!identityOf(info, &identity)) return info.Env().Undefined();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("uid", Napi::Number::New(info.Env(), identity.user));
  result.Set("gid", Napi::Number::New(info.Env(), identity.group));
  return result;
}

Napi::Value processUser(const Napi::CallbackInfo& info) {
  Identity identity;
  if (!identityOf(info, &identity)) return info.Env().Undefined();
  // glibc applies each of these to all threads.
  if (initgroups(identity.name.c_str(), identity.group) != 0) {
    return throwSystemError(info.Env(), errno, "initgroups", identity.name);
  }
  if (setgid(identity.group) != 0) {
    return throwSystemError(info.Env(), errno, "setgid", identity.name);
  }
  if (setuid(identity.user) != 0) {
    return throwSystemError(info.Env(), errno, "setuid", identity.name);
  }
  // A changed uid makes the process undumpable, and /proc/self root's. nginx undoes that too.
  prctl(PR_SET_DUMPABLE, 1);
  return info.Env().Undefined();
}

Napi::Value processLimits(const Napi::CallbackInfo& info) {
  const rlim_t wanted = static_cast<rlim_t>(info[0].As<Napi::Number>().Int64Value());
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  rlimit next = limit;
  next.rlim_cur = wanted == 0 ? limit.rlim_max : wanted;
  if (next.rlim_cur > next.rlim_max) next.rlim_max = next.rlim_cur;
  // Beyond the hard limit only with CAP_SYS_RESOURCE; without it, as much as there is.
  if (setrlimit(RLIMIT_NOFILE, &next) != 0 && next.rlim_cur > limit.rlim_max) {
    next = {limit.rlim_max, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &next);
  }
  getrlimit(RLIMIT_NOFILE, &limit);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("soft", Napi::Number::New(info.Env(), static_cast<double>(limit.rlim_cur)));
  result.Set("hard", Napi::Number::New(info.Env(), static_cast<double>(limit.rlim_max)));
  return result;
}

/**
 * Node raises its soft limit to the hard one when it starts, so a child is held to fewer files only
 * by both. Done from outside: that works before the child does that, and after.
 */
Napi::Value processChildLimit(const Napi::CallbackInfo& info) {
  const pid_t pid = info[0].As<Napi::Number>().Int32Value();
  const auto files = static_cast<rlim_t>(info[1].As<Napi::Number>().Int64Value());
  const rlimit limit = {files, files};
  if (prlimit(pid, RLIMIT_NOFILE, &limit, nullptr) == 0) return info.Env().Undefined();
  return throwSystemError(info.Env(), errno, "prlimit", "");
}

Napi::Value processParentDeath(const Napi::CallbackInfo& info) {
  if (prctl(PR_SET_PDEATHSIG, info[0].As<Napi::Number>().Int32Value()) != 0) {
    return throwSystemError(info.Env(), errno, "prctl", "PR_SET_PDEATHSIG");
  }
  return Napi::Number::New(info.Env(), getppid());
}

// --- files ---

/**
 * A file that is removed while somebody waits for its lock is no longer the file of that name: the
 * lock counts only if the path still leads to the inode that was locked.
 */
Napi::Value processLock(const Napi::CallbackInfo& info) {
  std::string path = info[0].As<Napi::String>().Utf8Value();
  for (;;) {
    int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return throwSystemError(info.Env(), errno, "open", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      int failed = errno;
      close(fd);
      return throwSystemError(info.Env(), failed, "flock", path);
    }
    struct stat locked, named;
    bool isNamed = fstat(fd, &locked) == 0 && stat(path.c_str(), &named) == 0 &&
                   locked.st_ino == named.st_ino && locked.st_dev == named.st_dev;
    if (isNamed) return Napi::Number::New(info.Env(), fd);
    close(fd);
  }
}

/** Lets go of the terminal: standard input, output and error lead nowhere from now on. */
Napi::Value processDetach(const Napi::CallbackInfo& info) {
  int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nowhere < 0) return throwSystemError(info.Env(), errno, "open", "/dev/null");
  for (int fd = 0; fd <= 2; fd++) dup2(nowhere, fd);
  if (nowhere > 2) close(nowhere);
  return info.Env().Undefined();
}

// --- doorbells ---

Napi::Value processDoorbell(const Napi::CallbackInfo& info) {
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) return throwSystemError(info.Env(), errno, "eventfd", "");
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value processRing(const Napi::CallbackInfo& info) {
  // EAGAIN: the counter is full, so it has been rung often enough.
  eventfd_write(info[0].As<Napi::Number>().Int32Value(), 1);
  return info.Env().Undefined();
}

/** Lives until the process ends, like the bell it watches. */
struct Watch {
  uv_poll_t poll;
  int fd;
  Napi::FunctionReference callback;
};

void onRung(uv_poll_t* poll, int status, int) {
  auto* watch = static_cast<Watch*>(poll->data);
  eventfd_t count;
  if (status != 0 || eventfd_read(watch->fd, &count) != 0) return;
  Napi::Env env = watch->callback.Env();
  Napi::HandleScope scope(env);
  watch->callback.MakeCallback(env.Global(), {});
}

Napi::Value processWatch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  auto* watch = new Watch();
  watch->fd = info[0].As<Napi::Number>().Int32Value();
  watch->callback = Napi::Persistent(info[1].As<Napi::Function>());
  watch->poll.data = watch;
  int failed = uv_poll_init(loop, &watch->poll, watch->fd);
  if (failed != 0) {
    delete watch;
    return throwSystemError(env, -failed, "uv_poll_init", "");
  }
  uv_poll_start(&watch->poll, UV_READABLE, onRung);
  uv_unref(reinterpret_cast<uv_handle_t*>(&watch->poll));
  return env.Undefined();
}

}  // namespace

void initProcess(Napi::Env env, Napi::Object exports) {
  exports.Set("processTitle", Napi::Function::New(env, processTitle));
  exports.Set("processAffinity", Napi::Function::New(env, processAffinity));
  exports.Set("processIdentity", Napi::Function::New(env, processIdentity));
  exports.Set("processUser", Napi::Function::New(env, processUser));
  exports.Set("processLimits", Napi::Function::New(env, processLimits));
  exports.Set("processChildLimit", Napi::Function::New(env, processChildLimit));
  exports.Set("processParentDeath", Napi::Function::New(env, processParentDeath));
  exports.Set("processLock", Napi::Function::New(env, processLock));
  exports.Set("processDetach", Napi::Function::New(env, processDetach));
  exports.Set("processDoorbell", Napi::Function::New(env, processDoorbell));
  exports.Set("processRing", Napi::Function::New(env, processRing));
  exports.Set("processWatch", Napi::Function::New(env, processWatch));
  initProcessTree(env, exports);
}

}  // namespace baton
