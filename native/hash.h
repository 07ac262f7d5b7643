// The twelve key hashes of twemproxy, and the part of a key that is hashed.
//
// A key must land on the server where twemproxy on x86-64 put it, so each function reproduces not
// the textbook algorithm but what that program computes, oddities included:
//
//   * its keys are `char`, signed on x86-64: where it adds or xors a byte as a number, a byte
//     >= 0x80 arrives sign-extended. Such places read through `signed_byte` below, so that the
//     result does not depend on the machine or on -funsigned-char;
//   * the 64-bit FNVs are cut to their low 32 bits, crc16 is not cut to 16, crc32 is cut to 15.
//
// Written from the public definitions: RFC 1321 (md5), Bob Jenkins' one-at-a-time and lookup3,
// Austin Appleby's MurmurHash2, Paul Hsieh's SuperFastHash, Fowler/Noll/Vo, the CRC polynomials.
// Header-only, no allocation, no state. Reads exactly key[0..n), at any alignment.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace baton {

// The numbers are shared with src/routing/hash-kinds.ts and stored in shared memory: append only.
enum class HashKind : int32_t {
  one_at_a_time = 0,
  md5,
  crc16,
  crc32,
  crc32a,
  fnv1_64,
  fnv1a_64,
  fnv1_32,
  fnv1a_32,
  hsieh,
  murmur,
  jenkins,
};

inline constexpr int32_t kHashKinds = 12;

namespace hash_detail {

inline uint32_t signed_byte(const uint8_t* p) {
  return static_cast<uint32_t>(static_cast<int32_t>(static_cast<int8_t>(*p)));
}

// Little-endian loads from any alignment; one instruction each where the machine is little-endian.
inline uint32_t load16(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) | static_cast<uint32_t>(p[1]) << 8;
}

inline uint32_t load32(const uint8_t* p) {
  return load16(p) | load16(p + 2) << 16;
}

// ---- Fowler/Noll/Vo -----------------------------------------------------------------------------

inline constexpr uint32_t kFnv32Offset = 2166136261u;
inline constexpr uint32_t kFnv32Prime = 16777619u;

// FNV-64 starts at cbf29ce484222325 and multiplies by 2^40 + 0x1b3. The 2^40 moves nothing into the
// low half, and only that half is kept, so 32-bit arithmetic gives the same answer. (twemproxy's
// fnv1a_64 is 32-bit by accident: it stores the 64-bit constants in 32-bit variables.)
inline constexpr uint32_t kFnv64OffsetLow = 0x84222325u;
inline constexpr uint32_t kFnv64PrimeLow = 0x1b3u;

template <uint32_t Offset, uint32_t Prime>
inline uint32_t fnv1(const uint8_t* key, size_t n) {
  uint32_t h = Offset;
  for (const uint8_t* end = key + n; key != end; key++) h = (h * Prime) ^ signed_byte(key);
  return h;
}

template <uint32_t Offset, uint32_t Prime>
inline uint32_t fnv1a(const uint8_t* key, size_t n) {
  uint32_t h = Offset;
  for (const uint8_t* end = key + n; key != end; key++) h = (h ^ signed_byte(key)) * Prime;
  return h;
}

// ---- CRC ----------------------------------------------------------------------------------------

// One byte's worth of x^16 + x^12 + x^5 + 1, most significant bit first.
consteval std::array<uint16_t, 256> make_crc16_table() {
  std::array<uint16_t, 256> table{};
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t r = i << 8;
    for (int bit = 0; bit < 8; bit++) r = (r & 0x8000u) ? (r << 1) ^ 0x1021u : r << 1;
    table[i] = static_cast<uint16_t>(r);
  }
  return table;
}

// One byte's worth of the IEEE 802.3 polynomial, least significant bit first.
consteval std::array<uint32_t, 256> make_crc32_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t r = i;
    for (int bit = 0; bit < 8; bit++) r = (r & 1u) ? (r >> 1) ^ 0xedb88320u : r >> 1;
    table[i] = r;
  }
  return table;
}

