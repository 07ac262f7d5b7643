// Reads a chain from front to back, byte by byte or in strides, without making it contiguous.
#pragma once
#include <algorithm>
#include <cstdint>

#include "chain.h"

namespace baton {

class ChainReader {
 public:
  ChainReader(const ChainStore& store, const Chain& chain) : store_(store), chain_(chain) {}

  int32_t at() const { return at_; }
  int32_t left() const { return chain_.bytes - at_; }

  // The next byte; the caller knows that there is one.
  uint8_t next() {
    if (at_ >= piece_end_) load();
    return piece_[at_++ - piece_begin_];
  }

  void skip(int32_t count) { at_ += count; }

  // Reads "<digits>CRLF"; the chain holds a whole, already checked message.
  int64_t number() {
    int64_t value = 0;
    bool negative = false;
    for (uint8_t byte = next(); byte != '\r'; byte = next()) {
      if (byte == '-')
        negative = true;
      else
        value = value * 10 + (byte - '0');
    }
    next();
    return negative ? -value : value;
  }

 private:
  void load() {
    piece_begin_ = at_;
    bool first = true;
    store_.visit(chain_, at_, std::min(left(), kChunkBytes),
                 [&](const uint8_t* bytes, int32_t step) {
                   if (!first) return;
                   first = false;
                   piece_ = bytes;
                   piece_end_ = at_ + step;
                 });
  }

  const ChainStore& store_;
  const Chain& chain_;
  const uint8_t* piece_ = nullptr;
  int32_t at_ = 0;
  int32_t piece_begin_ = 0;
  int32_t piece_end_ = 0;
};

}  // namespace baton
