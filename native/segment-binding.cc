// Creating, mapping and growing the segment, as TypeScript asks for it (src/native/binding.ts).
#include <fcntl.h>
#include <napi.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "layout.gen.h"
#include "segment.h"
#include "throw.h"

namespace baton {

namespace {

Napi::Value segmentCreate(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>();
  const int fd = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return throwErrno(info.Env(), "shm_open", errno);
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value segmentUnlink(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>();
  if (shm_unlink(name.c_str()) != 0 && errno != ENOENT)
    return throwErrno(info.Env(), "shm_unlink", errno);
  return info.Env().Undefined();
}

Napi::Value segmentMap(const Napi::CallbackInfo& info) {
  if (segment.base != nullptr) return throwErrno(info.Env(), "mmap (a second segment)", EBUSY);
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const auto bytes = static_cast<size_t>(info[1].As<Napi::Number>().DoubleValue());
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (base == MAP_FAILED) return throwErrno(info.Env(), "mmap", errno);
  madvise(base, bytes, MADV_DONTDUMP);  // clients' data does not belong in core files
  segment = {static_cast<uint8_t*>(base), bytes, fd};
  return info.Env().Undefined();
}

// Memory of this process alone, of the object's size: only what is written there becomes real. It
// begins with what the object begins with.
Napi::Value segmentShadow(const Napi::CallbackInfo& info) {
  if (segment.base != nullptr) return throwErrno(info.Env(), "mmap (a second segment)", EBUSY);
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const auto bytes = static_cast<size_t>(info[1].As<Napi::Number>().DoubleValue());
  constexpr int kOwn = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kOwn, -1, 0);
  if (base == MAP_FAILED) return throwErrno(info.Env(), "mmap", errno);
  if (pread(fd, base, sizeof(Superblock), 0) != sizeof(Superblock))
    return throwErrno(info.Env(), "pread", EIO);
  segment = {static_cast<uint8_t*>(base), bytes, fd};
  return info.Env().Undefined();
}

Napi::Value segmentGrow(const Napi::CallbackInfo& info) {
  const int result = segment.grow(static_cast<uint64_t>(info[0].As<Napi::Number>().DoubleValue()),
                                  static_cast<uint64_t>(info[1].As<Napi::Number>().DoubleValue()));
  if (result < 0) return throwErrno(info.Env(), "fallocate", -result);
  return info.Env().Undefined();
}

Napi::Value segmentView(const Napi::CallbackInfo& info) {
  const auto offset = static_cast<uint64_t>(info[0].As<Napi::Number>().DoubleValue());
  const auto length = static_cast<size_t>(info[1].As<Napi::Number>().DoubleValue());
  if (offset + length > segment.bytes)
    return throwErrno(info.Env(), "view beyond the segment", ERANGE);
  return Napi::ArrayBuffer::New(info.Env(), segment.base + offset, length);
}

}  // namespace

void initSegment(Napi::Env env, Napi::Object exports) {
  exports.Set("segmentCreate", Napi::Function::New(env, segmentCreate));
  exports.Set("segmentUnlink", Napi::Function::New(env, segmentUnlink));
  exports.Set("segmentMap", Napi::Function::New(env, segmentMap));
  exports.Set("segmentShadow", Napi::Function::New(env, segmentShadow));
  exports.Set("segmentGrow", Napi::Function::New(env, segmentGrow));
  exports.Set("segmentView", Napi::Function::New(env, segmentView));
}

}  // namespace baton
