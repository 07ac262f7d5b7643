// check(): walks every table, list and chain of a lane and says what does not add up. An empty
// answer is the promise that nothing leaks. For tests and tools; the lane must be at a turn's end.
#include "lane.h"
#include "reach.h"

namespace baton {

namespace {

class Checker {
 public:
  explicit Checker(Lane& lane) : lane_(lane), reach_(lane) {}

  std::vector<std::string> run() {
    for (const Damage& each : reach_.damage)
      found_.push_back(nameOf(each.kind) + std::to_string(each.row) + ": " + each.what);
    expect(reach_.orphans.empty(), "requests that no link knows of",
           static_cast<int64_t>(reach_.orphans.size()));
    countSessions();
    compareGauges();
    countRequests();
    const int32_t open = lane_.head->requests_open;
    expect(reach_.request_count == open, "request rows in use that no list leads to",
           open - reach_.request_count);
    const int32_t nodes = lane_.chains.nodes.compare(reach_.nodes);
    expect(nodes == 0, "nodes whose free bit is wrong", nodes);
    const int32_t chunks = lane_.chains.chunks.compare(reach_.chunks);
    expect(chunks == 0, "chunks whose free bit is wrong", chunks);
    expect(lane_.journal.used() == 0, "bytes in the journal of a sealed turn",
           lane_.journal.used());
    return found_;
  }

 private:
  static std::string nameOf(Damage::Kind kind) {
    if (kind == Damage::Link) return "link ";
    if (kind == Damage::Ring) return "ring ";
    return kind == Damage::Session ? "session " : "request ";
  }

  void expect(bool holds, const char* what, int64_t count) {
    if (!holds) found_.push_back(std::to_string(count) + " " + what);
  }

  void countSessions() {
    int32_t open = 0;
    for (int32_t i = 1; i < lane_.head->session_top; ++i) {
      const Session& session = lane_.sessions[i];
      if (session.state == kSessionStateFree) continue;
      ++open;
      if (session.state != kSessionStateClosing && reach_.damage.empty()) compareHeld(session);
    }
    expect(open == lane_.head->sessions_open, "sessions open but not counted",
           open - lane_.head->sessions_open);
  }

  // A row that is neither free nor led to is never used again.
  void countRequests() {
    int32_t lost = 0;
    for (int32_t i = 1; i < lane_.head->request_top; ++i)
      lost += lane_.requests[i].state != kRequestStateFree && !reach_.hasRequest(i) ? 1 : 0;
    expect(lost == 0, "request rows that are neither free nor led to", lost);
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

  // What is counted as it changes against what can be counted now.
  void compareGauges() {
    std::vector<double> clients(static_cast<size_t>(lane_.sizes.pools));
    std::vector<BackendCounter> servers(static_cast<size_t>(lane_.sizes.backends));
    int32_t links = 0;
    for (int32_t i = 1; i < lane_.head->session_top; ++i) {
      const Session& session = lane_.sessions[i];
      if (session.state != kSessionStateFree) clients[static_cast<size_t>(session.pool)] += 1;
    }
    for (int32_t i = 1; i < lane_.head->link_top; ++i) {
      const Link& link = lane_.links[i];
      if (link.state == kLinkStateFree) continue;
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
  Reach reach_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> Lane::check() { return Checker(*this).run(); }

}  // namespace baton
