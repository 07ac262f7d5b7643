// Chunks of the pool, taken and given back as turns do it.
//
//   program UNITS ROUNDS      UNITS are taken in a turn, and given back in the next one
//
// Prints one line of JSON: nanoseconds for taking and giving a chunk, the longest turn that had to
// grow the pool, and how many chunks are missing at the end (0).
#include <ctime>

#include "lane-memory.h"

namespace {

double nowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int32_t units = atoi(argv[1]);
  const int64_t rounds = atoll(argv[2]);
  const int32_t batches = units / baton::UnitPool::kBatchUnits + 2;
  test::LaneMemory memory(1, batches, 1e12);
  baton::ChainStore store;
  memory.attach(store, 0);
  baton::UnitPool& chunks = store.chunks;
  std::vector<int32_t> held(static_cast<size_t>(units));
  double longest = 0, before = nowNs();
  for (int32_t i = 0; i < units; ++i) {  // the first time each batch is claimed and backed
    held[static_cast<size_t>(i)] = chunks.take();
    if (chunks.available() % baton::UnitPool::kBatchUnits != 0) continue;
    const double now = nowNs();
    longest = std::max(longest, now - before);
    before = now;
  }
  const auto giveAll = [&] {
    for (const int32_t unit : held) chunks.give(unit);
    chunks.settle();
  };
  giveAll();
  const double began = nowNs();
  for (int64_t round = 0; round < rounds; ++round) {
    for (int32_t& unit : held) unit = chunks.take();
    giveAll();
  }
  const double pairs = static_cast<double>(rounds) * units;
  printf("{\"ns\": %.2f, \"growth\": %.0f, \"missing\": %d}\n", (nowNs() - began) / pairs, longest,
         chunks.used());
  return 0;
}
