// RESP framing over contiguous bytes: where a request or reply ends, and the few things of a
// request that routing needs. Knows no sockets and no rows; reads nothing beyond the bytes it is
// given. Grammar: https://redis.io/docs/reference/protocol-spec (RESP2 and RESP3), texts of errors
// as Redis'.
#pragma once
#include <cstdint>
#include <cstring>

namespace baton {

// Why a request cannot be framed; TypeScript has the text (src/protocol/errors.ts).
enum ScanError : int32_t {
  kScanBadMultibulk = -1,  // "invalid multibulk length"
  kScanBadBulk = -2,       // "invalid bulk length"
  kScanNoDollar = -3,      // "expected '$'"
  kScanInlineTooBig = -4,  // "too big inline request"
  kScanCountTooBig = -5,   // "too big mbulk count string"
  kScanLengthTooBig = -7,  // "too big bulk count string"
  kScanUnbalanced = -6,    // "unbalanced quotes in request"
  kScanPoisoned = -8,      // workers died of framing it
};

constexpr int32_t kArgumentsMax = 1024 * 1024;  // Redis' limit of a multibulk
constexpr int32_t kHeaderMax = 32;  // "*" or "$", a number, CRLF: room for any that we write
constexpr int32_t kLineMax = 8192;  // a length line without an end is refused when it is longer

struct RequestView {
  int32_t bytes;  // of the whole request
  int32_t argc;   // 0: an empty request, to be passed over as Redis does
  const uint8_t* name;
  int32_t name_bytes;
  const uint8_t* key;  // argument 1, or null
  int32_t key_bytes;
};

enum NumberFault : int32_t { kNumberFine, kNumberBad, kNumberTooLong };

// Reads "<number>CRLF". Returns the byte after it; null when there is a fault, or more bytes are
// needed.
inline const uint8_t* readNumber(const uint8_t* p, const uint8_t* end, int64_t* value,
                                 NumberFault* fault) {
  const uint8_t* begin = p;
  const bool negative = p < end && *p == '-';
  if (negative) ++p;
  int64_t number = 0;
  const uint8_t* digits = p;
  while (p < end && static_cast<uint8_t>(*p - '0') < 10) {
    number = p - digits < 18 ? number * 10 + (*p - '0') : INT64_MAX;
    ++p;
  }
  if (__builtin_expect(end - p < 2, 0)) {
    if (p < end && *p != '\r') *fault = kNumberBad;
    if (end - begin > kLineMax) *fault = kNumberTooLong;
    return nullptr;
  }
  // As Redis' string2ll: no leading zero, no "-0". A server would close a shared link over them.
  const bool zero_first = *digits == '0' && (negative || p - digits > 1);
  if (__builtin_expect(p[0] != '\r' || p[1] != '\n' || p == digits || p - digits > 18 || zero_first,
                       0)) {
    *fault = kNumberBad;
    return nullptr;
  }
  *value = negative ? -number : number;
  return p + 2;
}

// Writes "<type><number>CRLF"; `to` has room for kHeaderMax bytes. Returns the length.
inline int32_t writeHeader(uint8_t* to, char type, int64_t number) {
  uint8_t digits[20];
  int32_t count = 0;
  const bool negative = number < 0;
  for (auto rest = negative ? -static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
       rest > 0 || count == 0; rest /= 10) {
    digits[count++] = static_cast<uint8_t>('0' + rest % 10);
  }
  uint8_t* at = to;
  *at++ = static_cast<uint8_t>(type);
  if (negative) *at++ = '-';
  while (count > 0) *at++ = digits[--count];
  *at++ = '\r';
  *at++ = '\n';
  return static_cast<int32_t>(at - to);
}

// Frames one multibulk request ("*…"). Returns its length, 0 when it is not whole, or a ScanError.
inline int32_t scanMultibulk(const uint8_t* bytes, int32_t count, int64_t bulk_max,
                             RequestView* view) {
  const uint8_t* end = bytes + count;
  int64_t argc;
  NumberFault fault = kNumberFine;
  const uint8_t* p = readNumber(bytes + 1, end, &argc, &fault);
  if (p == nullptr)
    return fault == kNumberTooLong ? kScanCountTooBig : fault == kNumberBad ? kScanBadMultibulk : 0;
  if (__builtin_expect(argc > kArgumentsMax, 0)) return kScanBadMultibulk;
  view->key = nullptr;
  view->key_bytes = 0;
  view->argc = argc < 0 ? 0 : static_cast<int32_t>(argc);
  for (int64_t i = 0; i < argc; ++i) {
    if (p >= end) return 0;
    if (__builtin_expect(*p != '$', 0)) {
      view->bytes = static_cast<int32_t>(p - bytes);  // where the offender stands
      return kScanNoDollar;
    }
    int64_t length;
    p = readNumber(p + 1, end, &length, &fault);
    if (p == nullptr)
      return fault == kNumberTooLong ? kScanLengthTooBig : fault == kNumberBad ? kScanBadBulk : 0;
    if (__builtin_expect(length < 0 || length > bulk_max, 0)) return kScanBadBulk;
    if (end - p < length + 2) return 0;
    if (i == 0) {
      view->name = p;
      view->name_bytes = static_cast<int32_t>(length);
    } else if (i == 1) {
      view->key = p;
      view->key_bytes = static_cast<int32_t>(length);
    }
    p += length + 2;
  }
  view->bytes = static_cast<int32_t>(p - bytes);
  return view->bytes;
}

// Frames one whole reply of any RESP2 or RESP3 type. Returns its length, 0 when it is not whole, -1
// when it is no RESP. Nested aggregates need no stack: what matters is how many elements are still
// to come.
inline int32_t scanReply(const uint8_t* bytes, int32_t count) {
  const uint8_t* p = bytes;
  const uint8_t* end = bytes + count;
  int64_t left = 1;
  NumberFault fault = kNumberFine;
  while (left > 0) {
    if (p >= end) return 0;
    int64_t number;
    switch (*p) {
      case '+':
      case '-':
      case ':':
      case ',':
      case '#':
      case '(':
      case '_': {
        const auto* newline =
            static_cast<const uint8_t*>(memchr(p, '\n', static_cast<size_t>(end - p)));
        if (newline == nullptr) return 0;
        if (newline[-1] != '\r') return -1;
        p = newline + 1;
        --left;
        break;
      }
      case '$':
      case '=':
      case '!':
        p = readNumber(p + 1, end, &number, &fault);
        if (p == nullptr) return fault != kNumberFine ? -1 : 0;
        if (number >= 0) {
          if (end - p < number + 2) return 0;
          p += number + 2;
        }
        --left;
        break;
      case '*':
      case '~':
      case '>':
        p = readNumber(p + 1, end, &number, &fault);
        if (p == nullptr) return fault != kNumberFine ? -1 : 0;
        left += number > 0 ? number - 1 : -1;
        break;
      case '%':
        p = readNumber(p + 1, end, &number, &fault);
        if (p == nullptr) return fault != kNumberFine ? -1 : 0;
        left += number > 0 ? 2 * number - 1 : -1;
        break;
      case '|':  // attributes precede the element they belong to and do not count as one
        p = readNumber(p + 1, end, &number, &fault);
        if (p == nullptr) return fault != kNumberFine ? -1 : 0;
        left += number > 0 ? 2 * number : 0;
        break;
      default:
        return -1;
    }
    if (__builtin_expect(left > (int64_t{1} << 40), 0)) return -1;
  }
  return static_cast<int32_t>(p - bytes);
}

}  // namespace baton
