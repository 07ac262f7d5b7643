// The mapping of the instance's shared memory in this process: made once, never moved.
//
// Address space for the whole object is reserved at once; parts become memory by fallocate when
// they are needed. A plain ftruncate would turn a full /dev/shm into SIGBUS at some later store.
#pragma once
#include <cstddef>
#include <cstdint>

namespace Napi {
class Env;
class Object;
}  // namespace Napi

namespace baton {

struct Segment {
  uint8_t* base = nullptr;
  size_t bytes = 0;
  int fd = -1;

  // Backs [offset, offset + length) with memory. 0 or -errno (ENOSPC: /dev/shm is full).
  int grow(uint64_t offset, uint64_t length) const;
  // Gives the memory back; the range must be grown again before it is touched.
  void release(uint64_t offset, uint64_t length) const;

  template <class T>
  T* at(uint64_t offset) const {
    return reinterpret_cast<T*>(base + offset);
  }
};

extern Segment segment;

void initSegment(Napi::Env env, Napi::Object exports);  // segment-binding.cc

}  // namespace baton
