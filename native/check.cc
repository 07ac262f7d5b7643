// check(): walks every table, list and chain of a lane and says what does not add up. An empty
// answer is the promise that nothing leaks. For tests and tools; the lane must be at a turn's end.
// checkCopy() says the same of a copy that somebody else has made of a lane which is served.
#include "look.h"
#include "reach.h"

namespace baton {

namespace {

class Checker {
 public:
  Checker(Lane& lane, const Reach& reach) : lane_(lane), reach_(reach) {}

  std::vector<std::string> found;

  // What rows say of each other.
  void checkRows() {
    for (const Damage& each : reach_.damage)
      found.push_back(nameOf(each.kind) + std::to_string(each.row) + ": " + each.what);
    expect(reach_.orphans.empty(), "requests that no link knows of",
           static_cast<int64_t>(reach_.orphans.size()));
  }

  // What is counted as it changes against what can be counted now.
  void checkCounts() {
    countSessions();
    // A damaged row may count for nobody.
    if (reach_.damage.empty()) compareGauges();
    const int32_t open = lane_.head->requests_open;
    expect(reach_.request_count == open, "request rows in use that no list leads to",
           open - reach_.request_count);
  }

  // A row that is neither free nor led to is never used again.
  std::vector<int32_t> lostRequests() const {
    std::vector<int32_t> lost;
    for (int32_t i = 1; i < lane_.head->request_top; ++i) {
      if (lane_.requests[i].state != kRequestStateFree && !reach_.hasRequest(i)) lost.push_back(i);
    }
    return lost;
  }

  void expectNoneLost(size_t lost) {
    expect(lost == 0, "request rows that are neither free nor led to", static_cast<int64_t>(lost));
  }

  void expectUnits(int32_t nodes, int32_t chunks) {
    expect(nodes == 0, "nodes whose free bit is wrong", nodes);
    expect(chunks == 0, "chunks whose free bit is wrong", chunks);
  }

  void expect(bool holds, const char* what, int64_t count) {
    if (!holds) found.push_back(std::to_string(count) + " " + what);
  }

 private:
  static std::string nameOf(Damage::Kind kind) {
    if (kind == Damage::Link) return "link ";
    if (kind == Damage::Ring) return "ring ";
    return kind == Damage::Session ? "session " : "request ";
  }

  void countSessions() {
    int32_t open = 0;
    for (int32_t i = 1; i < lane_.head->session_top; ++i) {
      const Session& session = lane_.sessions[i];
      if (session.state == kSessionStateFree) continue;
      if (!isPeer(session)) ++open;
      if (session.state != kSessionStateClosing && reach_.damage.empty()) compareHeld(session);
    }
    expect(open == lane_.head->sessions_open, "sessions open but not counted",
           open - lane_.head->sessions_open);
  }

  // Whether held_bytes is what the session's replies hold; its list is sound.
  void compareHeld(const Session& session) {
    int64_t held = 0;
    int32_t number = session.request_head;
    for (int32_t left = session.requests; left > 0; --left) {
      Request& request = lane_.requests[number];
      held += heldBytes(request);
      for (int32_t part = request.first_part; part != 0; part = lane_.requests[part].session_next)
        held += heldBytes(lane_.requests[part]);
      number = request.session_next;
    }
    expect(held == session.held_bytes, "held bytes too many counted", session.held_bytes - held);
  }

  // Of a reply: what a whole holds before it has one is the order of its keys.
  static int64_t heldBytes(Request& request) {
    if (request.near_bytes > 0) return request.near_bytes;
    return request.state == kRequestStateWaiting ? 0 : heldOf(request).bytes;
  }

