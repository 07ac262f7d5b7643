#include "look.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace baton {

namespace {

// Words that say whether anything has happened to the lane.
struct Pulse {
  LaneRow row;
  LaneHead head;
};

// From the object, into the copy: the same place, or another one.
void fetch(const void* place, size_t bytes, void* to) {
  auto at = static_cast<off_t>(static_cast<const uint8_t*>(place) - segment.base);
  auto* target = static_cast<uint8_t*>(to);
  while (bytes > 0) {
    const ssize_t got = pread(segment.fd, target, bytes, at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    bytes -= static_cast<size_t>(got);
    target += got;
    at += got;
  }
  memset(target, 0, bytes);  // behind the object's end there is nothing
}

template <class Row>
void fetch(Row* rows, int64_t count) {
  fetch(rows, sizeof(Row) * static_cast<size_t>(count), rows);
}

// Whoever sleeps after the first look at the turn, and before the last one, has slept all the time,
// if the turn is the same: nobody falls asleep twice without a commit in between.
Pulse pulseBefore(const Lane& lane) {
  Pulse pulse;
  fetch(lane.head, sizeof pulse.head, &pulse.head);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  fetch(lane.row, sizeof pulse.row, &pulse.row);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  return pulse;
}

Pulse pulseAfter(const Lane& lane) {
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  Pulse pulse;
  fetch(lane.row, sizeof pulse.row, &pulse.row);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  fetch(lane.head, sizeof pulse.head, &pulse.head);
  return pulse;
}

bool isResting(const LaneRow& row) {
  const bool is_frozen = (row.owner & 3) == kOwnerStateFrozen;
  return is_frozen || ((row.owner & 3) == kOwnerStateServing && row.sleeping != 0);
}

bool isSameOwner(const LaneRow& a, const LaneRow& b) {
  return a.owner == b.owner && a.epoch == b.epoch && a.schema_hash == b.schema_hash;
}

// A repair takes images back, last first: then less of the journal is used than before.
bool isSameTurn(const Pulse& before, int32_t journal_used, const Pulse& after) {
  return isSameOwner(before.row, after.row) && before.head.turn == after.head.turn &&
         before.head.journal_used <= journal_used && journal_used <= after.head.journal_used;
}

int64_t rowsOf(int32_t top, int32_t capacity) { return std::clamp(top, 0, capacity); }

// What the others say of their rings to and from this lane; those that nobody ever owned have no
// memory.
void fetchPorts(Lane& lane, const std::vector<Post::Peer>& peers) {
  for (const Post::Peer& peer : peers) {
    if (peer.row == lane.row) fetch(peer.ports, lane.post.ringCount() + 1);
    else if (peer.row->state != kLaneStateFree) fetch(peer.ports + lane.number, 1);
  }
}

// The batches of a class up to the last one that anybody holds, and some that may be taken while
// this goes on: the lowest are taken first. All of them would take longer than most turns.
struct HeldBatches {
  HeldBatches(Batch* all, int32_t count) : rows(all) {
    fetch(rows, count);
    for (held = count; held > 0 && rows[held - 1].owner == 0; --held) continue;
    held = std::min(count, held + kSpare);
  }

  static constexpr int32_t kSpare = 256;
  Batch* rows;
  int32_t held;
};

// Nodes of batches that are the lane's, neighbours at once.
void fetchNodes(Lane& lane, const HeldBatches& batches) {
  constexpr int64_t kUnits = UnitPool::kBatchUnits;
  Node* nodes = segment.at<Node>(static_cast<uint64_t>(lane.superblock->node_base));
  for (int32_t from = 0; from < batches.held;) {
    int32_t to = from;
    while (to < batches.held && batches.rows[to].owner == lane.number + 1) ++to;
    if (to > from) fetch(nodes + from * kUnits, (to - from) * kUnits);
    from = to + 1;
  }
}

void fetchRows(Lane& lane, const LaneHead& head) {
  const int64_t sessions = rowsOf(head.session_top, lane.sizes.sessions);
  fetch(lane.sessions, sessions);
  for (int64_t i = 1; i < sessions; ++i) {
    if (isPeer(lane.sessions[i])) fetch(lane.infos + i, 1);  // of the others nothing is checked
  }
  fetch(lane.links, rowsOf(head.link_top, lane.sizes.links));
  fetch(lane.requests, rowsOf(head.request_top, lane.sizes.requests));
  fetch(&lane.post.ringOf(0), lane.post.ringCount());
  fetch(lane.pool_counters, lane.sizes.pools);
  fetch(lane.backend_counters, lane.sizes.backends);
}

}  // namespace

Look lookAt(Lane& lane, bool only_resting) {
  fetch(lane.row - lane.number, lane.superblock->lanes);
  auto* batches = segment.at<Batch>(static_cast<uint64_t>(lane.superblock->batch_base));
  const int32_t node_batches = lane.superblock->nodes / UnitPool::kBatchUnits;
  const HeldBatches of_nodes(batches, node_batches);
  const HeldBatches of_chunks(batches + node_batches,
                              lane.superblock->chunks / UnitPool::kBatchUnits);
  const Pulse before = pulseBefore(lane);
  if (only_resting && !isResting(before.row)) return Look::Moved;
  fetchRows(lane, before.head);
  fetchPorts(lane, lane.post.peers());
  fetch(of_nodes.rows, of_nodes.held);
  fetch(of_chunks.rows, of_chunks.held);
  fetchNodes(lane, of_nodes);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  fetch(lane.head, 1);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  const int32_t used = lane.head->journal_used;
  fetch(lane.region.journal, static_cast<size_t>(rowsOf(used, lane.sizes.journal_bytes)),
        lane.region.journal);
  const Pulse after = pulseAfter(lane);
  if (!isSameTurn(before, used, after)) return Look::Moved;
  // Rows that the open turn has been the first to use are not here.
  lane.head->session_top = before.head.session_top;
  lane.head->link_top = before.head.link_top;
  lane.head->request_top = before.head.request_top;
  const bool is_still = isResting(before.row) && isResting(after.row) &&
                        before.head.journal_used == after.head.journal_used;
  return is_still ? Look::Resting : Look::Open;
}

}  // namespace baton
