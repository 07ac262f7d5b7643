// RESP framing for what is too large to be looked at in one piece: bytes are pushed in as they
// come, three words of a row remember where it stands. Finds the same end as resp.h (a test
// compares them at every split); skipping a value costs nothing, however long it is.
//
//   phase:  Start (requests) ─► Type ─► Bulk|Array|Map|Attribute (digits) ─CR─► …|AwaitLf ─LF─►
//   Skip (bulk bytes + CRLF) ─► Type
//               └─► Line ─LF─► Type
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "layout.gen.h"
#include "resp.h"

namespace baton {

struct PushState {
  int32_t phase;
  int32_t number;  // number being read, or bytes still to skip
  int32_t left;    // elements still to come; 0 = the message is whole
};
static_assert(offsetof(Session, scan_left) - offsetof(Session, scan_phase) ==
              offsetof(PushState, left));
static_assert(offsetof(Link, scan_left) - offsetof(Link, scan_phase) == offsetof(PushState, left));

inline PushState& scanOf(Session& row) { return *reinterpret_cast<PushState*>(&row.scan_phase); }
inline PushState& scanOf(Link& row) { return *reinterpret_cast<PushState*>(&row.scan_phase); }

enum PushPhase : int32_t {
  kPushType = 0,
  kPushBulk = 1,
  kPushArray = 2,
  kPushMap = 3,
  kPushAttribute = 4,
  kPushSkip = 5,
  kPushLine = 6,
  kPushStart = 7,      // a request's first byte: '*' and nothing else
  kPushAwaitLf = 8,    // flag: the CR behind the digits has been seen
  kPushNegative = 16,  // flag: the number is below zero
  kPushDigits = 32,    // flag: a digit has been seen
};

enum class PushMode { Reply, Request };

inline void pushBegin(PushState* state, PushMode mode) {
  *state = {mode == PushMode::Request ? kPushStart : kPushType, 0, 1};
}

namespace push_detail {

inline int32_t phaseOfType(uint8_t type) {
  switch (type) {
    case '$':
    case '=':
    case '!':
      return kPushBulk;
    case '*':
    case '~':
    case '>':
      return kPushArray;
    case '%':
      return kPushMap;
    case '|':
      return kPushAttribute;
    case '+':
    case '-':
    case ':':
    case ',':
    case '#':
    case '(':
    case '_':
      return kPushLine;
    default:
      return -1;
  }
}

// Takes one byte of a number: digits without leading zeros, perhaps behind a minus. False when it
// is none.
inline bool takeDigit(PushState* state, uint8_t byte) {
  const bool begun = (state->phase & kPushDigits) != 0;
  if (byte == '-') {
    if (begun || (state->phase & kPushNegative) != 0) return false;
    state->phase |= kPushNegative;
    return true;
  }
  if (static_cast<uint8_t>(byte - '0') >= 10 || state->number > (INT32_MAX - 64) / 10) return false;
  if (begun && state->number == 0) return false;
  state->phase |= kPushDigits;
  state->number = state->number * 10 + (byte - '0');
  return true;
}

// The number behind a type is known: what does it make of the elements to come?
inline bool headerDone(PushState* state, PushMode mode, int64_t bulk_max) {
  if ((state->phase & kPushDigits) == 0) return false;
  const bool negative = (state->phase & kPushNegative) != 0;
  if (negative && (state->number == 0 || mode == PushMode::Request)) return false;
  const int32_t phase = state->phase & 7;
  const int64_t number = negative ? -1 : state->number;
  int64_t left = state->left;
  state->phase = kPushType;
  if (phase == kPushBulk) {
    if (number > bulk_max) return false;
    if (number < 0) {
      --left;
    } else {
      state->phase = kPushSkip;
      state->number = static_cast<int32_t>(number + 2);
    }
  } else if (phase == kPushArray) {
    if (mode == PushMode::Request && number > kArgumentsMax) return false;
    left += number > 0 ? number - 1 : -1;
  } else if (phase == kPushMap) {
    left += number > 0 ? 2 * number - 1 : -1;
  } else {
    left += number > 0 ? 2 * number : 0;
  }
  if (left > INT32_MAX) return false;
  state->left = static_cast<int32_t>(left);
  return true;
}

}  // namespace push_detail

// Takes bytes until the message is whole (state->left == 0) or they are used up. Returns how many
// it took, or a ScanError when they are no RESP, no request, or a bulk is longer than bulk_max.
inline int32_t pushBytes(PushState* state, const uint8_t* bytes, int32_t count, PushMode mode,
                         int64_t bulk_max) {
  int32_t at = 0;
  while (at < count && state->left > 0) {
    if (state->phase == kPushSkip) {
      const int32_t step = std::min(state->number, count - at);
      state->number -= step;
      at += step;
      if (state->number == 0) {
        state->phase = kPushType;
        --state->left;
      }
      continue;
    }
    if (state->phase == kPushLine) {
      const auto* newline =
          static_cast<const uint8_t*>(memchr(bytes + at, '\n', static_cast<size_t>(count - at)));
      const int32_t end = newline == nullptr ? count : static_cast<int32_t>(newline - bytes);
      if (end > at)
        state->number = bytes[end - 1];  // a line ends with CR and LF, perhaps in different pieces
      if (newline == nullptr) return count;
      if (state->number != '\r') return kScanBadBulk;
      at = end + 1;
      state->phase = kPushType;
      --state->left;
      continue;
    }
    const uint8_t byte = bytes[at++];
    if (state->phase == kPushStart) {
      if (byte != '*') return kScanBadMultibulk;
      *state = {kPushArray, 0, 1};
    } else if (state->phase == kPushType) {
      if (mode == PushMode::Request && byte != '$') {
        state->number = byte;  // the offender
        return kScanNoDollar;
      }
      *state = {push_detail::phaseOfType(byte), 0, state->left};
      if (state->phase < 0) return kScanBadBulk;
    } else if ((state->phase & kPushAwaitLf) != 0) {
      const bool counts = (state->phase & 7) == kPushArray;
      if (byte != '\n' || !push_detail::headerDone(state, mode, bulk_max))
        return counts ? kScanBadMultibulk : kScanBadBulk;
    } else if (byte == '\r') {
      state->phase |= kPushAwaitLf;
    } else if (!push_detail::takeDigit(state, byte)) {
      return (state->phase & 7) == kPushArray ? kScanBadMultibulk : kScanBadBulk;
    }
  }
  return at;
}

}  // namespace baton
