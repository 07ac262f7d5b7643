// check(): walks every table, list and chain of a lane and says what does not add up. An empty
// answer is the promise that nothing leaks. For tests and tools; the lane must be at a turn's end.
#include "lane.h"

namespace baton {

namespace {

class Checker {
 public:
  explicit Checker(Lane& lane)
      : lane_(lane),
        nodes_(static_cast<size_t>(lane.chains.nodes.capacity())),
        chunks_(static_cast<size_t>(lane.chains.chunks.capacity())),
        requests_(static_cast<size_t>(lane.head->request_top)) {}

  std::vector<std::string> run() {
    walkSessions();
    walkLinks();
    int32_t reached = 0;
    for (const bool each : requests_) reached += each ? 1 : 0;
    expect(reached == lane_.head->requests_open, "request rows in use that no list leads to",
           lane_.head->requests_open - reached);
    expect(lane_.chains.nodes.compare(nodes_) == 0, "nodes whose free bit is wrong",
           lane_.chains.nodes.compare(nodes_));
    expect(lane_.chains.chunks.compare(chunks_) == 0, "chunks whose free bit is wrong",
           lane_.chains.chunks.compare(chunks_));
    expect(lane_.journal.used() == 0, "bytes in the journal of a sealed turn",
           lane_.journal.used());
    return found_;
  }

 private:
  void expect(bool holds, const char* what, int64_t count) {
    if (!holds) found_.push_back(std::to_string(count) + " " + what);
  }

  void walkSessions() {
    int32_t open = 0;
    for (int32_t i = 1; i < lane_.head->session_top; ++i) {
      Session& session = lane_.sessions[i];
      if (session.state == kSessionStateFree) continue;
      ++open;
      lane_.chains.mark(inOf(session), nodes_, chunks_);
      lane_.chains.mark(outOf(session), nodes_, chunks_);
      int32_t number = session.request_head;
      for (int32_t left = session.requests; left > 0;
           --left, number = lane_.requests[number].session_next) {
        expect(lane_.requests[number].session == i, "request in another session's list: row",
               number);
        reach(number);
        for (int32_t part = lane_.requests[number].first_part; part != 0;
             part = lane_.requests[part].session_next)
          reach(part);
      }
    }
    expect(open == lane_.head->sessions_open, "sessions open but not counted",
           open - lane_.head->sessions_open);
  }

  void walkLinks() {
    for (int32_t i = 1; i < lane_.sizes.links; ++i) {
      Link& link = lane_.links[i];
      if (link.state == kLinkStateFree) continue;
      lane_.chains.mark(inOf(link), nodes_, chunks_);
      lane_.chains.mark(outOf(link), nodes_, chunks_);
      int32_t number = link.request_head;
      for (int32_t left = link.requests; left > 0;
           --left, number = lane_.requests[number].link_next) {
        expect(lane_.requests[number].link == i, "request in another link's list: row", number);
        reach(number);
      }
    }
  }

  void reach(int32_t number) {
    if (requests_[static_cast<size_t>(number)]) return;
    requests_[static_cast<size_t>(number)] = true;
    lane_.chains.mark(heldOf(lane_.requests[number]), nodes_, chunks_);
  }

  Lane& lane_;
  std::vector<bool> nodes_, chunks_, requests_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> Lane::check() { return Checker(*this).run(); }

}  // namespace baton
