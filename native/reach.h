// Which requests, nodes and chunks the rows of a lane lead to: the truth from which counts and free
// bits can be checked, or made anew.
#pragma once
#include <vector>

#include "lane.h"

namespace baton {

struct Reach {
  explicit Reach(Lane& lane)
      : requests(static_cast<size_t>(lane.head->request_top)),
        nodes(static_cast<size_t>(lane.chains.nodes.capacity())),
        chunks(static_cast<size_t>(lane.chains.chunks.capacity())) {
    for (int32_t i = 1; i < lane.head->session_top; ++i) {
      if (lane.sessions[i].state != kSessionStateFree) walk(lane, lane.sessions[i]);
    }
    for (int32_t i = 1; i < lane.head->link_top; ++i) {
      if (lane.links[i].state != kLinkStateFree) walk(lane, lane.links[i]);
    }
  }

  std::vector<bool> requests, nodes, chunks;
  int32_t request_count = 0;

 private:
  void walk(Lane& lane, Session& session) {
    lane.chains.mark(inOf(session), nodes, chunks);
    lane.chains.mark(outOf(session), nodes, chunks);
    int32_t number = session.request_head;
    for (int32_t left = session.requests; left > 0; --left) {
      reach(lane, number);
      for (int32_t part = lane.requests[number].first_part; part != 0;
           part = lane.requests[part].session_next)
        reach(lane, part);
      number = lane.requests[number].session_next;
    }
  }

  void walk(Lane& lane, Link& link) {
    lane.chains.mark(inOf(link), nodes, chunks);
    lane.chains.mark(outOf(link), nodes, chunks);
    int32_t number = link.request_head;
    for (int32_t left = link.requests; left > 0; --left) {
      reach(lane, number);
      number = lane.requests[number].link_next;
    }
  }

  void reach(Lane& lane, int32_t number) {
    if (requests[static_cast<size_t>(number)]) return;
    requests[static_cast<size_t>(number)] = true;
    ++request_count;
    lane.chains.mark(heldOf(lane.requests[number]), nodes, chunks);
  }
};

}  // namespace baton