inline constexpr std::array<uint16_t, 256> kCrc16 = make_crc16_table();
inline constexpr std::array<uint32_t, 256> kCrc32 = make_crc32_table();

// The low 16 bits are the usual CRC-16/XMODEM. The accumulator is 32 bits wide and never masked, so
// what is shifted out of the low half stays in the upper one, and the upper one counts for routing.
inline uint32_t crc16(const uint8_t* key, size_t n) {
  uint32_t r = 0;
  for (const uint8_t* end = key + n; key != end; key++) {
    r = (r << 8) ^ kCrc16[((r >> 8) ^ *key) & 0xffu];
  }
  return r;
}

inline uint32_t crc32_ieee(const uint8_t* key, size_t n) {
  uint32_t r = 0xffffffffu;
  for (const uint8_t* end = key + n; key != end; key++) {
    r = (r >> 8) ^ kCrc32[(r ^ *key) & 0xffu];
  }
  return ~r;
}

// libmemcached's "crc": bits 16..30 of the CRC-32. On a ketama ring, whose points fill 32 bits, 15
// bits put almost every key on the first point. So it is in twemproxy, and so it stays.
inline uint32_t crc32_15bits(const uint8_t* key, size_t n) {
  return (crc32_ieee(key, n) >> 16) & 0x7fffu;
}

// ---- Jenkins, Hsieh, Appleby --------------------------------------------------------------------

inline uint32_t one_at_a_time(const uint8_t* key, size_t n) {
  uint32_t h = 0;
  for (const uint8_t* end = key + n; key != end; key++) {
    h += signed_byte(key);
    h += h << 10;
    h ^= h >> 6;
  }
  h += h << 3;
  h ^= h >> 11;
  h += h << 15;
  return h;
}

// SuperFastHash from 0 (its author starts from the length). Of the bytes that do not fill a word,
// only the last one of three is sign-extended; the single one of one is not.
inline uint32_t hsieh(const uint8_t* key, size_t n) {
  uint32_t h = 0;
  for (size_t words = n >> 2; words != 0; words--, key += 4) {
    h += load16(key);
    h = (h << 16) ^ (load16(key + 2) << 11) ^ h;
    h += h >> 11;
  }
  switch (n & 3) {
    case 3:
      h += load16(key);
      h ^= h << 16;
      h ^= signed_byte(key + 2) << 18;
      h += h >> 11;
      break;
    case 2:
      h += load16(key);
      h ^= h << 11;
      h += h >> 17;
      break;
    case 1:
      h += *key;
      h ^= h << 10;
      h += h >> 1;
      break;
    default:
      break;
  }
  h ^= h << 3;
  h += h >> 5;
  h ^= h << 4;
  h += h >> 17;
  h ^= h << 25;
  h += h >> 6;
  return h;
}

// MurmurHash2. The seed is 0xdeadbeef * length, as in libmemcached.
inline uint32_t murmur(const uint8_t* key, size_t n) {
  constexpr uint32_t m = 0x5bd1e995u;
  const uint32_t length = static_cast<uint32_t>(n);
  uint32_t h = (0xdeadbeefu * length) ^ length;
  for (; n >= 4; n -= 4, key += 4) {
    uint32_t k = load32(key) * m;
    k ^= k >> 24;
    h = (h * m) ^ (k * m);
  }
  if (n != 0) {
    for (size_t i = 0; i < n; i++) h ^= static_cast<uint32_t>(key[i]) << (8 * i);
    h *= m;
  }
  h ^= h >> 13;
  h *= m;
  h ^= h >> 15;
  return h;
}

