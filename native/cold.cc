// A lane begins anew: because nobody had it, or because it cannot be repaired. Its clients are
// closed then and its servers are connected again; nothing but this lane is touched.
//
//   what cannot be trusted        what is done without it
//   rows, head, journal           cleared
//   which descriptors there are   all numbers of the lane are asked for, and closed
//   nodes and chunks              batches say whose they are, and go back to the instance
#include <sys/socket.h>
#include <unistd.h>

#include "fault.h"
#include "lane.h"

namespace baton {

// A lane that nobody owned: nothing in it is worth keeping but what it has counted.
void Lane::wipe() {
  dropHeld();
  has_held_ = true;
  post.startAnew();  // before memory that others may be reading is anybody's
  chains.nodes.releaseAll();
  chains.chunks.releaseAll();
  const auto clear = [](auto* rows, int32_t count) {
    memset(static_cast<void*>(rows), 0, sizeof *rows * static_cast<size_t>(count));
  };
  const bool knows_tops = cold_.empty();
  clear(sessions, knows_tops ? head->session_top : sizes.sessions);
  clear(infos, knows_tops ? head->session_top : sizes.sessions);
  clear(links, sizes.links);
  clear(requests, knows_tops ? head->request_top : sizes.requests);
  clear(listeners, sizes.listeners);
  clear(wires, sizes.sessions + sizes.links);
  clear(head, 1);
  for (int32_t i = 0; i < sizes.pools; ++i) pool_counters[i].client_connections = 0;
  for (int32_t i = 0; i < sizes.backends; ++i) {
    BackendCounter& counted = backend_counters[i];
    counted.connections = counted.in_queue = counted.in_queue_bytes = 0;
  }
  head->turn = 1;
  head->session_top = head->link_top = head->request_top = 1;  // row 0 means none
  head->now_us = row->frozen_us = monotonicUs();
  head->guard = kLaneGuard;
}

// The last resort. Who dies over it leaves a lane that is still damaged, or an empty one.
void Lane::startCold() {
  std::vector<int32_t> numbers;
  for (int32_t i = 1; i < sizes.sessions + sizes.links + sizes.listeners; ++i) {
    const auto at = static_cast<size_t>(i);
    if (i < sizes.sessions + sizes.links && held_[at] != 0) continue;
    if (i >= sizes.sessions + sizes.links && cookieAt(fd_base + i) != 0) continue;
    numbers.push_back(fd_base + i);
  }
  fetchNumbers(numbers);
  for (int32_t i = 1; i < sizes.sessions + sizes.links; ++i) {
    if (held_[static_cast<size_t>(i)] == 0) continue;
    interest(fd_base + i, 0, 0, false);
    shutdown(fd_base + i, SHUT_RDWR);  // a duplicate elsewhere would keep the connection open
  }
  // Those that are still wanted are watched again; the sockets of the others go with this process.
  for (int32_t id = 0; id < sizes.listeners; ++id) interest(listenerFd(id), 0, 0, false);
  for (const int32_t id : listener_ids) held_[static_cast<size_t>(listenerFd(id) - fd_base)] = 0;
  ++counter->cold_starts;
  findings_.push_back({Finding::Lane, 0, cold_});
  wipe();
  cold_.clear();
}

}  // namespace baton
