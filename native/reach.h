// Which requests, nodes and chunks the rows of a lane lead to: the truth from which counts and free
// bits can be checked, or made anew. Every number is looked at before it is followed, and what does
// not add up is listed: the walk ends whatever the rows say.
//
//   session ──► in, out chains            each node and chunk belongs to the lane,
//      └─ request ─ request ─ …           and to one chain
//           ├─► held chain
//           └─ part ─ part ─ …            each request is in one session's list or is a part,
//   link ──► in, out chains               and in one link's list while it is owed
//      └─ request ─ request ─ …
//   ring ──► overflow, stream chains
#pragma once
#include <vector>

#include "lane.h"

namespace baton {

// A row that does not add up.
struct Damage {
  enum Kind { Session, Link, Ring, Unwanted } kind;  // Unwanted: a request that nobody waits for
  int32_t row;
  const char* what;
};

class Reach {
 public:
  // `has_bytes`: false in a copy of the lane that is without what chunks hold (look.h).
  explicit Reach(Lane& lane, bool has_bytes = true)
      : nodes(marksOf(lane.chains.nodes)),
        chunks(marksOf(lane.chains.chunks)),
        lane_(lane),
        has_bytes_(has_bytes),
        in_session_(static_cast<size_t>(lane.head->request_top)),
        in_link_(static_cast<size_t>(lane.head->request_top)) {
    for (int32_t i = 1; i < lane.head->session_top; ++i) {
      if (lane.sessions[i].state != kSessionStateFree)
        settle(Damage::Session, i, fault(lane.sessions[i], i));
    }
    for (int32_t i = 1; i < lane.head->link_top; ++i) {
      if (lane.links[i].state != kLinkStateFree) settle(Damage::Link, i, fault(lane.links[i], i));
    }
    for (int32_t i = 0; i < lane.post.ringCount(); ++i) {
      const char* what = lane.post.fault(i);
      const bool is_sound = what != nullptr || traceRing(lane.post.ringOf(i));
      settle(Damage::Ring, i, is_sound ? what : "what waits to be sent");
    }
    count();
  }
  ~Reach() {
    spare_.push_back(std::move(chunks));
    spare_.push_back(std::move(nodes));
  }
  Reach(const Reach&) = delete;
  Reach& operator=(const Reach&) = delete;

  // Makes what a walk needs beforehand: a lane's clients wait for the first one of a new owner.
  static void prepare(const ChainStore& chains) {
    spare_.push_back(marksOf(chains.chunks));
    spare_.push_back(marksOf(chains.nodes));
  }

  bool hasRequest(int32_t number) const { return isIn(in_session_, number) || isIn(in_link_, number); }

  using Marks = std::vector<bool>;
  Marks nodes, chunks;
  std::vector<Damage> damage;
  std::vector<int32_t> orphans;  // requests that some session waits for and no link knows of
  int32_t request_count = 0;

 private:
  // Of walks that are over: the kernel clears each page of new memory, which takes longer than the
  // walk.
  static inline std::vector<Marks> spare_;

  static Marks marksOf(const UnitPool& pool) {
    Marks marks;
    if (!spare_.empty()) {
      marks = std::move(spare_.back());
      spare_.pop_back();
    }
    marks.assign(static_cast<size_t>(pool.capacity()), false);
    return marks;
  }

  static constexpr int32_t kSessionFlags = 2 * kSessionFlagUnframable - 1;
  static constexpr int32_t kRequestFlags = 2 * kRequestFlagCut - 1;

  static bool isIn(const Marks& marks, int32_t number) { return marks[static_cast<size_t>(number)]; }
  static bool isWithin(int32_t value, int32_t beyond) { return value >= 0 && value < beyond; }

  // Marks it, unless somebody else leads there already.
  bool take(Marks& marks, int32_t number) {
    if (isIn(marks, number)) return false;
    marks[static_cast<size_t>(number)] = true;
    trail_.push_back({&marks, number});
    return true;
  }

  // What a damaged row leads to may be others' in truth.
  void settle(Damage::Kind kind, int32_t number, const char* what) {
    if (what != nullptr) {
      for (const auto& [marks, unit] : trail_) (*marks)[static_cast<size_t>(unit)] = false;
      damage.push_back({kind, number, what});
    }
    trail_.clear();
  }

  bool trace(const Chain& chain) {
    return lane_.chains.trace(
        chain,
        [this](int32_t node) { return lane_.chains.nodes.owns(node) && take(nodes, node); },
        [this](int32_t chunk) { return lane_.chains.chunks.owns(chunk) && take(chunks, chunk); });
  }

  bool traceRing(Ring& ring) { return trace(overflowOf(ring)) && trace(streamOf(ring)); }

  // Of lanes + 1, or 0.
  bool isLane(int32_t number) const {
    const auto lanes = static_cast<int32_t>(lane_.peers.size());
    return isWithin(number, lanes + 1) && number != lane_.number + 1;
  }

