// The thread pool: each piece once, exceptions, nesting, and changing the count.
#include "kernels/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "kernels/error.h"

namespace echodiff {
namespace {

class ThreadPool : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_thread_count(GetParam()); }
  void TearDown() override { set_thread_count(before_); }

 private:
  int before_ = thread_count();
};

TEST_P(ThreadPool, RunsEachPieceOnce) {
  for (const int64_t n : {0, 1, 2, 1000}) {
    std::vector<std::atomic<int>> counts(static_cast<size_t>(n));
    parallel_for(n, [&](int64_t i) { ++counts[size_t(i)]; });
    for (const std::atomic<int>& count : counts) EXPECT_EQ(count, 1);
  }
}

TEST_P(ThreadPool, RangesCoverWithoutOverlap) {
  std::vector<int> counts(103, 0);
  parallel_ranges(103, 10, [&](int64_t begin, int64_t end) {
    EXPECT_LE(end - begin, 10);
    for (int64_t i = begin; i < end; ++i) ++counts[size_t(i)];
  });
  for (const int count : counts) EXPECT_EQ(count, 1);
}

TEST_P(ThreadPool, RethrowsAndGoesOn) {
  for (int round = 0; round < 20; ++round) {
    EXPECT_THROW(parallel_for(50,
                              [](int64_t i) {
                                if (i == 17) throw std::runtime_error("17");
                              }),
                 std::runtime_error);
    std::atomic<int64_t> sum{0};
    parallel_for(50, [&](int64_t i) { sum += i; });
    EXPECT_EQ(sum, 1225);
  }
}

TEST_P(ThreadPool, NestedCallsRunHere) {
  std::atomic<int64_t> sum{0};
  parallel_for(8, [&](int64_t) { parallel_for(8, [&](int64_t j) { sum += j; }); });
  EXPECT_EQ(sum, 8 * 28);
}

INSTANTIATE_TEST_SUITE_P(Counts, ThreadPool, ::testing::Values(1, 2, 5));

TEST(ThreadPoolCount, RefusesLessThanOne) { EXPECT_THROW(set_thread_count(0), Error); }

}  // namespace
}  // namespace echodiff
