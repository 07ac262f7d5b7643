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
      found_.push_back(std::string(each.kind == Damage::Link ? "link " : each.kind == Damage::Session ? "session " : "request ") +
                       std::to_string(each.row) + ": " + each.what);
    expect(reach_.orphans.empty(), "requests that no link knows of",
           static_cast<int64_t>(reach_.orphans.size()));
    countSessions();
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
  void expect(bool holds, const char* what, int64_t count) {
    if (!holds) found_.push_back(std::to_string(count) + " " + what);
  }

  void countSessions() {
    int32_t open = 0;
    for (int32_t i = 1; i < lane_.head->session_top; ++i)
      open += lane_.sessions[i].state != kSessionStateFree ? 1 : 0;
    expect(open == lane_.head->sessions_open, "sessions open but not counted",
           open - lane_.head->sessions_open);
  }

  Lane& lane_;
  Reach reach_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> Lane::check() { return Checker(*this).run(); }

}  // namespace baton
