// RESP framing for what is too large to be looked at in one piece: bytes are pushed in as they come,
// three words of a row remember where it stands. Finds the same end as resp.h (a test compares them at
// every split); skipping a value costs nothing, however long it is.
//
//   phase:  Type ─► Bulk|Array|Map|Attribute (digits) ─CR─► …|AwaitLf ─LF─► Skip (bulk bytes + CRLF) ─► Type
//               └─► Line ─LF─► Type
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "layout.gen.h"

namespace baton {

struct PushState {
  int32_t phase;
  int32_t number;  // number being read, or bytes still to skip
  int32_t left;  // elements still to come; 0 = the message is whole
};
static_assert(offsetof(Session, scan_left) - offsetof(Session, scan_phase) == offsetof(PushState, left));
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
  kPushAwaitLf = 8,  // flag: the CR behind the digits has been seen
  kPushNegative = 16,  // flag: the number is below zero
};

inline void pushBegin(PushState* state) { *state = {kPushType, 0, 1}; }

namespace push_detail {

inline int32_t phaseOfType(uint8_t type) {
  switch (type) {
    case '$': case '=': case '!': return kPushBulk;
    case '*': case '~': case '>': return kPushArray;
    case '%': return kPushMap;
    case '|': return kPushAttribute;
    case '+': case '-': case ':': case ',': case '#': case '(': case '_': return kPushLine;
    default: return -1;
  }
}

// The number behind a type is known: what does it make of the elements to come?
inline bool headerDone(PushState* state, int64_t bulk_max) {
  const int32_t phase = state->phase & 7;
  const bool negative = (state->phase & kPushNegative) != 0;
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

// Takes bytes until the message is whole (state->left == 0) or they are used up. Returns how many it
// took, or -1 when they are no RESP or a bulk is longer than bulk_max.
inline int32_t pushBytes(PushState* state, const uint8_t* bytes, int32_t count, int64_t bulk_max) {
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
      const auto* newline = static_cast<const uint8_t*>(memchr(bytes + at, '\n', static_cast<size_t>(count - at)));
      if (newline == nullptr) return count;
      at = static_cast<int32_t>(newline - bytes) + 1;
      state->phase = kPushType;
      --state->left;
      continue;
    }
    const uint8_t byte = bytes[at++];
    if (state->phase == kPushType) {
      state->phase = push_detail::phaseOfType(byte);
      state->number = 0;
      if (state->phase < 0) return -1;
    } else if ((state->phase & kPushAwaitLf) != 0) {
      if (byte != '\n' || !push_detail::headerDone(state, bulk_max)) return -1;
    } else if (byte == '\r') {
      state->phase |= kPushAwaitLf;
    } else if (byte == '-') {
      state->phase |= kPushNegative;
    } else {
      if (static_cast<uint8_t>(byte - '0') >= 10 || state->number > (INT32_MAX - 64) / 10) return -1;
      state->number = state->number * 10 + (byte - '0');
    }
  }
  return at;
}

}  // namespace baton
