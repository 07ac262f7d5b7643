// Shared memory as a lane finds it, but small and without a name: a memfd with the superblock, batch
// tables, nodes and chunks, and baton::segment set to it.
//
//   [superblock] [lane rows] [node batches | chunk batches] [extent: whatever a test lays there] [nodes] [chunks]
//
// One at a time: the segment is a process's only one.
#pragma once
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "chain.h"
#include "check.h"

namespace test {

constexpr double kNodeBatchBytes = baton::UnitPool::kBatchUnits * sizeof(baton::Node);
constexpr double kChunkBatchBytes = double{baton::UnitPool::kBatchUnits} * baton::kChunkBytes;

class LaneMemory {
 public:
  // `pool_bytes_max` is what node and chunk batches may hold together.
  LaneMemory(int32_t node_batches, int32_t chunk_batches, double pool_bytes_max,
             size_t extent_bytes = 0)
      : node_batches_(node_batches), chunk_batches_(chunk_batches) {
    const size_t batches = static_cast<size_t>(node_batches + chunk_batches) * sizeof(baton::Batch);
    extent_at_ = pages(kHeadBytes + batches);
    node_base_ = extent_at_ + pages(extent_bytes);
    chunk_base_ = node_base_ + pages(static_cast<size_t>(node_batches * kNodeBatchBytes));
    bytes_ = chunk_base_ + static_cast<size_t>(chunk_batches * kChunkBatchBytes);
    const int fd = memfd_create("baton-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes_)) == 0, "%zu bytes", bytes_);
    void* base = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    CHECK(base != MAP_FAILED, "%zu bytes", bytes_);
    baton::segment = {static_cast<uint8_t*>(base), bytes_, fd};
    superblock().pool_bytes_max = pool_bytes_max;
    superblock().lanes = kLanes;
  }

  ~LaneMemory() {
    munmap(baton::segment.base, bytes_);
    close(baton::segment.fd);
    baton::segment = {};
  }

  LaneMemory(const LaneMemory&) = delete;
  LaneMemory& operator=(const LaneMemory&) = delete;

  baton::Superblock& superblock() const { return *baton::segment.at<baton::Superblock>(0); }
  uint8_t* extent() const { return baton::segment.at<uint8_t>(extent_at_); }
  baton::Batch* nodeBatches() const {
    return baton::segment.at<baton::Batch>(kHeadBytes);
  }
  baton::LaneRow& row(int32_t lane) const { return rows()[lane]; }
  baton::Batch* chunkBatches() const { return nodeBatches() + node_batches_; }
  int32_t nodeBatchCount() const { return node_batches_; }
  int32_t chunkBatchCount() const { return chunk_batches_; }

  // As lane-binding.cc does it for a worker that starts on `lane`.
  void attach(baton::ChainStore& store, int32_t lane) const {
    store.nodes.attach(baton::kUnitClassNode, nodeBatches(), node_batches_, node_base_,
                       sizeof(baton::Node), lane, rows(), &superblock());
    store.chunks.attach(baton::kUnitClassChunk, chunkBatches(), chunk_batches_, chunk_base_,
                        baton::kChunkBytes, lane, rows(), &superblock());
    auto* nodes = baton::segment.at<baton::Node>(node_base_);
    store.nodes.adopt();
    store.chunks.adopt();
    store.attach(nodes, baton::segment.at<uint8_t>(chunk_base_));
  }

  // From here on only the first `batches` batches of chunks can be backed with memory.
  void exhaustAfter(int32_t batches) const {
    const double left_to_chunks = batches * kChunkBatchBytes;
    const auto left = static_cast<off_t>(chunk_base_ + static_cast<size_t>(left_to_chunks));
    CHECK(ftruncate(baton::segment.fd, left) == 0, "%d batches", batches);
    CHECK(fcntl(baton::segment.fd, F_ADD_SEALS, F_SEAL_GROW) == 0, "%d batches", batches);
  }

  // Bytes that the system has really given.
  double backedBytes() const {
    struct stat status = {};
    CHECK(fstat(baton::segment.fd, &status) == 0, "fstat");
    return static_cast<double>(status.st_blocks) * 512;
  }

  // What all lanes have booked.
  double bookedBytes() const {
    double bytes = 0;
    for (int32_t i = 0; i < kLanes; ++i) bytes += rows()[i].pool_bytes[0] + rows()[i].pool_bytes[1];
    return bytes;
  }

  // What the batches that somebody owns amount to; must be what is booked.
  double ownedBytes() const {
    return owned(nodeBatches(), node_batches_) * kNodeBatchBytes +
           owned(chunkBatches(), chunk_batches_) * kChunkBatchBytes;
  }

 private:
  static constexpr int32_t kLanes = 8;
  static constexpr size_t kHeadBytes = sizeof(baton::Superblock) + kLanes * sizeof(baton::LaneRow);

  baton::LaneRow* rows() const {
    return baton::segment.at<baton::LaneRow>(sizeof(baton::Superblock));
  }
  static int32_t owned(const baton::Batch* batches, int32_t count) {
    int32_t owned = 0;
    for (int32_t i = 0; i < count; ++i) owned += batches[i].owner != 0 ? 1 : 0;
    return owned;
  }
  static size_t pages(size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

  int32_t node_batches_, chunk_batches_;
  size_t extent_at_ = 0, node_base_ = 0, chunk_base_ = 0, bytes_ = 0;
};

// Free units in the batches that `lane` owns.
inline int32_t freeUnits(const baton::Batch* batches, int32_t count, int32_t lane) {
  int32_t units = 0;
  for (int32_t i = 0; i < count; ++i) {
    if (batches[i].owner == lane + 1) units += __builtin_popcountll(batches[i].free);
  }
  return units;
}

// A length that likes the edges of chunks and nodes.
inline int32_t streamLength(Dice& dice, int32_t most) {
  int32_t length;
  switch (dice.below(6)) {
    case 0: length = dice.below(20); break;
    case 1: length = dice.between(1, 40) * baton::kChunkBytes + dice.between(-2, 2); break;
    case 2: length = baton::ChainStore::kNodeBytes * dice.between(1, 2) + dice.between(-2, 2); break;
    case 3: length = dice.below(200'000); break;
    default: length = dice.below(6000);
  }
  return std::min(length, most);
}

// Bytes for a stream: any stretch of a random megabyte, which is cheaper than rolling each byte.
inline std::string streamBytes(Dice& dice, int32_t length) {
  static const std::string kSource = Dice(1).bytes(1 << 20);
  const auto size = static_cast<size_t>(length);
  return kSource.substr(dice.bits() % (kSource.size() - size), size);
}

inline std::string textOf(const baton::ChainStore& store, const baton::Chain& chain) {
  std::string text(static_cast<size_t>(chain.bytes), '\0');
  store.read(chain, 0, chain.bytes, reinterpret_cast<uint8_t*>(text.data()));
  return text;
}

}  // namespace test
