// A chain is a stream of bytes: nodes in order, each stringing up to 24 chunks of 4 KiB.
//
//   row columns:  head ──► node ──next──► node ──next──► node ◄── tail
//                 start = first unread byte in the head   end = bytes used in the tail
//
// The five columns in the row are the truth; a node's own start and end count only while it is
// neither head nor tail. So appending and consuming change one row and write only where no
// committed word leads, and a before-image of the row undoes them.
#pragma once
#include <sys/uio.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "layout.gen.h"
#include "unit-pool.h"

namespace baton {

// The columns X_head, X_tail, X_start, X_end, X_bytes of a row.
struct Chain {
  int32_t head;
  int32_t tail;
  int32_t start;
  int32_t end;
  int32_t bytes;
};
static_assert(sizeof(Chain) == 5 * sizeof(int32_t));
static_assert(offsetof(Session, in_bytes) - offsetof(Session, in_head) == offsetof(Chain, bytes));
static_assert(offsetof(Session, out_bytes) - offsetof(Session, out_head) == offsetof(Chain, bytes));
static_assert(offsetof(Link, in_bytes) - offsetof(Link, in_head) == offsetof(Chain, bytes));
static_assert(offsetof(Link, out_bytes) - offsetof(Link, out_head) == offsetof(Chain, bytes));
static_assert(offsetof(Request, held_bytes) - offsetof(Request, held_head) ==
              offsetof(Chain, bytes));
static_assert(offsetof(Ring, overflow_bytes) - offsetof(Ring, overflow_head) ==
              offsetof(Chain, bytes));
static_assert(offsetof(Ring, stream_bytes) - offsetof(Ring, stream_head) ==
              offsetof(Chain, bytes));

inline Chain& inOf(Session& row) { return *reinterpret_cast<Chain*>(&row.in_head); }
inline Chain& outOf(Session& row) { return *reinterpret_cast<Chain*>(&row.out_head); }
inline Chain& inOf(Link& row) { return *reinterpret_cast<Chain*>(&row.in_head); }
inline Chain& outOf(Link& row) { return *reinterpret_cast<Chain*>(&row.out_head); }
inline Chain& heldOf(Request& row) { return *reinterpret_cast<Chain*>(&row.held_head); }
inline Chain& overflowOf(Ring& row) { return *reinterpret_cast<Chain*>(&row.overflow_head); }
inline Chain& streamOf(Ring& row) { return *reinterpret_cast<Chain*>(&row.stream_head); }

// Where a walk through a chain has got to, so that the next one need not begin at the head.
struct ChainCursor {
  int32_t node = 0;    // 0: begin at the head
  int32_t at = 0;      // within the node
  int32_t offset = 0;  // within the chain
};

class ChainStore {
 public:
  static constexpr int32_t kNodeBytes = kNodeChunks * kChunkBytes;
  // Below this, copying costs less than handing over a node that holds little.
  static constexpr int32_t kCopyRather = 512;

  void attach(Node* nodes, uint8_t* chunks) {
    nodes_ = nodes;
    chunks_ = chunks;
  }

  UnitPool nodes;
  UnitPool chunks;

  // True when `bytes` more can be appended to any one chain without failing.
  bool reserve(int64_t bytes) {
    return chunks.reserve(static_cast<int32_t>(bytes / kChunkBytes) + 2) &&
           nodes.reserve(static_cast<int32_t>(bytes / kNodeBytes) + 2);
  }

  // True when lanes may still take `bytes` of memory, all in all.
  bool roomFor(int64_t bytes) const { return chunks.freeBytes() >= static_cast<double>(bytes); }

  // Appends a copy. False when memory ran out: the chain then holds a part and must be dropped.
  bool append(Chain& chain, const uint8_t* from, int32_t count) {
    while (count > 0) {
      uint8_t* room;
      const int32_t space = openTail(chain, &room);
      if (space == 0) return false;
      const int32_t step = std::min(space, count);
      memcpy(room, from, static_cast<size_t>(step));
      chain.end += step;
      chain.bytes += step;
      from += step;
      count -= step;
    }
    return true;
  }

  // Appends all of `from`, which becomes empty: nodes change hands, no byte is copied unless it is
  // little.
  bool appendChain(Chain& chain, Chain& from);

  // Appends a copy of [offset, offset + count) of another chain.
  // With a cursor the walk goes on where the last one began; its offsets must not go back.
  bool appendPart(Chain& chain, const Chain& from, int32_t offset, int32_t count,
                  ChainCursor* cursor = nullptr);

  // Drops `count` bytes from the front; chunks are given back as they become empty.
  void consume(Chain& chain, int32_t count);
  void clear(Chain& chain) {
    if (chain.bytes > 0) consume(chain, chain.bytes);
  }

  // Copies [offset, offset + count) out.
  void read(const Chain& chain, int32_t offset, int32_t count, uint8_t* to) const;

  // Fills up to `most` pieces from the front; returns how many.
  int32_t pieces(const Chain& chain, iovec* to, int32_t most) const;

