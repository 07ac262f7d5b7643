// Prints the hashes of the keys on its standard input, for the tests of native/hash.h.
//
//   in:   <open><close> <key>    both in hex; 0000 means no tag; the key may be empty
//   out:  one line per key: the size of the tagged part, the 12 hash_key values of that part,
//         and the 12 route_hash values of the key
//
// Each key lies in a heap block of exactly its size, at a changing alignment, so that a sanitizer
// sees every byte read outside of it.
#include "hash.h"

#include <cstdio>
#include <cstring>
#include <memory>

namespace {

int digit(char c) {
  return c <= '9' ? c - '0' : c - 'a' + 10;
}

uint8_t byte_at(const char* hex) {
  return static_cast<uint8_t>(digit(hex[0]) << 4 | digit(hex[1]));
}

void print_hashes(baton::KeyTag tag, const uint8_t* key, size_t n) {
  const baton::KeyPart part = baton::tagged_part(tag, key, n);
  std::printf("%zu", part.size);
  for (int32_t kind = 0; kind < baton::kHashKinds; kind++) {
    std::printf(" %u", baton::hash_key(static_cast<baton::HashKind>(kind), part.at, part.size));
  }
  for (int32_t kind = 0; kind < baton::kHashKinds; kind++) {
    std::printf(" %u", baton::route_hash(static_cast<baton::HashKind>(kind), tag, key, n));
  }
  std::printf("\n");
}

}  // namespace

int main() {
  static char line[1 << 16];
  for (size_t row = 0; std::fgets(line, sizeof line, stdin) != nullptr; row++) {
    const char* hex = line + 5;
    const size_t n = std::strcspn(hex, "\n") / 2;
    const size_t shift = row & 7;
    const std::unique_ptr<uint8_t[]> block(new uint8_t[shift + n]);
    for (size_t i = 0; i < n; i++) block[shift + i] = byte_at(hex + 2 * i);
    print_hashes({byte_at(line), byte_at(line + 2)}, block.get() + shift, n);
  }
  return 0;
}
