// Split requests: the parts' replies become one.
//
//   whole ──first_part──► part 2 ──session_next──► part 1 ──► part 0
//   (in the session's list)         (each in its link's list, holding its reply when it has come)
//
// The whole is answered when its last part is: the first error if there is one, else by its
// MergeKind.
#include "chain-reader.h"
#include "lane.h"

namespace baton {

namespace {

// The reply that a part holds, wherever it lies, as one stream of bytes to copy from.
class HeldReply {
 public:
  HeldReply(Lane& lane, Request& part)
      : lane_(lane), held_(&heldOf(part)), reader_(lane.chains, *held_) {
    if (part.near_bytes > 0) {
      near_ = part.near_offset < 0 ? part.inline_ : lane.region.arena + part.near_offset;
      bytes_ = part.near_bytes;
    } else {
      bytes_ = held_->bytes;
    }
  }

  int32_t bytes() const { return bytes_; }
  uint8_t first() { return near_ != nullptr ? near_[0] : peek(); }

  // Passes over "<type><number>CRLF" and returns the number; the type goes to *type.
  int64_t header(uint8_t* type) {
    if (near_ == nullptr) {
      *type = reader_.next();
      return reader_.number();
    }
    *type = near_[at_++];
    int64_t value = 0;
    NumberFault fault = kNumberFine;
    const uint8_t* after = readNumber(near_ + at_, near_ + bytes_, &value, &fault);
    at_ =
        after != nullptr ? static_cast<int32_t>(after - near_) : at_ + 2;  // "_CRLF" has no number
    return value;
  }

  // Passes over the next element, a bulk or a null. False when it is neither.
  bool passElement() {
    begin_ = at();
    uint8_t type;
    const int64_t length = header(&type);
    if (type != '$' && type != '_') return false;
    if (type == '$' && length >= 0) skip(static_cast<int32_t>(length) + 2);
    return true;
  }

  // Appends the element that was passed over to `to`. False when memory ran out.
  bool copyElement(Chain& to) const {
    const int32_t count = at() - begin_;
    if (near_ != nullptr) return lane_.chains.append(to, near_ + begin_, count);
    return lane_.chains.appendPart(to, *held_, begin_, count);
  }

  // False when memory ran out.
  bool moveAll(Chain& to) {
    if (near_ != nullptr) return lane_.chains.append(to, near_, bytes_);
    return lane_.chains.appendChain(to, *held_);
  }

 private:
  int32_t at() const { return near_ != nullptr ? at_ : reader_.at(); }
  void skip(int32_t count) {
    if (near_ != nullptr)
      at_ += count;
    else
      reader_.skip(count);
  }
  uint8_t peek() {
    ChainReader begin(lane_.chains, *held_);
    return begin.next();
  }

  Lane& lane_;
  Chain* held_;
  ChainReader reader_;
  const uint8_t* near_ = nullptr;
  int32_t bytes_ = 0;
  int32_t at_ = 0;
  int32_t begin_ = 0;  // of the element that was passed over
};

class Merger {
 public:
  Merger(Lane& lane, Request& whole) : lane_(lane), whole_(whole) {
    parts_.resize(64);
    for (int32_t part = whole.first_part; part != 0; part = lane.requests[part].session_next) {
      const auto index = static_cast<size_t>(lane.requests[part].part);
      if (index >= parts_.size()) parts_.resize(index + 1);
      parts_[index] = part;
      if (static_cast<int32_t>(index) + 1 > count_) count_ = static_cast<int32_t>(index) + 1;
    }
  }

  // Writes the whole's reply to `to`. False when memory ran out: `to` may have some of it.
  bool write(Chain& to) {
    Request* failed = firstError();
    // It may have come in an earlier turn: what is taken out of its row comes back with an image only.
    if (failed != nullptr) return HeldReply(lane_, lane_.journal.touch(*failed)).moveAll(to);
    Chain merged = {};
    const bool is_sound = merge(merged);
    if (is_sound && fits_ && lane_.chains.appendChain(to, merged)) return true;
    lane_.chains.clear(merged);
    if (is_sound) return false;
    static constexpr char kText[] =
        "-ERR a server's reply to a part of this command cannot be merged\r\n";
    appendText(to, kText, sizeof kText - 1);
    return fits_;
  }

  void freeParts() {
    for (int32_t i = 0; i < count_; ++i) {
      Request& part = lane_.requests[parts_[static_cast<size_t>(i)]];
      if ((part.flags & kRequestFlagInLink) == 0) {
        lane_.freeRequest(parts_[static_cast<size_t>(i)]);
        continue;
      }
      lane_.journal.touch(part);  // its late reply is still to come
      lane_.chains.clear(heldOf(part));
      part.session = 0;
      part.parent = 0;
    }
    whole_.first_part = 0;
  }

