#include "chain.h"

namespace baton {

bool ChainStore::addNode(Chain& chain) {
  const int32_t fresh = nodes.take();
  if (fresh == 0) return false;
  nodes_[fresh].start = 0;
  if (chain.tail == 0) {
    chain.head = fresh;
    chain.start = 0;
  } else {
    nodes_[chain.tail].end = chain.end;
    nodes_[chain.tail].next = fresh;
  }
  chain.tail = fresh;
  chain.end = 0;
  return true;
}

// A chain never ends in a node without bytes: consume() could not tell it from one not yet begun.
void ChainStore::dropEmptyTail(Chain& chain) {
  nodes.give(chain.tail);
  if (chain.head == chain.tail) {
    chain = {};
    return;
  }
  int32_t before = chain.head;
  while (nodes_[before].next != chain.tail) before = nodes_[before].next;
  chain.tail = before;
  chain.end = nodes_[before].end;
}

// A head becomes a node within a chain, where its own start counts. It may have been within one when
// this turn began: if the turn is undone it will be there again. So a copy takes its place.
bool ChainStore::renewHead(Chain& chain) {
  const int32_t fresh = nodes.take();
  if (fresh == 0) return false;
  nodes_[fresh] = nodes_[chain.head];
  nodes_[fresh].start = chain.start;
  nodes.give(chain.head);
  if (chain.tail == chain.head) chain.tail = fresh;
  chain.head = fresh;
  return true;
}

bool ChainStore::appendChain(Chain& chain, Chain& from) {
  if (from.bytes == 0) return true;
  if (from.bytes <= kCopyRather) {
    if (!appendPart(chain, from, 0, from.bytes)) return false;
    clear(from);
    return true;
  }
  if (chain.tail == 0) {
    chain = from;
  } else {
    if (nodes_[from.head].start != from.start && !renewHead(from)) return false;
    nodes_[chain.tail].end = chain.end;
    nodes_[chain.tail].next = from.head;
    chain.tail = from.tail;
    chain.end = from.end;
    chain.bytes += from.bytes;
  }
  from = {};
  return true;
}

bool ChainStore::appendPart(Chain& chain, const Chain& from, int32_t offset, int32_t count,
                            ChainCursor* cursor) {
  bool whole = true;
  visit(
      from, offset, count,
      [&](const uint8_t* bytes, int32_t step) { whole = whole && append(chain, bytes, step); },
      cursor);
  return whole;
}

void ChainStore::consume(Chain& chain, int32_t count) {
  chain.bytes -= count;
  while (count > 0) {
    Node& node = nodes_[chain.head];
    const bool last = chain.head == chain.tail;
    const int32_t end = last ? chain.end : node.end;
    const int32_t step = std::min(count, end - chain.start);
    const bool emptied = chain.start + step == end;
    const int32_t first = chain.start / kChunkBytes;
    const int32_t beyond =
        emptied ? (end + kChunkBytes - 1) / kChunkBytes : (chain.start + step) / kChunkBytes;
    for (int32_t i = first; i < beyond; ++i) chunks.give(node.chunk[i]);
    chain.start += step;
    count -= step;
    if (!emptied) continue;
    nodes.give(chain.head);
    if (last) {
      chain = {};
      return;
    }
    chain.head = node.next;
    chain.start = nodes_[chain.head].start;
  }
}

void ChainStore::read(const Chain& chain, int32_t offset, int32_t count, uint8_t* to) const {
  visit(chain, offset, count, [&](const uint8_t* bytes, int32_t step) {
    memcpy(to, bytes, static_cast<size_t>(step));
    to += step;
  });
}

int32_t ChainStore::pieces(const Chain& chain, iovec* to, int32_t most) const {
  int32_t filled = 0;
  int32_t node = chain.head;
  int32_t at = chain.start;
  int32_t left = chain.bytes;
  while (left > 0 && filled < most) {
    const int32_t end = node == chain.tail ? chain.end : nodes_[node].end;
    if (at == end) {
      node = nodes_[node].next;
      at = nodes_[node].start;
      continue;
    }
    const int32_t step = std::min(end - at, kChunkBytes - at % kChunkBytes);
    to[filled++] = {byteAt(node, at), static_cast<size_t>(step)};
    at += step;
    left -= step;
  }
  return filled;
}

void ChainStore::mark(const Chain& chain, std::vector<bool>& node_marks,
                      std::vector<bool>& chunk_marks) const {
  const auto into = [](std::vector<bool>& marks) {
    return [&marks](int32_t unit) { return marks[static_cast<size_t>(unit)] = true; };
  };
  trace(chain, into(node_marks), into(chunk_marks));
}

}  // namespace baton
