// Descriptors that come while the lane is served already. Who takes over from a dead owner of its own
// accord fetches first what the repair and the first turn are about; sessions that were idle follow.
//
//   inherit: links, listeners, sessions with anything under way ─ repair ─ turn ─ turn ─ turn ─►
//   bringReady: those that say something                             ▲       ▲ bringMore: 253 more
//                                        the last one: this process' keeper answers for the lane
//
// Until then the keeper of the owner before does, and knows nothing that is opened meanwhile: nobody
// is accepted, and before a link is connected all are brought. So a death at any point is as one
// before the claim.
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>

#include "fd-pass.h"
#include "lane.h"

namespace baton {

// Which sessions can do without their descriptors for now: nothing was under way, no limit held
// them, and the turn that will be undone has not touched them. To be asked before it is undone.
void Lane::chooseAway() {
  away_.assign(static_cast<size_t>(head->session_top), 0);
  away_count_ = away_next_ = 0;
  if (head->undone != 0) return;  // a repair was cut short: what it touched is not known any more
  if (!journal.isSound() || !isHeadSound()) return;  // the lane will begin anew
  for (int32_t i = 1; i < head->session_top; ++i) {
    const Session& session = sessions[i];
    const bool is_idle = session.state == kSessionStateOpen && session.flags == 0 &&
                         session.requests == 0 && session.in_bytes == 0 && session.out_bytes == 0;
    away_[static_cast<size_t>(i)] = is_idle && session.fd >= 0 ? 1 : 0;
  }
  const auto isTouched = [&](int64_t number) {
    if (number > 0 && number < head->session_top) away_[static_cast<size_t>(number)] = 0;
  };
  journal.visit([&](const uint8_t* row_at) {
    const auto* at = reinterpret_cast<const Session*>(row_at);
    if (at >= sessions && at < sessions + sizes.sessions) isTouched(at - sessions);
  });
  for (int32_t i = 0; i < head->receipts; ++i) isTouched(receipts[i].row);
  isTouched(head->accept_row);
  away_count_ = static_cast<int32_t>(std::count(away_.begin(), away_.end(), 1));
}

bool Lane::isAway(int32_t number) const {
  return away_count_ > 0 && static_cast<size_t>(number) < away_.size() &&
         away_[static_cast<size_t>(number)] != 0;
}

// The sessions of these rows get their descriptors; one that is not to be had any more is lost.
void Lane::bring(const std::vector<int32_t>& rows) {
  std::vector<int32_t> numbers;
  for (const int32_t row : rows) numbers.push_back(sessionFd(row));
  fetchNumbers(numbers);
  for (const int32_t row : rows) {
    away_[static_cast<size_t>(row)] = 0;
    --away_count_;
    const uint64_t cookie = held_[static_cast<size_t>(row)];
    if (cookie == sessions[row].cookie) continue;
    if (cookie != 0) close(sessionFd(row));
    closeSession(row, kCloseReasonClientError);
  }
  if (away_count_ == 0) beWhole();
}

void Lane::bringReady(const void* ready, int32_t count) {
  const auto* events = static_cast<const epoll_event*>(ready);
  std::vector<int32_t> rows;
  for (int32_t i = 0; i < count; ++i) {
    const auto id = static_cast<int32_t>(events[i].data.u64);
    if (id < kDoorbellId && isAway(id)) rows.push_back(id);
  }
  if (!rows.empty()) bring(rows);
}

// As many as one message brings.
void Lane::bringMore() {
  std::vector<int32_t> rows;
  for (; away_next_ < static_cast<int32_t>(away_.size()); ++away_next_) {
    if (!isAway(away_next_)) continue;
    if (rows.size() == static_cast<size_t>(kPassMax)) break;
    rows.push_back(away_next_);
  }
  bring(rows);
}

void Lane::bringAll() {
  while (away_count_ > 0) bringMore();
}

// Everything that the lane has is in this process.
void Lane::beWhole() {
  away_.clear();
  forgetHeld();
  nameKeeper();
  row->whole_us = monotonicUs();
}

}  // namespace baton
