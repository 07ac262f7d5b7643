// All rings of a lane, as its owner uses them. What is sent and taken belongs to the open turn: it
// becomes true with the commit, and others learn of it behind that.
//
//   receive ◄── rings that rang, in rotation, at most kBudget messages each
//   send ─────► slot of the ring, or its overflow when that is full; a payload goes to the stream
//   fill        what fits goes from overflow to ring; what has been read leaves the stream
//   ── COMMIT ──
//   publish     tails and heads follow, one fence, then doorbells: only of those who sleep
//
//   full ring ──► overflow: a chain of the lane's, journalled ──► isCongested: who feeds it is not
//   read any more ──► TCP holds clients back. Nothing is dropped, nobody spins.
//
// Row `lanes` is the master. His ring is the control ring: data of lanes never fills it.
#pragma once
#include <cstdint>
#include <vector>

#include "chain.h"
#include "doorbell.h"
#include "journal.h"
#include "layout.gen.h"
#include "ring.h"

namespace baton {

class Post {
 public:
  static constexpr int32_t kBudget = 256;          // messages of one ring a turn
  static constexpr int32_t kCongestedAt = 10'000;  // messages in an overflow
  static constexpr int32_t kReadMax = 4 << 20;     // bytes of payloads of one ring a turn
  static constexpr int32_t kStreamFull = 8 << 20;  // bytes in a stream: it is congested
  static constexpr int32_t kStreamMax = INT32_MAX - (1 << 20);  // … that a chain can count

  // Another lane: what may be looked at while it is not Free. `ports` and `messages` are whole
  // tables.
  struct Peer {
    const LaneRow* row;
    Port* ports;
    Message* messages;
    Bell* bell;
    int bell_fd;  // -1: this process has no copy
  };

  // `peers`: all lanes, this one at its place. `office_fd`: wakes the master, -1: nobody.
  void attach(int32_t lane, Ring* rings, Journal* journal, ChainStore* chains,
              const std::vector<Peer>& peers);
  void giveBell(int32_t lane, int fd) { peers_[static_cast<size_t>(lane)].bell_fd = fd; }
  void giveOfficeBell(int fd) { office_fd_ = fd; }

  // --- a new owner, whose open turn has been undone

  // Says what a commit has decided and a death may have kept from being said; looks at every ring,
  // and makes every other lane look.
  void begin();

  // Nothing of what the rows say is true: drops what waits to be sent to `other`, skips what it has
  // sent. The next message to it is Anew. The caller frees the overflow, and calls begin().
  void startAnew(int32_t other);
  void startAnew();
  // To be called before the memory of streams is given away.
  void dropStreams();

  // --- in a turn

  // Whether `other` is a lane that is, or was, somebody's; or the master.
  bool isThere(int32_t other) const;

  // Sends to a lane that is there, or to the master. False when memory ran out: nothing is sent.
  bool send(int32_t to, const Message& message) {
    Ring& ring = touch(to);
    Message whole = message;
    whole.ends = streamEnd(ring);
    return put(to, ring, whole);
  }

  // With bytes, which are copied: to another lane only.
  bool send(int32_t to, const Message& message, const uint8_t* bytes, int32_t count);

  // With all of `from`, which becomes empty: its nodes change chains, and each is a message of its
  // own. No byte is copied, unless they are few.
  bool sendChain(int32_t to, const Message& message, Chain& from);

  // Whether so much waits for `to` that no more should be made. With `since`: whether it was, and
  // less than half of that is left only when this is false. Its end is rung for.
  bool isCongested(int32_t to, bool since = false) const {
    const int64_t most = int64_t{since ? kCongestedAt / 2 : kCongestedAt} * sizeof(Message);
    const int32_t most_bytes = since ? kStreamFull / 2 : kStreamFull;
    return rings_[to].overflow_bytes >= most || rings_[to].stream_bytes >= most_bytes;
  }

  // Shows messages, `most` at most: bool(int32_t from, const Message&). Returns how many. What is
  // shown stays where it is until the commit. False: there is no room for it in this turn, nor for
  // what is behind it.
  template <class Visit>
  int32_t receive(int32_t most, Visit visit) {
    int32_t count = take(lanes_, std::min(most, kBudget), visit);
    pending_ |= answer(*bell_);
    if (pending_ == 0) return count;
    const uint64_t later = pending_ & (~uint64_t{0} << first_);
    first_ = (__builtin_ctzll(later != 0 ? later : pending_) + 1) % kLanesMax;
    for (uint64_t part : {later, pending_ & ~later}) {
      for (; part != 0; part &= part - 1) {
        const int32_t from = __builtin_ctzll(part);
        count += take(from, std::min(most - count, kBudget), visit);
        if (!is_cut_) pending_ &= ~(uint64_t{1} << from);
      }
    }
    return count;
  }

