// A turn is a transaction: before a committed row changes, its bytes are kept here; one word
// commits.
//
//   journal:  [offset|bytes|row image] [offset|bytes|row image] …        used ──
//   lane_head.journal_used
//
// To change a row: write its image behind the last one, store the new `used`, then change the row
// in place. To commit: store used = 0. Whoever finds used > 0 in a lane without an owner copies the
// images back, last first, and the turn never happened; doing so twice is harmless. Nothing of an
// open turn reaches send(2), so the wire can never be ahead of a row. Why images and not a redo
// record of new values: docs/adr/0003.
//
// What needs no image: bytes and rows that no committed word leads to (behind a chain's end, beyond
// a list's tail), and counters.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "fault.h"
#include "layout.gen.h"

namespace baton {

// False in a build that only bench/compare uses (scripts/build.mjs --unsafe): nothing is done in a
// turn that only a successor of a dead worker needs, which tells what that costs.
#ifdef BATON_UNSAFE
constexpr bool kCrashSafe = false;
#else
constexpr bool kCrashSafe = true;
#endif

// Keeps stores in program order: all that a SIGKILL on the same machine can see.
inline void storeBarrier() {
  if (kCrashSafe) asm volatile("" ::: "memory");
}

// A word that tells a next owner where this one is: stored now, whatever the compiler thinks.
inline void mark(int32_t& word, int32_t value) {
  storeBarrier();
  *const_cast<volatile int32_t*>(&word) = value;
  storeBarrier();
}

class Journal {
 public:
  void attach(LaneHead* head, uint8_t* base, uint8_t* lane_base, int32_t capacity) {
    head_ = head;
    base_ = base;
    lane_base_ = lane_base;
    capacity_ = capacity;
  }

  // To be called before the first change of a row in a turn; later calls cost one compare.
  template <class Row>
  Row& touch(Row& row) {
    if (row.imaged != head_->turn) {
      keep(&row, sizeof(Row));
      row.imaged = head_->turn;
    }
    return row;
  }

  template <class Row>
  bool isTouched(const Row& row) const {
    return row.imaged == head_->turn;
  }

  // A row that no committed word leads to needs no image, in this turn or at all.
  template <class Row>
  void adopt(Row& row) {
    row.imaged = head_->turn;
  }

  // Words that are no row's; once a turn.
  void keepWord(int32_t& word) { keep(&word, sizeof word); }
  void keepBytes(const uint8_t* from, int32_t bytes) { keep(from, bytes); }

  // Everything since the last commit becomes true.
  // The turn's number goes on first: were it the other way round, a death in between would leave a
  // turn open whose rows claim to be imaged and are not. 0 is nobody's turn.
  void commit() {
    if (!kCrashSafe) return nextTurn();
    *const_cast<volatile int32_t*>(&head_->closing) = head_->turn;
    nextTurn();
    FAULT(TurnBumped);
    *const_cast<volatile int32_t*>(&head_->journal_used) = 0;
    storeBarrier();
    *const_cast<volatile int32_t*>(&head_->closing) = 0;
    storeBarrier();
  }

  int32_t used() const { return head_->journal_used; }

  // The turn that no commit has closed. One that was cut short has moved the number on, and not
  // emptied the journal.
  int32_t openTurn() const {
    return head_->journal_used > 0 && head_->closing != 0 ? head_->closing : head_->turn;
  }
  int64_t images() const { return images_; }  // kept so far, by this owner

  // Shows every row that has an image: void(const uint8_t* row).
  template <class Visit>
  void visit(Visit visit) const {
    for (int32_t used = head_->journal_used; used > 0;) {
      Entry entry;
      memcpy(&entry, base_ + used - sizeof entry, sizeof entry);
      used -= static_cast<int32_t>(entry.bytes + sizeof entry);
      visit(lane_base_ + entry.offset);
    }
  }

  // Whether the images add up: each within the tables, which lie before the journal, and the first
  // one at its beginning. A mark without bytes may be the first (src/shm/bring-lane.ts).
  bool isSound() const {
    int64_t used = head_->journal_used;
    if (used < 0 || used > capacity_) return false;
    while (used >= static_cast<int64_t>(sizeof(Entry))) {
      Entry entry;
      memcpy(&entry, base_ + used - sizeof entry, sizeof entry);
      used -= static_cast<int64_t>(entry.bytes + sizeof entry);
      const bool is_mark = entry.bytes == 0 && used == 0;
      const bool is_row = entry.bytes > 0 && static_cast<int64_t>(entry.offset) + entry.bytes <=
                                                 base_ - lane_base_;
      if (!is_mark && !is_row) return false;
    }
    return used == 0;
  }

  // Puts every row back as it was at the last commit. Every owner that did not see that commit
  // itself calls it first; if it dies on the way, the next one calls it again.
  void rollBack();

 private:
  struct Entry {
    uint32_t offset;  // bytes from the lane's extent
    uint32_t bytes;
  };

  void nextTurn() {
    storeBarrier();
    *const_cast<volatile int32_t*>(&head_->turn) = head_->turn == INT32_MAX ? 1 : head_->turn + 1;
    storeBarrier();
  }

  void keep(const void* row, int32_t bytes) {
    if (!kCrashSafe) return;
    // Each row is imaged once a turn and the region has room for all rows (src/shm/plan.ts).
    if (__builtin_expect(
            head_->journal_used + bytes + static_cast<int32_t>(sizeof(Entry)) > capacity_, 0))
      abort();
    ++images_;
    uint8_t* at = base_ + head_->journal_used;
    const Entry entry = {static_cast<uint32_t>(static_cast<const uint8_t*>(row) - lane_base_),
                         static_cast<uint32_t>(bytes)};
    memcpy(at, row, static_cast<size_t>(bytes));
    memcpy(at + bytes, &entry,
           sizeof entry);  // behind its image, so that it can be walked last first
    storeBarrier();
    FAULT(ImageWritten);
    *const_cast<volatile int32_t*>(&head_->journal_used) =
        head_->journal_used + bytes + static_cast<int32_t>(sizeof entry);
    storeBarrier();
  }

  LaneHead* head_ = nullptr;
  uint8_t* base_ = nullptr;
  uint8_t* lane_base_ = nullptr;
  int32_t capacity_ = 0;
  int64_t images_ = 0;
};

inline void Journal::rollBack() {
  int32_t used = head_->journal_used;
  while (used > 0) {
    Entry entry;
    memcpy(&entry, base_ + used - sizeof entry, sizeof entry);
    used -= static_cast<int32_t>(entry.bytes + sizeof entry);
    memcpy(lane_base_ + entry.offset, base_ + used, entry.bytes);
    storeBarrier();
    FAULT(ImageRestored);
    *const_cast<volatile int32_t*>(&head_->journal_used) = used;
  }
  nextTurn();  // rows adopted in the undone turn must not pass for imaged in the next one
}

}  // namespace baton