  bool isRelay(const SessionInfo& info) const {
    return info.relay_lane != 0 && isLane(info.relay_lane) &&
           isWithin(info.relay_link, lane_.sizes.links);
  }

  // What is not collected must fit the arena together with what is received.
  bool fitsArena(int32_t bytes) const {
    return bytes <= lane_.sizes.arena_bytes - kReceiveRoom - kHeaderMax;
  }

  static bool isScan(const PushState& state) { return state.number >= 0 && state.left >= 0; }

  const char* fault(Session& session, int32_t number) {
    constexpr int32_t kModes = kSessionModeNeedsAuth | kSessionModeResp3 | kSessionModePeer;
    if (!isWithin(session.state, kSessionStateClosing + 1)) return "its state";
    const bool is_peer = isPeer(session);
    const SessionInfo& info = lane_.infos[number];
    if (session.fd != (is_peer ? -1 : lane_.sessionFd(number))) return "its descriptor";
    if (is_peer && !isRelay(info)) return "its relay";
    const bool is_open = session.state == kSessionStateOpen && !is_peer;
    if (is_open && !lane_.isOwnId(session.client_id)) return "its id";
    if (!isWithin(session.pool, lane_.sizes.pools)) return "its pool";
    if (!isWithin(session.listener, lane_.sizes.listeners)) return "its listener";
    if ((session.mode & ~kModes) != 0 || (session.flags & ~kSessionFlags) != 0) return "its flags";
    if (!isWithin(session.stalled_on, lane_.sizes.links) || session.peeked < 0) return "its limits";
    if (session.held_bytes < 0 || session.requests < 0) return "its counts";
    const bool collects = (session.flags & kSessionFlagScanning) != 0;
    if (!isWithin(session.whole_bytes, session.in_bytes + 1)) return "its large request";
    if (!isScan(scanOf(session)) && collects) return "its scanner";
    if (!collects && session.whole_bytes == 0 && !fitsArena(session.in_bytes))
      return "its received bytes";
    if (!trace(inOf(session)) || !trace(outOf(session))) return "its bytes";
    if (session.whole_bytes > 0 && !isWhole(session)) return "its large request";
    return requestsFault(session, number);
  }

  const char* requestsFault(const Session& session, int32_t number) {
    int32_t at = session.request_head, last = 0;
    for (int32_t left = session.requests; left > 0; --left) {
      const char* what = fault(at, number);
      if (what != nullptr) return what;
      if (!take(in_session_, at)) return "its list of requests";
      what = partsFault(at, number);
      if (what != nullptr) return what;
      last = at;
      at = lane_.requests[at].session_next;
    }
    return session.requests > 0 && last != session.request_tail ? "its list of requests" : nullptr;
  }

  const char* partsFault(int32_t whole, int32_t session) {
    const Request& parent = lane_.requests[whole];
    int32_t count = 0;
    for (int32_t part = parent.first_part; part != 0; part = lane_.requests[part].session_next) {
      const char* what = fault(part, session);
      if (what != nullptr) return what;
      if (lane_.requests[part].parent != whole || !take(in_session_, part)) return "its parts";
      ++count;
    }
    if (count == 0) return nullptr;
    if (parent.state != kRequestStateWaiting || parent.parts < 0 || parent.parts > count)
      return "its parts";
    for (int32_t part = parent.first_part; part != 0; part = lane_.requests[part].session_next) {
      if (!isWithin(lane_.requests[part].part, count)) return "its parts";
    }
    return isOrder(lane_.requests[whole], count) ? nullptr : "the order of its keys";
  }

  // Two bytes a key, as Applier::noteOrder has written them.
  bool isOrder(Request& parent, int32_t parts) {
    if (!isWithin(parent.merge, kMergeKindSum + 1) || parent.keys < 0) return false;
    if (parent.merge != kMergeKindInterleave) return true;
    const Chain& held = heldOf(parent);
    const bool is_few = held.bytes == 0;
    const int64_t room = is_few ? static_cast<int64_t>(sizeof parent.inline_) : held.bytes;
    if (int64_t{parent.keys} * 2 > room) return false;
    std::vector<uint16_t> order(static_cast<size_t>(parent.keys));
    const int32_t bytes = parent.keys * 2;
    if (!is_few && !has_bytes_) return true;
    if (is_few)
      memcpy(order.data(), parent.inline_, static_cast<size_t>(bytes));
    else
      lane_.chains.read(held, 0, bytes, reinterpret_cast<uint8_t*>(order.data()));
    return std::all_of(order.begin(), order.end(), [&](uint16_t part) { return part < parts; });
  }

  // A request of a session's.
  const char* fault(int32_t number, int32_t session) {
    if (number < 1 || number >= lane_.head->request_top) return "the number of a request";
    Request& request = lane_.requests[number];
    if (request.session != session) return "a request of another session";
    return ownFault(request);
  }

