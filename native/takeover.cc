// How a lane changes hands. One path for reload, upgrade, roll back and crash.
//
//   old owner A                 lane row                          claimant B
//   serves                      owner = A Serving                 fetch(): copies of descriptors,
//                                                                 again until few are missing
//                               claimant = B  ◄────────────────── claim(): asks, rings the doorbell
//   yield() at a turn's end ──► owner = A Frozen ───────────────► fetches the last ones
//   returns true ◄───────────── owner = B Serving ◄────────────── compare and swap: it is B's
//
//   dies of its own fault ────► owner = A Abandoned ────────────► need not wait for A's end
//   (crash.cc), and writes its report while B serves already
//
// Nobody waits for ever: if B does not come within kFreezeMs, A swaps back and goes on; if A does
// not freeze in time, B withdraws. The swap of one word decides, so there is never a second owner.
// Where A is dead, B need not ask. What B does with the rows then: recover.cc.
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "fault.h"
#include "fd-pass.h"
#include "futex.h"
#include "lane.h"
#include "life.h"

namespace baton {

namespace {

constexpr double kFreezeMs = 50;
constexpr int kLookMs = 5;  // how often a waiting claimant looks whether the owner has died
constexpr int kFetchMs = 1000;

int32_t load(const int32_t& word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }

bool swap(int32_t& word, int32_t from, int32_t to) {
  return __atomic_compare_exchange_n(&word, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

int32_t ownerWord(int32_t worker, OwnerState_ state) { return worker * 4 + state; }
bool isFrozen(int32_t owner) { return owner % 4 == kOwnerStateFrozen; }

void ring(int bell) {
  if (bell >= 0) eventfd_write(bell, 1);
}

}  // namespace

// --- the owner

// At a turn's end: gives the lane to whoever asks for it. False: nobody came, the lane is still
// ours.
bool Lane::yield() {
  seal();  // what sending has changed
  head->now_us = time();
  row->frozen_us = monotonicUs();
  const int32_t mine = ownerWord(worker, kOwnerStateServing);
  const int32_t frozen = ownerWord(worker, kOwnerStateFrozen);
  if (!swap(row->owner, mine, frozen)) return true;
  FAULT(Frozen);
  futexWake(&row->owner);
  const double until = row->frozen_us + kFreezeMs * 1000;
  while (load(row->owner) == frozen && monotonicUs() < until)
    futexWait(&row->owner, frozen, kLookMs);
  const int32_t asked = load(row->claimant);
  if (!swap(row->owner, frozen, mine)) return true;
  if (asked != 0) swap(row->claimant, asked, 0);
  resumeTime();
  return false;
}

// The last word of an owner that dies: its thread never comes back to the lane. Async-signal-safe,
// and harmless for who does not own it.
void Lane::abandon(DeathCause_ cause) {
  noteCause(cause);
  const int32_t abandoned = ownerWord(worker, kOwnerStateAbandoned);
  for (const OwnerState_ state : {kOwnerStateServing, kOwnerStateFrozen})
    swap(row->owner, ownerWord(worker, state), abandoned);
  futexWake(&row->owner);
}

void Lane::noteCause(DeathCause_ cause) {
  if (workerOf(load(row->owner)) != worker) return;
  __atomic_store_n(&row->cause, worker * 4 + cause, __ATOMIC_RELEASE);
}

// Why an owner before died: as far as it, or its master, could still say it.
DeathCause_ Lane::causeOf(int32_t dead) const {
  const int32_t cause = load(row->cause);
  return cause / 4 == dead ? static_cast<DeathCause_>(cause % 4) : kDeathCauseKill;
}

// Time without an owner is taken out of the lane's.
void Lane::resumeTime() { head->ownerless_us = monotonicUs() - head->now_us; }

// A clean end: nobody owns the lane, nobody has anything in it. Connections end here and now: a
// frozen worker may hold duplicates of them.
void Lane::leave() {
  bringAll();
  const auto end = [&](int fd, int32_t id) {
    if (fd < 0) return;
    interest(fd, id, 0, false);
    shutdown(fd, SHUT_RDWR);
  };
  for (int32_t i = 1; i < head->session_top; ++i) {
    if (sessions[i].state != kSessionStateFree) end(sessions[i].fd, i);
  }
  for (int32_t i = 1; i < head->link_top; ++i) {
    if (links[i].state != kLinkStateFree) end(links[i].fd, i + kLinkId);
  }
  post.dropStreams();
  chains.nodes.releaseAll();
  chains.chunks.releaseAll();
  swap(row->owner, ownerWord(worker, kOwnerStateServing), 0);
  futexWake(&row->owner);
}

// --- the claimant

uint64_t Lane::cookieAt(int32_t number) const {
  uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (getsockopt(number, SOL_SOCKET, SO_COOKIE, &cookie, &length) != 0) return 0;
  return cookie;
}

// What this process holds is known by itself only as long as it does not own the lane.
void Lane::forgetHeld() { held_.clear(); }

void Lane::learnHeld() {
  if (!held_.empty()) return;
  held_.assign(static_cast<size_t>(sizes.sessions + sizes.links + sizes.listeners), 0);
  if (!has_held_) return;  // the numbers are free: asking for each of them takes milliseconds
  for (size_t i = 1; i < static_cast<size_t>(sizes.sessions + sizes.links); ++i)
    held_[i] = cookieAt(fd_base + static_cast<int32_t>(i));
}

// Descriptors of rows that are open, and not here yet.
void Lane::wanted(std::vector<int32_t>* numbers) const {
  numbers->clear();
  // Of a dead owner's lane nothing is vetted yet.
  for (int32_t i = 1; i < std::min(head->session_top, sizes.sessions); ++i) {
    const Session& session = sessions[i];
    if (session.state == kSessionStateFree || session.fd < 0 || isAway(i)) continue;
    if (held_[static_cast<size_t>(i)] != session.cookie) numbers->push_back(sessionFd(i));
  }
  for (int32_t i = 1; i < std::min(head->link_top, sizes.links); ++i) {
    const Link& link = links[i];
    if (link.state == kLinkStateFree || link.fd < 0) continue;
    if (held_[static_cast<size_t>(sizes.sessions + i)] != link.cookie)
      numbers->push_back(linkFd(i));
  }
}

// One round: asks the keeper for what is missing. Returns how many are still missing, or -errno.
// Rows change meanwhile if the owner serves: what they say is proved by the socket's cookie.
int32_t Lane::fetch() {
  if (load(row->owner) == 0) return 0;
  learnHeld();
  std::vector<int32_t> numbers;
  wanted(&numbers);
  const int32_t failed = fetchNumbers(numbers);
  if (failed < 0) return failed;
  wanted(&numbers);
  return static_cast<int32_t>(numbers.size());
}

// Those of the numbers that are open come to the same numbers here. 0 or -errno.
int32_t Lane::fetchNumbers(const std::vector<int32_t>& numbers) {
  const auto take = [](void* context, int32_t number, int fd) {
    auto& lane = *static_cast<Lane*>(context);
    const uint64_t cookie = lane.cookieAt(fd);
    lane.has_held_ = true;
    if (dup3(fd, number, O_CLOEXEC) >= 0)
      lane.held_[static_cast<size_t>(number - lane.fd_base)] = cookie;
    close(fd);
  };
  constexpr size_t kBatch = 253;
  for (size_t at = 0; at < numbers.size(); at += kBatch) {
    const auto count = static_cast<int32_t>(std::min(kBatch, numbers.size() - at));
    const int got = fetchDescriptors(claim_fd, numbers.data() + at, count, kFetchMs, take, this);
    if (got < 0) return got;
  }
  return 0;
}

// Whether the lane may be taken from whom an owner word names: the process is gone, or at least the
// thread that ran the lane, or it has given the lane up and only writes its report. Its master says
// so in its row; a process that no longer exists needs no master to say it. One that was accepting is
// waited for: only when it is dead, its keeper looks for a connection that has not come to its number.
bool Lane::isDead(int32_t owner) const {
  const bool is_abandoned = owner % 4 == kOwnerStateAbandoned;
  if (is_abandoned && load(head->accept_row) == 0) return true;
  const Worker& who = workers[workerOf(owner)];
  if (isLifeOver(who)) return true;
  const int32_t state = load(who.state);
  if (state == kWorkerStateFree || state == kWorkerStateEnded) return true;
  return kill(who.pid, 0) != 0 && errno == ESRCH;
}

// Becomes the owner. A Claim or -errno.
int32_t Lane::claim(int timeout_ms) {
  const int32_t mine = ownerWord(worker, kOwnerStateServing);
  const double until = monotonicUs() + timeout_ms * 1000.0;
  learnHeld();  // of a lane that is empty, too: what is here of it from before is stale
  if (swap(row->owner, 0, mine)) {
    own();
    wipe();
    return kClaimFresh;
  }
  const int32_t rival = load(row->claimant);
  const bool is_rival_dead =
      rival != 0 && rival != worker && isDead(ownerWord(rival, kOwnerStateServing));
  if (!swap(row->claimant, is_rival_dead ? rival : 0, worker) && load(row->claimant) != worker)
    return -EBUSY;
  int32_t result = -ETIMEDOUT;
  bool has_rung = false;
  while (result == -ETIMEDOUT && monotonicUs() < until) {
    const int32_t seen = load(row->owner);
    if (seen == 0) {
      result = swap(row->owner, 0, mine) ? kClaimFresh : -ETIMEDOUT;
    } else if (isDead(seen)) {
      // Its keeper may not have heard of the death yet. In the end, what he does not have is lost.
      const bool has_time = monotonicUs() + kFetchMs * 1000.0 < until;
      if (fetch() < 0 && has_time) continue;
      dead_owner_ = workerOf(seen);
      if (swap(row->owner, seen, mine)) result = kClaimInherited;
    } else if (isFrozen(seen)) {
      const double frozen_us = row->frozen_us;
      const int32_t missing = fetch();
      if (missing != 0)
        result = missing < 0 ? missing : -EIO;  // the owner swaps back: its sessions stay with it
      else if (swap(row->owner, seen, mine))
        result = kClaimGiven;
      // Had we been slow, the owner might have served and frozen again for somebody else meanwhile.
      if (result == kClaimGiven && row->frozen_us != frozen_us) fetch();
    } else {
      if (!has_rung) ring(doorbell_fd);
      has_rung = true;
      futexWait(&row->owner, seen, kLookMs);
    }
  }
  if (result < 0) {
    swap(row->claimant, worker, 0);
    return result;
  }
  own();
  if (result == kClaimFresh) wipe();
  inherited_ = result == kClaimInherited;
  return result;
}

// Becomes the owner in the place of a dead one, of its own accord: it takes the lane whole or not at
// all. A Claim or -errno: EAGAIN: there is no dead owner; EBUSY: somebody was faster; EIO: something
// is missing that only the master can bring.
int32_t Lane::inherit() {
  const int32_t seen = load(row->owner);
  if (seen == 0 || !isDead(seen)) return -EAGAIN;
  std::vector<int32_t> numbers;
  for (const int32_t id : listener_ids) numbers.push_back(listenerFd(id));
  learnHeld();
  chooseAway();
  int32_t result = fetchNumbers(numbers);
  if (result == 0) result = fetch();  // rows without a descriptor are the repair's matter
  const auto is_here = [&](int32_t id) {
    return held_[static_cast<size_t>(listenerFd(id) - fd_base)] != 0;
  };
  const bool has_all =
      result >= 0 && std::all_of(listener_ids.begin(), listener_ids.end(), is_here);
  if (has_all && swap(row->owner, seen, ownerWord(worker, kOwnerStateServing))) {
    own();
    inherited_ = true;
    dead_owner_ = workerOf(seen);
    return kClaimInherited;
  }
  dropHeld();
  return has_all ? -EBUSY : result < 0 ? result : -EIO;
}

// What was fetched in vain: a copy that stays would keep connections open.
void Lane::dropHeld() {
  for (size_t i = 0; i < held_.size(); ++i) {
    if (held_[i] != 0) close(fd_base + static_cast<int32_t>(i));
  }
  forgetHeld();
  has_held_ = false;
  away_count_ = 0;
}

// The lane is ours.
void Lane::own() {
  row->claimed_us = monotonicUs();
  FAULT(Claimed);
  futexWake(&row->owner);
  has_held_ = true;
  ++row->epoch;
  swap(row->claimant, worker, 0);
}

// From now on this process' keeper answers for the lane; until then the one of the owner before
// does, for he alone may hold what no row names yet.
void Lane::nameKeeper() {
  row->keeper = worker;
  ring(keeper_bell);
  FAULT(KeeperNamed);
}

}  // namespace baton
