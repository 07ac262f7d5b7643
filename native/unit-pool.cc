#include "fault.h"
#include "unit-pool.h"

#include <algorithm>

namespace baton {

namespace {
constexpr uint64_t kAllFree = ~uint64_t{0};
}

void UnitPool::attach(UnitClass_ unit_class, Batch* batches, int32_t count, uint64_t unit_base,
                      int32_t unit_bytes, int32_t lane, LaneRow* rows,
                      const Superblock* superblock) {
  class_ = unit_class;
  batches_ = batches;
  count_ = count;
  unit_base_ = unit_base;
  unit_bytes_ = unit_bytes;
  lane_ = lane;
  rows_ = rows;
  superblock_ = superblock;
}

void UnitPool::adopt() {
  open_.clear();
  given_.clear();
  current_ = -1;
  available_ = used_ = free_batches_ = low_free_ = 0;
  int32_t owned = 0;
  for (int32_t i = 0; i < count_; ++i) {
    const Batch& batch = batches_[i];
    if (batch.owner != lane_ + 1) continue;
    ++owned;
    const int32_t free = __builtin_popcountll(batch.free);
    available_ += free;
    used_ += kBatchUnits - free - (i == 0 ? 1 : 0);  // unit 0 is nobody's
    if (free > 0) open_.push_back(i);
    if (batch.free == kAllFree) ++free_batches_;
  }
  rows_[lane_].pool_bytes[class_] = static_cast<double>(owned) * kBatchUnits * unit_bytes_;
  lookAtBooked();
}

bool UnitPool::nextBatch() {
  if (open_.empty() && !takeBatch()) return false;
  current_ = open_.back();
  open_.pop_back();
  if (batches_[current_].free == kAllFree) --free_batches_;
  return true;
}

bool UnitPool::grow(int32_t units) {
  while (available_ < units) {
    if (!takeBatch()) return false;
  }
  return true;
}

// Claims a batch nobody owns and backs it with memory. Unit 0 is never handed out: 0 means none.
bool UnitPool::takeBatch() {
  const double bytes = static_cast<double>(kBatchUnits) * unit_bytes_;
  if (!charge(bytes)) return false;
  for (int32_t i = 0; i < count_; ++i) {
    const int32_t index = cursor_;
    cursor_ = cursor_ + 1 == count_ ? 0 : cursor_ + 1;
    Batch& batch = batches_[index];
    int32_t nobody = 0;
    if (batch.owner != 0 || !__atomic_compare_exchange_n(&batch.owner, &nobody, lane_ + 1, false,
                                                         __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
      continue;
    FAULT(BatchClaimed);
    const uint64_t offset = unit_base_ + static_cast<uint64_t>(index) * kBatchUnits * unit_bytes_;
    if (segment.grow(offset, static_cast<uint64_t>(bytes)) < 0) {
      __atomic_store_n(&batch.owner, 0, __ATOMIC_RELEASE);
      break;
    }
    FAULT(BatchBacked);
    batch.class_ = class_;
    batch.free = index == 0 ? kAllFree - 1 : kAllFree;
    available_ += __builtin_popcountll(batch.free);
    if (batch.free == kAllFree) ++free_batches_;
    open_.push_back(index);
    FAULT(BatchReady);
    return true;
  }
  charge(-bytes);
  return false;
}

// Books memory against shm_max; false when it would be exceeded. Each lane has a word of its own,
// which a new owner makes from the batches: one word for all could not be told after a death. Of two
// lanes that book the last batch at once one gets it, or neither.
bool UnitPool::charge(double bytes) {
  rows_[lane_].pool_bytes[class_] += bytes;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  lookAtBooked();
  if (bytes < 0 || booked_ <= superblock_->pool_bytes_max) return true;
  rows_[lane_].pool_bytes[class_] -= bytes;
  booked_ -= bytes;
  return false;
}

void UnitPool::lookAtBooked() {
  booked_ = 0;
  for (int32_t i = 0; i < superblock_->lanes; ++i) {
    for (const double& bytes : rows_[i].pool_bytes) {
      double booked;
      __atomic_load(&bytes, &booked, __ATOMIC_RELAXED);
      booked_ += booked;
    }
  }
}

void UnitPool::settle() {
  for (const int32_t unit : given_) {
    const int32_t index = unit / kBatchUnits;
    Batch& batch = batches_[index];
    const bool was_full = batch.free == 0;
    batch.free |= uint64_t{1} << (unit % kBatchUnits);
    if (was_full) open_.push_back(index);
    if (batch.free == kAllFree && index != current_) ++free_batches_;
  }
  const auto count = static_cast<int32_t>(given_.size());
  available_ += count;
  used_ -= count;
  given_.clear();
  low_free_ = std::min(low_free_, free_batches_);
}

// Gives back what has not been needed since the last call. A few batches at a time: giving memory
// back takes the kernel longer than a turn should, and taking it again costs clearing every page.
void UnitPool::trim() {
  int32_t left = std::min(low_free_ - kSpareBatches, kReleaseMax);
  for (size_t i = 0; i < open_.size() && left > 0;) {
    if (batches_[open_[i]].free != kAllFree) {
      ++i;
      continue;
    }
    --left;
    release(open_[i]);
    open_[i] = open_.back();
    open_.pop_back();
  }
  low_free_ = free_batches_;
  lookAtBooked();
}

void UnitPool::release(int32_t index) {
  Batch& batch = batches_[index];
  batch.free = 0;  // nothing can be had of it, whoever owns it
  segment.release(unit_base_ + static_cast<uint64_t>(index) * kBatchUnits * unit_bytes_,
                  static_cast<uint64_t>(kBatchUnits) * unit_bytes_);
  available_ -= kBatchUnits;
  --free_batches_;
  cursor_ = std::min(cursor_, index);
  charge(-static_cast<double>(kBatchUnits) * unit_bytes_);
  __atomic_store_n(&batch.owner, 0, __ATOMIC_RELEASE);
}

void UnitPool::releaseAll() {
  for (int32_t i = 0; i < count_; ++i) {
    if (batches_[i].owner == lane_ + 1) release(i);
  }
  open_.clear();
  given_.clear();
  current_ = -1;
  available_ = used_ = free_batches_ = 0;
}

void UnitPool::rebuild(const std::vector<bool>& reachable) {
  for (int32_t i = 0; i < count_; ++i) {
    Batch& batch = batches_[i];
    if (batch.owner != lane_ + 1) continue;
    // The owner before may have died before he had backed a batch that he had just claimed: he had
    // not said yet that anything of it is free.
    if (batch.free == 0) {
      segment.grow(unit_base_ + static_cast<uint64_t>(i) * kBatchUnits * unit_bytes_,
                   static_cast<uint64_t>(kBatchUnits) * unit_bytes_);
    }
    batch.class_ = class_;
    uint64_t free = i == 0 ? kAllFree - 1 : kAllFree;
    for (int32_t bit = 0; bit < kBatchUnits; ++bit) {
      if (reachable[static_cast<size_t>(i * kBatchUnits + bit)]) free &= ~(uint64_t{1} << bit);
    }
    batch.free = free;
  }
  adopt();
}

int32_t UnitPool::compare(const std::vector<bool>& reachable) const {
  int32_t wrong = 0;
  for (int32_t i = 0; i < count_; ++i) {
    if (batches_[i].owner != lane_ + 1) continue;
    for (int32_t bit = i == 0 ? 1 : 0; bit < kBatchUnits; ++bit) {
      const bool free = (batches_[i].free >> bit & 1) != 0;
      if (free == reachable[static_cast<size_t>(i * kBatchUnits + bit)]) ++wrong;
    }
  }
  return wrong;
}

int32_t UnitPool::countFreeOf(const std::vector<bool>& reachable) const {
  int32_t wrong = 0;
  for (size_t unit = 1; unit < reachable.size(); ++unit) {
    if (!reachable[unit]) continue;
    const uint64_t free = batches_[unit / kBatchUnits].free;
    wrong += static_cast<int32_t>(free >> unit % kBatchUnits & 1);
  }
  return wrong;
}

}  // namespace baton
