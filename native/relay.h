// Links that many lanes share. A server's connection lives in one lane, its home; in another lane
// its link is a relay, whose transport is the ring to the home lane instead of a socket:
//
//   lane A                                             home lane
//   client ─► relay (link row) ──out──► stream ──► in ── peer (session row) ─► link ─► server
//   client ◄─ relay ◄──in── stream ◄───────────── out ── peer ◄────────────── link ◄─ server
//
// A peer is a session without a socket, one for each relay: its requests are framed, decided and
// strung as those of any client, and its replies leave in order. The relay frames them against its
// own requests, as those of any server. So both sides have nothing of their own that must survive a
// death but rows, and what is under way between them belongs to turns (post.h).
//
//   relay:  Down ──open──► Up ──ended by either side, or the home lane has begun anew──► Down
//   peer:   RelayOpen ──► Open ──RelayClose, or its own end, which is told──► gone
//
// A relay sends on only while less than kWindow bytes are unanswered, or the oldest request is
// larger: what the home lane cannot forward stays here, where it counts against link_queue_limit.
#pragma once
#include <cstdint>
#include <vector>

#include "chain.h"
#include "layout.gen.h"

namespace baton {

class Lane;

class Relays {
 public:
  explicit Relays(Lane& lane) : lane_(lane) {}

  // A new owner: private lists, from rows.
  void begin();

  // Asks the home lane for a peer. 0 or -errno: it is not there.
  int open(int32_t link);
  // The relay is lost or given up: the home lane is told.
  void end(const Link& link);
  // A peer is gone: whose it was is told.
  void closed(const Session& peer);

  void dirtyLink(int32_t number) { dirty_links_.push_back(number); }
  void dirtySession(int32_t number) { dirty_sessions_.push_back(number); }
  bool hasWork() const { return !dirty_links_.empty() || !dirty_sessions_.empty(); }

  // What is queued leaves with the open turn. Before its commit.
  void flush();

  // Whether it was one of ours, and whether there is room for it in this turn.
  enum class Taken { Yes, NoRoom, NotOurs };
  Taken take(int32_t from, const Message& message);

  // Sessions of clients that lanes have which use ours.
  bool isNeeded() const;

 private:
  static constexpr int32_t kWindow = 256 << 10;  // bytes of a relay that may be unanswered
  static constexpr int32_t kGather = 512 << 10;  // unframed bytes of a peer: more waits a turn

  // The payload of RelayOpen.
  struct Opening {
    int32_t pool, mode, backend, place;
  };

  void begin(Opening opening, int32_t from, int32_t row, int32_t generation);
  void accept(int32_t from, const Message& message);
  Taken request(int32_t from, const Message& message);
  Taken reply(int32_t from, const Message& message);
  void lose(int32_t from, int32_t row, int32_t generation);
  void beginAnew(int32_t from);
  int32_t& peerOf(int32_t from, int32_t row);
  void flushLink(int32_t number);
  void flushPeer(int32_t number);
  int64_t mayLeave(const Link& link) const;
  bool send(int32_t to, const Message& message, Chain& out, int32_t count);

  Lane& lane_;
  std::vector<std::vector<int32_t>> peers_;  // session row by lane and its link row, 0 = none
  std::vector<int32_t> dirty_links_, dirty_sessions_;
  std::vector<int32_t> held_links_, held_sessions_;  // their ring is congested
};

}  // namespace baton