// lookup3's hashlittle with initval 13. Its author switches over the length of the tail; zero bytes
// add nothing, so a zero-padded block is the same and reads no byte past the key.
inline uint32_t jenkins(const uint8_t* key, size_t n) {
  uint32_t a = 0xdeadbeefu + static_cast<uint32_t>(n) + 13u;
  uint32_t b = a;
  uint32_t c = a;
  if (n == 0) return c;
  for (; n > 12; n -= 12, key += 12) {
    a += load32(key);
    b += load32(key + 4);
    c += load32(key + 8);
    a -= c; a ^= std::rotl(c, 4); c += b;
    b -= a; b ^= std::rotl(a, 6); a += c;
    c -= b; c ^= std::rotl(b, 8); b += a;
    a -= c; a ^= std::rotl(c, 16); c += b;
    b -= a; b ^= std::rotl(a, 19); a += c;
    c -= b; c ^= std::rotl(b, 4); b += a;
  }
  uint8_t tail[12] = {};
  std::memcpy(tail, key, n);
  a += load32(tail);
  b += load32(tail + 4);
  c += load32(tail + 8);
  c ^= b; c -= std::rotl(b, 14);
  a ^= c; a -= std::rotl(c, 11);
  b ^= a; b -= std::rotl(a, 25);
  c ^= b; c -= std::rotl(b, 16);
  a ^= c; a -= std::rotl(c, 4);
  b ^= a; b -= std::rotl(a, 14);
  c ^= b; c -= std::rotl(b, 24);
  return c;
}

// ---- MD5 (RFC 1321), its first 32 bits ----------------------------------------------------------

// RFC 1321 §3.4: T[i] = floor(2^32 * |sin(i + 1)|).
inline constexpr std::array<uint32_t, 64> kMd5Sines = {
    0xd76aa478u, 0xe8c7b756u, 0x242070dbu, 0xc1bdceeeu, 0xf57c0fafu, 0x4787c62au, 0xa8304613u,
    0xfd469501u, 0x698098d8u, 0x8b44f7afu, 0xffff5bb1u, 0x895cd7beu, 0x6b901122u, 0xfd987193u,
    0xa679438eu, 0x49b40821u, 0xf61e2562u, 0xc040b340u, 0x265e5a51u, 0xe9b6c7aau, 0xd62f105du,
    0x02441453u, 0xd8a1e681u, 0xe7d3fbc8u, 0x21e1cde6u, 0xc33707d6u, 0xf4d50d87u, 0x455a14edu,
    0xa9e3e905u, 0xfcefa3f8u, 0x676f02d9u, 0x8d2a4c8au, 0xfffa3942u, 0x8771f681u, 0x6d9d6122u,
    0xfde5380cu, 0xa4beea44u, 0x4bdecfa9u, 0xf6bb4b60u, 0xbebfbc70u, 0x289b7ec6u, 0xeaa127fau,
    0xd4ef3085u, 0x04881d05u, 0xd9d4d039u, 0xe6db99e5u, 0x1fa27cf8u, 0xc4ac5665u, 0xf4292244u,
    0x432aff97u, 0xab9423a7u, 0xfc93a039u, 0x655b59c3u, 0x8f0ccc92u, 0xffeff47du, 0x85845dd1u,
    0x6fa87e4fu, 0xfe2ce6e0u, 0xa3014314u, 0x4e0811a1u, 0xf7537e82u, 0xbd3af235u, 0x2ad7d2bbu,
    0xeb86d391u};