  void compareGauges() {
    std::vector<double> clients(static_cast<size_t>(lane_.sizes.pools));
    std::vector<BackendCounter> servers(static_cast<size_t>(lane_.sizes.backends));
    int32_t links = 0;
    for (int32_t i = 1; i < lane_.head->session_top; ++i) {
      const Session& session = lane_.sessions[i];
      const bool is_client = session.state != kSessionStateFree && !isPeer(session);
      if (is_client) clients[static_cast<size_t>(session.pool)] += 1;
    }
    for (int32_t i = 1; i < lane_.head->link_top; ++i) {
      const Link& link = lane_.links[i];
      if (link.state == kLinkStateFree || link.home != 0) continue;
      BackendCounter& server = servers[static_cast<size_t>(link.backend)];
      server.connections += link.counted;
      server.in_queue += link.requests;
      server.in_queue_bytes += link.out_bytes;
      links += link.fd >= 0 ? 1 : 0;
    }
    const auto compare = [&](double counted, double now, const char* what) {
      expect(counted == now, what, static_cast<int64_t>(counted - now));
    };
    compare(lane_.head->links_open, links, "links too many counted");
    for (int32_t i = 0; i < lane_.sizes.pools; ++i)
      compare(lane_.pool_counters[i].client_connections, clients[static_cast<size_t>(i)],
              "clients of a pool too many counted");
    for (int32_t i = 0; i < lane_.sizes.backends; ++i) {
      const BackendCounter& counted = lane_.backend_counters[i];
      const BackendCounter& server = servers[static_cast<size_t>(i)];
      compare(counted.connections, server.connections, "connections to a server too many counted");
      compare(counted.in_queue, server.in_queue, "requests to a server too many counted");
      compare(counted.in_queue_bytes, server.in_queue_bytes, "bytes to a server too many counted");
    }
  }

  Lane& lane_;
  const Reach& reach_;
};

void add(std::vector<bool>& marks, const std::vector<bool>& others) {
  for (size_t i = 0; i < marks.size(); ++i) marks[i] = marks[i] || others[i];
}

// What is found before anything that it says is followed.
const char* headFault(const Lane& lane) {
  const auto within = [](int32_t value, int32_t beyond) { return value >= 1 && value <= beyond; };
  const LaneHead& head = *lane.head;
  if (head.guard != kLaneGuard) return "its head: the guard";
  if (!within(head.session_top, lane.sizes.sessions) || !within(head.link_top, lane.sizes.links) ||
      !within(head.request_top, lane.sizes.requests))
    return "its head: how many rows were ever used";
  return lane.journal.isSound() ? nullptr : "its journal";
}

// The rows as of the last commit. What is counted, and which units and rows are free, is of the
// moment: of that only what an open turn never does can be said.
std::vector<std::string> checkCommitted(Lane& lane) {
  lane.journal.rollBack();
  const Reach reach(lane, false);
  Checker checker(lane, reach);
  checker.checkRows();
  checker.expectUnits(lane.chains.nodes.countFreeOf(reach.nodes),
                      lane.chains.chunks.countFreeOf(reach.chunks));
  return checker.found;
}

// Where the owner sleeps, counts are those of the rows as they stand. What the open turn has let
// go (it has sent bytes, and closed) is not free before its commit: the rows before it lead there.
std::vector<std::string> checkResting(Lane& lane) {
  Reach now(lane, false);
  Checker checker(lane, now);
  checker.checkRows();
  checker.checkCounts();
  std::vector<int32_t> lost = checker.lostRequests();
  lane.journal.rollBack();
  const Reach before(lane, false);
  std::erase_if(lost, [&](int32_t number) { return before.hasRequest(number); });
  checker.expectNoneLost(lost.size());
  add(now.nodes, before.nodes);
  add(now.chunks, before.chunks);
  checker.expectUnits(lane.chains.nodes.compare(now.nodes), lane.chains.chunks.compare(now.chunks));
  return checker.found;
}

}  // namespace

std::vector<std::string> Lane::check() {
  const Reach reach(*this);
  Checker checker(*this, reach);
  checker.checkRows();
  checker.checkCounts();
  checker.expectNoneLost(checker.lostRequests().size());
  checker.expectUnits(chains.nodes.compare(reach.nodes), chains.chunks.compare(reach.chunks));
  checker.expect(journal.used() == 0, "bytes in the journal of a sealed turn", journal.used());
  return checker.found;
}

std::vector<std::string> checkCopy(Lane& lane, Look look) {
  const char* fault = headFault(lane);
  if (fault != nullptr) return {fault};
  return look == Look::Resting ? checkResting(lane) : checkCommitted(lane);
}

}  // namespace baton
