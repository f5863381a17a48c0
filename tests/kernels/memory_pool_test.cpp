// The pool: blocks of random sizes never overlap, merge when they come back, and serve again without asking the system.
#include "kernels/memory_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "kernels/error.h"

namespace echodiff {
namespace {

// With AddressSanitizer each block is the system's own, and none is held.
bool holds_segments() { return memory_statistics().held > 0; }

struct Taken {
  unsigned char* memory;
  int64_t bytes;
  unsigned char mark;
};

// Takes and gives back blocks of up to 2^18 bytes, `steps` times, each filled with a mark of its own.
void churn(uint32_t seed, int64_t steps) {
  std::mt19937 random(seed);
  std::vector<Taken> taken;
  for (int64_t i = 0; i < steps; ++i) {
    if (taken.size() < 40 && random() % 5 < 3) {
      const int64_t bytes = int64_t(random() % (1U << random() % 19));
      taken.push_back({static_cast<unsigned char*>(pool_take(bytes)), bytes, static_cast<unsigned char>(random())});
      ASSERT_EQ(reinterpret_cast<uintptr_t>(taken.back().memory) % 64, 0U);
      std::memset(taken.back().memory, taken.back().mark, size_t(bytes));
    } else if (!taken.empty()) {
      std::swap(taken[random() % taken.size()], taken.back());
      const Taken last = taken.back();
      taken.pop_back();
      ASSERT_TRUE(std::all_of(last.memory, last.memory + last.bytes, [&](unsigned char c) { return c == last.mark; }))
          << "a block of " << last.bytes << " bytes was written by another";
      pool_give(last.memory, last.bytes);
    }
  }
  for (const Taken& last : taken) pool_give(last.memory, last.bytes);
}

TEST(MemoryPool, BlocksNeverOverlap) {
  const int64_t before = memory_statistics().in_use;
  std::vector<std::thread> threads;
  for (uint32_t seed = 1; seed <= 3; ++seed) threads.emplace_back(churn, seed, 20000);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(memory_statistics().in_use, before);
}

TEST(MemoryPool, NeighboursMergeWhenTheyComeBack) {
  void* const warm = pool_take(int64_t{1} << 20);
  pool_give(warm, int64_t{1} << 20);
  if (!holds_segments()) GTEST_SKIP() << "each block is the system's own";
  // 64 pieces next to each other, given back in an order that merges with the left, the right and both.
  std::vector<void*> pieces;
  for (int i = 0; i < 64; ++i) pieces.push_back(pool_take(1 << 16));
  std::sort(pieces.begin(), pieces.end());
  const auto gap = [&](size_t i) { return static_cast<char*>(pieces[i]) - static_cast<char*>(pieces[i - 1]); };
  bool side_by_side = true;
  for (size_t i = 2; i < pieces.size(); ++i) side_by_side &= gap(i) == gap(1);
  const int64_t held = memory_statistics().held;
  for (const int first : {1, 0, 2, 3})
    for (int i = first; i < 64; i += 4) pool_give(pieces[size_t(i)], 1 << 16);
  if (!side_by_side) GTEST_SKIP() << "tests before this one in its process left holes, which the pieces filled";
  void* const whole = pool_take(int64_t{64} << 16);
  EXPECT_EQ(memory_statistics().held, held);
  EXPECT_EQ(whole, pieces[0]);
  pool_give(whole, int64_t{64} << 16);
}

TEST(MemoryPool, RoundsThatRepeatAskForNothing) {
  churn(7, 5000);
  const int64_t before = memory_statistics().system_allocations;
  for (int i = 0; i < 3; ++i) churn(7, 5000);
  EXPECT_EQ(memory_statistics().system_allocations, before);
}

TEST(MemoryPool, AbsurdSizesAreRefused) {
  for (const int64_t bytes : {int64_t{1} << 47, std::numeric_limits<int64_t>::max()}) {
    try {
      pool_take(bytes);
      FAIL() << bytes;
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::kOutOfMemory);
      EXPECT_NE(std::string(error.what()).find("wanted " + std::to_string(bytes)), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace echodiff
