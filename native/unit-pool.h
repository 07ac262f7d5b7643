// Nodes and chunks, taken in batches of 64 by lanes and one by one within a lane.
//
//   batch table:  [owner lane | class | free bits 63..0]  one row per 64 units of a class
//
// A batch belongs to one lane (owner, changed by compare and swap) or to nobody. Its owner takes
// and frees units with plain stores to the free bits. Units freed in a turn stay as they are until
// the turn is committed: space freed in an open turn is not space, because a roll back would need
// it again. A batch that is wholly free goes back to the instance, and its memory to the system,
// when the lane holds more than it needs. After a crash the bits are rebuilt from the rows that
// lead to units.
#pragma once
#include <cstdint>
#include <vector>

#include "layout.gen.h"
#include "segment.h"

namespace baton {

class UnitPool {
 public:
  static constexpr int32_t kBatchUnits = 64;
  static constexpr int32_t kReleaseMax = 32;   // batches given back per trim
  static constexpr int32_t kSpareBatches = 8;  // wholly free batches a lane keeps to itself

  // `rows`: of all lanes.
  void attach(UnitClass_ unit_class, Batch* batches, int32_t count, uint64_t unit_base,
              int32_t unit_bytes, int32_t lane, LaneRow* rows, const Superblock* superblock);

  // Makes the private lists, and what is booked, from the batches that are the lane's: a new owner's
  // first step.
  void adopt();

  // Makes the free bits from what rows lead to, where an owner died over them; adopts, too.
  void rebuild(const std::vector<bool>& reachable);

  // A unit's row, 0 when shm_max or /dev/shm is exhausted. The caller owns it from now on.
  int32_t take() {
    if (current_ < 0 && !nextBatch()) return 0;
    Batch& batch = batches_[current_];
    const int32_t bit = __builtin_ctzll(batch.free);
    batch.free &= batch.free - 1;
    --available_;
    ++used_;
    const int32_t unit = current_ * kBatchUnits + bit;
    if (batch.free == 0) current_ = -1;
    return unit;
  }

  // Frees at the next commit.
  void give(int32_t unit) { given_.push_back(unit); }

  // What was given back becomes space; to be called after a commit.
  void settle();

  // Gives memory back that has not been needed since the last call; to be called now and then.
  void trim();

  // True when `units` can be taken without failing.
  bool reserve(int32_t units) { return available_ >= units || grow(units); }

  // Bytes that could be taken at most: free units of the lane, and what shm_max left when somebody
  // looked last.
  double freeBytes() const {
    return static_cast<double>(available_) * unit_bytes_ + superblock_->pool_bytes_max - booked_;
  }

  int32_t used() const { return used_ - static_cast<int32_t>(given_.size()); }
  int32_t available() const { return available_; }

  // Units marked as reachable against the free bits; returns how many differ.
  int32_t compare(const std::vector<bool>& reachable) const;
  // The same without those that are marked neither way: how many are led to and free.
  int32_t countFreeOf(const std::vector<bool>& reachable) const;
  int32_t capacity() const { return count_ * kBatchUnits; }
  bool isUnit(int32_t unit) const { return unit > 0 && unit < capacity(); }  // anybody's
  bool owns(int32_t unit) const {
    return isUnit(unit) && batches_[unit / kBatchUnits].owner == lane_ + 1;
  }
  // Gives every batch back: a clean end of the lane.
  void releaseAll();

 private:
  bool nextBatch();
  bool grow(int32_t units);
  bool takeBatch();
  void release(int32_t batch);
  bool charge(double bytes);
  void lookAtBooked();

  Batch* batches_ = nullptr;
  int32_t count_ = 0;
  UnitClass_ class_ = kUnitClassNode;
  int32_t unit_bytes_ = 0;
  uint64_t unit_base_ = 0;
  int32_t lane_ = 0;
  LaneRow* rows_ = nullptr;
  const Superblock* superblock_ = nullptr;
  double booked_ = 0;     // by all lanes, as of the last look
  int32_t current_ = -1;  // batch that units are taken from
  int32_t cursor_ = 0;    // where the search for a batch nobody owns begins
  int32_t available_ = 0;
  int32_t used_ = 0;
  int32_t low_free_ = 0;       // fewest wholly free batches since the last trim
  int32_t free_batches_ = 0;   // wholly free ones in open_
  std::vector<int32_t> open_;  // batches with free units, not current
  std::vector<int32_t> given_;
};

}  // namespace baton
