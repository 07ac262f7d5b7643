#include "segment.h"

#include <fcntl.h>

#include <cerrno>

namespace baton {

Segment segment;

int Segment::grow(uint64_t offset, uint64_t length) const {
  while (fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(length)) != 0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}

void Segment::release(uint64_t offset, uint64_t length) const {
  fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
            static_cast<off_t>(length));
}

}  // namespace baton