  // Bytes that the parts hold; counted in the session until they are merged.
  int32_t heldBytes() {
    int32_t bytes = 0;
    for (int32_t i = 0; i < count_; ++i)
      bytes += part(i).near_bytes > 0 ? part(i).near_bytes : heldOf(part(i)).bytes;
    return bytes;
  }

 private:
  Request& part(int32_t index) { return lane_.requests[parts_[static_cast<size_t>(index)]]; }

  Request* firstError() {
    for (int32_t i = 0; i < count_; ++i) {
      if ((part(i).flags & kRequestFlagError) != 0) return &part(i);
    }
    return nullptr;
  }

  // False when a part's reply is not of the kind that its command promises.
  bool merge(Chain& to) {
    if (whole_.merge == kMergeKindSum) return sum(to);
    if (whole_.merge == kMergeKindInterleave) return interleave(to);
    for (int32_t i = 0; i < count_; ++i) {
      if (HeldReply(lane_, part(i)).first() != '+') return false;
    }
    appendText(to, "+OK\r\n", 5);
    return true;
  }

  void append(Chain& to, const uint8_t* bytes, int32_t count) {
    fits_ = fits_ && lane_.chains.append(to, bytes, count);
  }

  void appendText(Chain& to, const char* text, int32_t length) {
    append(to, reinterpret_cast<const uint8_t*>(text), length);
  }

  void appendHeader(Chain& to, char type, int64_t number) {
    uint8_t header[kHeaderMax];
    append(to, header, writeHeader(header, type, number));
  }

  bool sum(Chain& to) {
    int64_t total = 0;
    for (int32_t i = 0; i < count_; ++i) {
      HeldReply reply(lane_, part(i));
      if (reply.first() != ':') return false;
      uint8_t type;
      total += reply.header(&type);
    }
    appendHeader(to, ':', total);
    return true;
  }

  // Elements go back to the places their keys had: the whole's held chain says which part has each
  // key.
  bool interleave(Chain& to) {
    std::vector<HeldReply> replies;
    std::vector<int64_t> left;
    replies.reserve(static_cast<size_t>(count_));
    for (int32_t i = 0; i < count_; ++i) {
      replies.emplace_back(lane_, part(i));
      if (replies.back().first() != '*') return false;
      uint8_t type;
      left.push_back(replies.back().header(&type));
    }
    appendHeader(to, '*', whole_.keys);
    ChainReader order(lane_.chains, heldOf(whole_));
    const bool few = heldOf(whole_).bytes == 0;
    for (int32_t key = 0; key < whole_.keys; ++key) {
      const int32_t low = few ? whole_.inline_[2 * key] : order.next();
      const int32_t high = few ? whole_.inline_[2 * key + 1] : order.next();
      const auto index = static_cast<size_t>(low | high << 8);
      if (--left[index] < 0 || !replies[index].passElement()) return false;
      fits_ = fits_ && replies[index].copyElement(to);
    }
    return std::all_of(left.begin(), left.end(), [](int64_t count) { return count == 0; });
  }

  Lane& lane_;
  Request& whole_;
  std::vector<int32_t> parts_;
  int32_t count_ = 0;
  bool fits_ = true;  // memory has not run out
};

}  // namespace

void Lane::partAnswered(int32_t number) {
  Request& part = requests[number];
  if (part.parent == 0) return;
  Request& whole = journal.touch(requests[part.parent]);
  if (--whole.parts > 0) return;
  Session& session = journal.touch(sessions[whole.session]);
  if (session.state == kSessionStateClosing) return;  // a part may be cut short
  const bool first = session.request_head == numberOf(whole);
  Merger merger(*this, whole);
  Chain merged = {};
  session.held_bytes -= merger.heldBytes();
  const bool fits = merger.write(first ? outOf(session) : merged);
  merger.freeParts();
  chains.clear(heldOf(whole));
  if (!fits) {
    chains.clear(merged);
    return closeSession(whole.session, kCloseReasonNoMemory);
  }
  if (!first) {
    heldOf(whole) = merged;
    whole.state = kRequestStateHeld;
    session.held_bytes += merged.bytes;
    if (overLimit(session)) closeSession(whole.session, kCloseReasonOutputLimit);
    return;
  }
  dirtySession(whole.session);
  if (session.out_bytes > pools[session.pool].output_limit)
    return closeSession(whole.session, kCloseReasonOutputLimit);
  complete(session, whole, false);
  drainHeld(session);
}

}  // namespace baton