  // Marks what the chain leads to; for check().
  void mark(const Chain& chain, std::vector<bool>& node_marks,
            std::vector<bool>& chunk_marks) const;

  // Calls node(number) and chunk(number) for all that the chain leads to, each before it is looked
  // at; they say whether that can be. False: it cannot, or the chain's words do not add up.
  template <class NodeOf, class ChunkOf>
  bool trace(const Chain& chain, NodeOf node, ChunkOf chunk) const {
    if (chain.bytes <= 0) return chain.bytes == 0;
    int64_t left = chain.bytes;
    int32_t number = chain.head;
    for (bool is_first = true;; is_first = false) {
      if (!node(number)) return false;
      const bool is_last = number == chain.tail;
      const int32_t at = is_first ? chain.start : nodes_[number].start;
      const int32_t end = is_last ? chain.end : nodes_[number].end;
      if (at < 0 || at > end || end > kNodeBytes || end - at > left) return false;
      for (int32_t i = at / kChunkBytes; i * kChunkBytes < end; ++i) {
        if (!chunk(nodes_[number].chunk[i])) return false;
      }
      left -= end - at;
      if (is_last) return left == 0;
      number = nodes_[number].next;
    }
  }

  // Whether the next byte that is appended opens a node.
  bool isFull(const Chain& chain) const { return chain.tail == 0 || chain.end == kNodeBytes; }
  // The node behind that one; behind none, the head.
  int32_t behind(const Chain& chain, int32_t node) const {
    return node == 0 ? chain.head : nodes_[node].next;
  }

  // Calls visit(node, at, count) for that node of the chain and all behind it.
  template <class Visit>
  void eachNode(const Chain& chain, int32_t node, Visit visit) const {
    for (bool is_last = false; !is_last; node = nodes_[node].next) {
      is_last = node == chain.tail;
      const int32_t at = node == chain.head ? chain.start : nodes_[node].start;
      visit(node, at, (is_last ? chain.end : nodes_[node].end) - at);
    }
  }

  // Calls visit(bytes, count) for pieces of bytes of any lane's, which only go on beyond a node that
  // is full. False: there can be none.
  template <class Visit>
  bool visitAt(int32_t node, int32_t at, int32_t count, Visit visit) const {
    while (count > 0) {
      if (!nodes.isUnit(node) || at < 0 || at > kNodeBytes) return false;
      if (at == kNodeBytes) {
        node = nodes_[node].next;
        at = 0;
        continue;
      }
      if (!chunks.isUnit(nodes_[node].chunk[at / kChunkBytes])) return false;
      const int32_t step = std::min(count, kChunkBytes - at % kChunkBytes);
      visit(byteAt(node, at), step);
      at += step;
      count -= step;
    }
    return count == 0;
  }

  // Calls visit(bytes, count) for each contiguous piece of [offset, offset + count).
  template <class Visit>
  void visit(const Chain& chain, int32_t offset, int32_t count, Visit visit,
             ChainCursor* cursor = nullptr) const {
    int32_t node = chain.head;
    int32_t at = chain.start;
    const int32_t wanted = offset;
    if (cursor != nullptr && cursor->node != 0) {
      node = cursor->node;
      at = cursor->at;
      offset -= cursor->offset;
    }
    bool found = false;
    while (count > 0) {
      const int32_t end = node == chain.tail ? chain.end : nodes_[node].end;
      if (offset >= end - at) {
        offset -= end - at;
        node = nodes_[node].next;
        at = nodes_[node].start;
        continue;
      }
      at += offset;
      offset = 0;
      if (!found && cursor != nullptr) *cursor = {node, at, wanted};
      found = true;
      const int32_t step = std::min({count, end - at, kChunkBytes - at % kChunkBytes});
      visit(byteAt(node, at), step);
      at += step;
      count -= step;
    }
  }

 private:
  uint8_t* byteAt(int32_t node, int32_t at) const {
    return chunks_ + static_cast<int64_t>(nodes_[node].chunk[at / kChunkBytes]) * kChunkBytes +
           at % kChunkBytes;
  }

  // Makes room for at least one byte behind the chain's end; returns how much, 0 when memory ran
  // out.
  int32_t openTail(Chain& chain, uint8_t** room) {
    if (chain.tail == 0 || chain.end == kNodeBytes) {
      if (!addNode(chain)) return 0;
    }
    if (chain.end % kChunkBytes == 0) {
      const int32_t chunk = chunks.take();
      if (chunk == 0) {
        if (chain.end == 0) dropEmptyTail(chain);
        return 0;
      }
      nodes_[chain.tail].chunk[chain.end / kChunkBytes] = chunk;
    }
    *room = byteAt(chain.tail, chain.end);
    return kChunkBytes - chain.end % kChunkBytes;
  }

  bool addNode(Chain& chain);
  bool renewHead(Chain& chain);
  void dropEmptyTail(Chain& chain);

  Node* nodes_ = nullptr;
  uint8_t* chunks_ = nullptr;
};

}  // namespace baton