inline void md5_block(std::array<uint32_t, 4>& state, const uint8_t* block) {
  constexpr int kTurns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
  auto [a, b, c, d] = state;
  for (uint32_t i = 0; i < 64; i++) {
    uint32_t mix;
    uint32_t word;
    switch (i >> 4) {
      case 0: mix = (b & c) | (~b & d); word = i; break;
      case 1: mix = (b & d) | (c & ~d); word = (5 * i + 1) & 15; break;
      case 2: mix = b ^ c ^ d; word = (3 * i + 5) & 15; break;
      default: mix = c ^ (b | ~d); word = (7 * i) & 15; break;
    }
    const uint32_t sum = a + mix + kMd5Sines[i] + load32(block + 4 * word);
    a = d;
    d = c;
    c = b;
    b += std::rotl(sum, kTurns[i >> 4][i & 3]);
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
}

// The first four bytes of the digest, little-endian: that is the first state word as it stands.
inline uint32_t md5(const uint8_t* key, size_t n) {
  std::array<uint32_t, 4> state = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u};
  const uint64_t bits = static_cast<uint64_t>(n) * 8;
  for (; n >= 64; n -= 64, key += 64) md5_block(state, key);

  // What is left, the bit 1, zeros, the length in bits: one block, or two when it does not fit.
  uint8_t tail[128] = {};
  if (n != 0) std::memcpy(tail, key, n);
  tail[n] = 0x80;
  const size_t size = n < 56 ? 64 : 128;
  for (size_t i = 0; i < 8; i++) tail[size - 8 + i] = static_cast<uint8_t>(bits >> (8 * i));
  md5_block(state, tail);
  if (size == 128) md5_block(state, tail + 64);
  return state[0];
}

inline uint32_t hash_by_kind(HashKind kind, const uint8_t* key, size_t n) {
  switch (kind) {
    case HashKind::one_at_a_time: return one_at_a_time(key, n);
    case HashKind::md5: return md5(key, n);
    case HashKind::crc16: return crc16(key, n);
    case HashKind::crc32: return crc32_15bits(key, n);
    case HashKind::crc32a: return crc32_ieee(key, n);
    case HashKind::fnv1_64: return fnv1<kFnv64OffsetLow, kFnv64PrimeLow>(key, n);
    case HashKind::fnv1a_64: return fnv1a<kFnv64OffsetLow, kFnv64PrimeLow>(key, n);
    case HashKind::fnv1_32: return fnv1<kFnv32Offset, kFnv32Prime>(key, n);
    case HashKind::fnv1a_32: return fnv1a<kFnv32Offset, kFnv32Prime>(key, n);
    case HashKind::hsieh: return hsieh(key, n);
    case HashKind::murmur: return murmur(key, n);
    case HashKind::jenkins: return jenkins(key, n);
  }
  return 0;
}

}  // namespace hash_detail

// The hash of key[0..n) as the function itself defines it, also for n = 0; `key` may be null then.
// fnv1a_64 is the default of every pool and so the one that is worth inlining into the caller.
inline uint32_t hash_key(HashKind kind, const uint8_t* key, size_t n) {
  if (kind == HashKind::fnv1a_64) [[likely]] {
    return hash_detail::fnv1a<hash_detail::kFnv64OffsetLow, hash_detail::kFnv64PrimeLow>(key, n);
  }
  return hash_detail::hash_by_kind(kind, key, n);
}

// The two characters of `hash_tag`. {0, 0} means that the pool has none.
struct KeyTag {
  uint8_t open;
  uint8_t close;
};

struct KeyPart {
  const uint8_t* at;
  size_t size;
};

// The bytes between the first `open` and the first `close` after it; the whole key when either is
// missing or nothing lies between them. open == close ("$$") is allowed.
inline KeyPart tagged_part(KeyTag tag, const uint8_t* key, size_t n) {
  const KeyPart whole = {key, n};
  if ((tag.open == 0 && tag.close == 0) || n == 0) return whole;
  const void* open = std::memchr(key, tag.open, n);
  if (open == nullptr) return whole;
  const uint8_t* first = static_cast<const uint8_t*>(open) + 1;
  const void* close = std::memchr(first, tag.close, static_cast<size_t>(key + n - first));
  if (close == nullptr || close == first) return whole;
  return {first, static_cast<size_t>(static_cast<const uint8_t*>(close) - first)};
}

// What routing looks up: the hash of the tagged part; 0 for an empty key, whatever the hash.
inline uint32_t route_hash(HashKind kind, KeyTag tag, const uint8_t* key, size_t n) {
  if (n == 0) return 0;
  const KeyPart part = tagged_part(tag, key, n);
  return hash_key(kind, part.at, part.size);
}

}  // namespace baton
