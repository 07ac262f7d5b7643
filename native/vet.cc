// A dead owner's lane is not trusted: whatever a wild write has made of it, its next owner must not
// die of it, and must touch nothing else.
//
//   head, journal    do not add up ──► the lane begins anew (cold.cc)
//   rows             each is walked with every number checked (reach.h); what does not add up:
//     a session        closes; its requests are nobody's
//     a link           is given up; its requests get an error
//     a ring           begins anew: the lane at its other end is told that all under way is lost
//     a request        closes its session and gives its link up, for their order is lost
//
// Rows are looked at when the open turn is undone, and mended as part of the repair's own turn.
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>

#include "fault.h"
#include "lane.h"
#include "reach.h"

namespace baton {

namespace {

constexpr int kRounds = 4;  // what one row's damage does to others shows when it is mended

}  // namespace

// Ids of lanes interleave: no two lanes give one away.
bool Lane::isOwnId(double id) const {
  constexpr double kBeyond = 9007199254740992;  // 2^53: not every whole number is a double from there
  return id > 0 && id < kBeyond && std::fmod(id - 1, kLanesMax) == number;
}

// Words from which everything else is found.
bool Lane::isHeadSound() const {
  const auto within = [](int32_t value, int32_t low, int32_t high) {
    return value >= low && value <= high;
  };
  return head->guard == kLaneGuard && within(head->session_top, 1, sizes.sessions) &&
         within(head->link_top, 1, sizes.links) && within(head->request_top, 1, sizes.requests) &&
         within(head->accept_row, 0, sizes.sessions - 1) && within(head->turn, 1, INT32_MAX) &&
         (head->closing == 0 || within(head->turn - head->closing, 0, 1)) &&
         within(head->undone, 0, head->turn) && within(head->receipts, 0, sizes.receipts) &&
         head->now_us >= 0 && head->now_us <= monotonicUs() &&
         std::isfinite(head->ownerless_us) &&
         (head->next_client_id == 0 || isOwnId(head->next_client_id));
}

// What a receipt of the undone turn says of where bytes lie.
bool Lane::isSound(const Receipt& receipt) const {
  const bool is_link = receipt.row >= kLinkId;
  const int32_t number = is_link ? receipt.row - kLinkId : receipt.row;
  const bool is_row = number > 0 && number < (is_link ? head->link_top : head->session_top);
  return is_row && receipt.offset >= 0 && receipt.kept >= 0 && receipt.room >= 0 &&
         int64_t{receipt.offset} + receipt.kept + receipt.room <= sizes.arena_bytes;
}

// Before anybody reads the lane: whether it can be read at all. `ours`: it is in this program's
// layout. What it finds decides how begin() begins.
void Lane::vet(bool ours) {
  cold_.clear();
  if (!journal.isSound()) {
    cold_ = "its journal does not add up";
    head->journal_used = 0;  // nobody puts back what that says
  } else if (ours && !isHeadSound()) {
    cold_ = "its head does not add up";
  }
}

// Makes the rows such that they can be walked. False: they cannot.
bool Lane::mend() {
  for (int i = 0; i < kRounds; ++i) {
    const Reach reach(*this);
    if (reach.damage.empty()) {
      for (const int32_t number : reach.orphans) {
        journal.touch(requests[number]).flags &= ~kRequestFlagInLink;
        if (requests[number].state == kRequestStateSent) orphans_.push_back(number);
      }
      recount(reach);
      return true;
    }
    for (const Damage& each : reach.damage) {
      if (each.kind == Damage::Session)
        mendSession(each.row, each.what);
      else if (each.kind == Damage::Link)
        mendLink(each.row, each.what);
      else if (each.kind == Damage::Ring)
        mendRing(each.row, each.what);
      else
        strip(requests[each.row]);
    }
  }
  return false;
}

// It closes; nothing is left of what it had under way.
void Lane::mendSession(int32_t number, const char* what) {
  Session& session = journal.touch(sessions[number]);
  if (isAway(number)) {  // it must be here to be closed
    fetchNumbers({sessionFd(number)});
    away_[static_cast<size_t>(number)] = 0;
    --away_count_;
  }
  for (int32_t i = 1; i < head->request_top; ++i) {
    if (requests[i].state != kRequestStateFree && requests[i].session == number) strip(requests[i]);
  }
  const int32_t imaged = session.imaged, generation = session.generation;
  const int32_t pool = session.pool, listener = session.listener;
  const SessionInfo& info = infos[number];
  const bool is_peer = isPeer(session) && info.relay_lane > 0 && info.relay_link > 0 &&
                       info.relay_lane <= static_cast<int32_t>(peers.size()) &&
                       info.relay_link < sizes.links;
  session = {};
  session.imaged = imaged;
  session.generation = generation;
  session.fd = sessionFd(number);
  session.pool = pool >= 0 && pool < sizes.pools ? pool : 0;
  session.listener = listener >= 0 && listener < sizes.listeners ? listener : 0;
  session.state = kSessionStateClosing;
  if (is_peer) {
    session.fd = -1;
    session.mode = kSessionModePeer;
  }
  ++counter->rows_damaged;
  findings_.push_back({Finding::Session, number, what});
}

// It ends here and now; who needs it connects anew. Its requests are found by the next walk.
void Lane::mendLink(int32_t number, const char* what) {
  Link& link = journal.touch(links[number]);
  interest(linkFd(number), number + kLinkId, 0, false);
  shutdown(linkFd(number), SHUT_RDWR);
  close(linkFd(number));
  held_[static_cast<size_t>(sizes.sessions + number)] = 0;
  const int32_t imaged = link.imaged, generation = link.generation;
  link = {};
  link.imaged = imaged;
  link.generation = generation;
  link.fd = -1;
  ++counter->rows_damaged;
  findings_.push_back({Finding::Link, number, what});
}

// What was to be sent is dropped, what has come is skipped; the other lane is told so.
void Lane::mendRing(int32_t other, const char* what) {
  journal.touch(post.ringOf(other));
  post.startAnew(other);
  ++counter->rows_damaged;
  findings_.push_back({Finding::Ring, other, what});
}

// Nobody waits for it any more: its reply, if one comes, is dropped.
void Lane::strip(Request& row) {
  Request& request = journal.touch(row);
  request.session = request.parent = request.first_part = 0;
  request.flags &= ~kRequestFlagInSession;
  request.near_bytes = 0;
  heldOf(request) = {};  // recount() finds that nothing leads there
}

// In the first turn: who asked through a link that was given up gets an error.
void Lane::answerOrphans() {
  static constexpr char kText[] = "-ERR the proxy has lost this request: its memory was damaged\r\n";
  for (const int32_t number : orphans_) {
    if (requests[number].state != kRequestStateFree)
      giveUp(number, reinterpret_cast<const uint8_t*>(kText), sizeof kText - 1);
  }
  orphans_.clear();
}

}  // namespace baton