  // Calls visit(bytes, count) for each piece of a payload, in the visit of its message, of which
  // bytes > 0. False: it is
  // gone, with all that its sender knew, and what was shown may be anything.
  template <class Visit>
  bool read(int32_t from, const Message& message, Visit visit) const {
    return chains_->visitAt(message.node, message.at, message.bytes, visit) &&
           ins_[static_cast<size_t>(from)].isThere(message);
  }

  // Before the commit.
  void fill() {
    if (!holding_.empty()) freeRead();
    if (!behind_.empty()) fillAll();
  }

  // Behind it. Returns how many eventfds were written.
  int32_t publish() {
    if (touched_.empty()) return 0;
    const uint64_t before = bells_rung_;
    publishAll();
    return static_cast<int32_t>(bells_rung_ - before);
  }

  // --- between turns

  // Whether there is something to receive that nobody will ring for.
  bool isPending() const { return pending_ != 0; }

  // Before and after epoll_wait. False: do not sleep. `is_quiet`: nothing has come for a heartbeat;
  // looks at every ring, for who should have rung may be dead.
  bool maySleep();
  void wake(bool is_quiet);

  // --- check.cc, look.cc, reach.h, vet.cc

  const std::vector<Peer>& peers() const { return peers_; }
  int32_t ringCount() const { return lanes_ + 1; }
  Ring& ringOf(int32_t other) const { return rings_[other]; }
  // What does not add up, nullptr when all does. The chain is the caller's to walk.
  const char* fault(int32_t other) const;

  uint64_t bellsRung() const { return bells_rung_; }  // eventfds written by this process

 private:
  Ring& touch(int32_t other) {
    Ring& ring = rings_[other];
    if (!journal_->isTouched(ring)) touched_.push_back(other);
    return journal_->touch(ring);
  }

  // Fewer than `most`: there are no more. One that brings kReadMax bytes is the turn's last.
  template <class Visit>
  int32_t take(int32_t from, int32_t most, Visit& visit) {
    RingIn& in = ins_[static_cast<size_t>(from)];
    int32_t count = 0;
    int64_t bytes = 0;
    while (count < most && bytes < kReadMax) {
      const uint64_t there = in.available(rings_[from].taken);
      if (there == 0) {
        is_cut_ = false;
        return count;
      }
      Ring& ring = touch(from);
      const auto step = std::min(static_cast<int32_t>(there), most - count);
      for (int32_t i = 0; i < step && bytes < kReadMax; ++i, ++count) {
        const Message& message = in.read(ring.taken);
        is_cut_ = true;
        if (!visit(from, message)) return count;
        ++ring.taken;
        ring.read = message.ends;
        bytes += message.bytes;
      }
    }
    is_cut_ = true;
    return count;
  }

  static uint64_t streamEnd(const Ring& ring) {
    return ring.released + static_cast<uint64_t>(ring.stream_bytes);
  }

  bool put(int32_t to, Ring& ring, const Message& message) {
    RingOut& out = outs_[static_cast<size_t>(to)];
    const bool is_behind = ring.overflow_bytes > 0 || ring.anew != 0;
    if (__builtin_expect(is_behind || !out.hasRoom(ring.queued), 0)) return keep(to, message);
    out.write(ring.queued, message);
    ++ring.queued;
    return true;
  }

  bool makeRoom(int32_t to, int32_t bytes, int32_t messages);
  void freeRead();
  bool freeRead(int32_t to, uint64_t read);
  bool keep(int32_t to, const Message& message);
  bool drain(int32_t to);
  void fillAll();
  void publishAll();
  void wakeUp(int32_t other);

  int32_t lane_ = 0;
  int32_t lanes_ = 0;
  Ring* rings_ = nullptr;
  Bell* bell_ = nullptr;
  Journal* journal_ = nullptr;
  ChainStore* chains_ = nullptr;
  std::vector<Peer> peers_;
  std::vector<RingOut> outs_;  // by row of ring
  std::vector<RingIn> ins_;
  int office_fd_ = -1;
  std::vector<int32_t> touched_;  // rings whose row has changed in the open turn
  std::vector<int32_t> behind_;   // rings with an overflow, or an Anew to be sent
  std::vector<int32_t> holding_;  // rings whose stream is not empty
  bool is_cut_ = false;           // the last take may have left something
  uint64_t pending_ = 0;          // lanes whose ring is to be looked at
  int32_t first_ = 0;             // from this lane on rings are looked at
  uint64_t bells_rung_ = 0;
};

}  // namespace baton