  const char* ownFault(Request& request) {
    const int32_t top = lane_.head->request_top;
    if (request.state <= kRequestStateFree || request.state > kRequestStateWaiting ||
        (request.flags & ~kRequestFlags) != 0)
      return "the state of a request";
    if (!isWithin(request.link, lane_.sizes.links) || !isWithin(request.parent, top) ||
        !isWithin(request.first_part, top))
      return "what a request names";
    if (request.command < kNamedCommandPoisoned || request.command >= lane_.sizes.commands)
      return "the command of a request";
    const bool is_near = request.near_bytes > 0;
    if (request.bytes < 0 || request.near_bytes < 0 ||
        request.near_bytes > static_cast<int32_t>(sizeof request.inline_))
      return "the length of a request";
    if (is_near && request.near_offset >= 0) return "where a reply is held";
    const bool is_owed = (request.flags & kRequestFlagInLink) != 0;
    if (is_owed && request.link == 0) return "what a request names";
    return trace(heldOf(request)) ? nullptr : "a reply that is held";
  }

  const char* fault(Link& link, int32_t number) {
    constexpr int32_t kFlags = 2 * kLinkFlagUntold - 1;
    if (!isWithin(link.state, kLinkStateResolving + 1)) return "its state";
    if (link.fd != lane_.linkFd(number) && link.fd != -1) return "its descriptor";
    if (!isLane(link.home)) return "its home";
    if ((link.fd == -1) == (link.home == 0) && link.state == kLinkStateUp) return "its descriptor";
    if (!isWithin(link.pool, lane_.sizes.pools) || !isWithin(link.backend, lane_.sizes.backends))
      return "its server";
    if (link.protocol != 2 && link.protocol != 3) return "its protocol";
    if (!isWithin(link.place, lane_.sizes.links)) return "its place";
    if ((link.flags & ~kFlags) != 0 || !isWithin(link.counted, 2)) return "its flags";
    if (link.requests < 0 || link.peeked < 0 || link.replies_due < 0) return "its counts";
    if (!isWithin(link.streaming, 3) || (link.streaming != 0 && !isScan(scanOf(link))))
      return "its scanner";
    if (!isWithin(link.reason_bytes, sizeof link.reason_text + 1)) return "its reason";
    if (!fitsArena(link.in_bytes)) return "its received bytes";
    if (!trace(inOf(link)) || !trace(outOf(link))) return "its bytes";
    const auto queued = static_cast<uint64_t>(link.out_bytes);
    if (link.tx + queued != link.queued_total) return "its stream";
    return requestsFault(link, number);
  }

  const char* requestsFault(const Link& link, int32_t number) {
    int32_t at = link.request_head, last = 0;
    uint64_t end = 0;
    for (int32_t left = link.requests; left > 0; --left) {
      if (at < 1 || at >= lane_.head->request_top) return "the number of a request";
      Request& request = lane_.requests[at];
      if (request.link != number || (request.flags & kRequestFlagInLink) == 0)
        return "a request of another link";
      if (!take(in_link_, at)) return "its list of requests";
      if (!isIn(in_session_, at)) {
        const char* what = ownFault(request);
        if (what != nullptr) return what;
      }
      if (request.link_end < end || request.link_end > link.queued_total) return "its stream";
      end = request.link_end;
      last = at;
      at = request.link_next;
    }
    return link.requests > 0 && last != link.request_tail ? "its list of requests" : nullptr;
  }

  // The in chain begins with a whole request of that length.
  bool isWhole(Session& session) {
    if (!has_bytes_) return true;
    PushState state;
    pushBegin(&state, PushMode::Request);
    int32_t taken = 0;
    bool is_sound = true;
    lane_.chains.visit(inOf(session), 0, session.whole_bytes, [&](const uint8_t* from, int32_t count) {
      const int32_t step = is_sound ? pushBytes(&state, from, count, PushMode::Request, INT32_MAX) : -1;
      is_sound = step >= 0;
      taken += is_sound ? step : 0;
    });
    return is_sound && state.left == 0 && taken == session.whole_bytes;
  }

  bool isClosing(int32_t session) const {
    return lane_.sessions[session].state == kSessionStateClosing;
  }

  // Requests that one side leads to and the other should.
  void count() {
    for (int32_t i = 1; i < lane_.head->request_top; ++i) {
      if (!hasRequest(i)) continue;
      ++request_count;
      const Request& request = lane_.requests[i];
      const bool is_owed = (request.flags & kRequestFlagInLink) != 0;
      const bool is_late = (request.flags & kRequestFlagTimedOut) != 0;
      const bool is_unsent = request.state == kRequestStateSent && request.link != 0;
      if (!isIn(in_session_, i) && !is_late && (request.session != 0 || request.parent != 0))
        damage.push_back({Damage::Unwanted, i, "nobody waits for it"});
      else if (!isIn(in_link_, i) && (is_owed || is_unsent) && !isClosing(request.session))
        orphans.push_back(i);
    }
  }

  Lane& lane_;
  const bool has_bytes_;
  Marks in_session_, in_link_;  // requests: in a session's list, or part of one there; in a link's
  std::vector<std::pair<Marks*, int32_t>> trail_;  // of the row that is being walked
};

}  // namespace baton
