// Gradients of micro-batches, on one rank and on many: the same bits, in the order that micro_batches.h says. Ranks are
// threads here; tests/tools/ranks_test.cpp has them as processes under MPI.
#include "train/parallel/micro_batches.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "kernels/error.h"
#include "kernels/philox.h"
#include "tensor/autograd.h"
#include "tensor/ops.h"
#include "tests/train/parallel/thread_ranks.h"

namespace echodiff {
namespace {

constexpr int64_t kWidth = 37;

Tensor row(int64_t number) { return normal_rows({1, kWidth}, 5, {number}, {0}); }

struct Outcome {
  std::vector<double> gradient, moved, losses;
  bool operator==(const Outcome&) const = default;
};

// loss(m) = sum (w * row m)^2, and a buffer that each pass moves towards its row's.
Outcome one_rank(Communicator& ranks, int64_t count) {
  Tensor weight = row(99), unused = row(98), statistic = row(97).clone();
  weight.set_requires_grad(true);
  unused.set_requires_grad(true);
  const std::vector<Tensor> losses = backward_micro_batches(ranks, count, {{"weight", weight}, {"unused", unused}},
                                                            {{"statistic", statistic}}, [&](int64_t m) {
                                                              {
                                                                const NoGrad no_grad;
                                                                statistic.copy_from(statistic * 0.9 + row(m) * 0.1);
                                                              }
                                                              const Tensor y = weight * row(m);
                                                              return sum(y * y);
                                                            });
  Outcome outcome{weight.grad().to_vector(), statistic.to_vector(), {}};
  EXPECT_FALSE(unused.grad());
  for (const Tensor& loss : losses) outcome.losses.push_back(loss.item());
  return outcome;
}

std::vector<Outcome> on_threads(int64_t size, int64_t count) {
  Post post;
  std::vector<Outcome> outcomes(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      ThreadRank ranks(post, rank, size);
      outcomes[size_t(rank)] = one_rank(ranks, count);
    });
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

TEST(MicroBatches, EveryRankHasTheBitsOfOne) {
  for (const int64_t count : {2, 4, 8, 16}) {
    Communicator alone;
    const Outcome whole = one_rank(alone, count);
    ASSERT_EQ(int64_t(whole.losses.size()), count);
    for (int64_t size = 2; size <= count; size *= 2)
      for (const Outcome& outcome : on_threads(size, count)) EXPECT_EQ(outcome, whole) << size << " of " << count;
  }
}

TEST(MicroBatches, TheSumIsTheTreeAndTheMean) {
  Communicator alone;
  const Outcome whole = one_rank(alone, 4);
  const std::vector<double> weight = row(99).to_vector(), before = row(97).to_vector();
  std::vector<std::vector<double>> rows;
  for (int64_t m = 0; m < 4; ++m) rows.push_back(row(m).to_vector());
  for (size_t i = 0; i < size_t(kWidth); ++i) {
    double gradient = 0, moved = 0;
    for (const std::vector<double>& one : rows) {
      gradient += 2 * weight[i] * one[i] * one[i] / 4;
      moved += (0.9 * before[i] + 0.1 * one[i]) / 4;
    }
    EXPECT_NEAR(whole.gradient[i], gradient, 1e-5);
    EXPECT_NEAR(whole.moved[i], moved, 1e-6);
  }
  // Four leaves whose sum tells the order: (1e8 + 1) + (-1e8 + 1) is 0 in f32, ((1e8 + 1) - 1e8) + 1 is 1.
  Tensor one = full({1}, 1);
  one.set_requires_grad(true);
  const std::vector<double> slopes{4e8, 4, -4e8, 4};
  backward_micro_batches(alone, 4, {{"one", one}}, {}, [&](int64_t m) { return sum(one * slopes[size_t(m)]); });
  EXPECT_EQ(one.grad().item(), 0);
}

TEST(MicroBatches, ThreeAreAddedTooAndAnErrorLeavesTheBuffers) {
  Communicator alone;
  EXPECT_EQ(one_rank(alone, 3).losses.size(), 3u);
  Tensor weight = row(99), statistic = row(97).clone();
  weight.set_requires_grad(true);
  const std::vector<double> before = statistic.to_vector();
  const auto fails_late = [&](int64_t m) -> Tensor {
    const NoGrad no_grad;
    statistic.copy_from(row(m));
    if (m == 1) throw Error(Fault::kInternal, "late");
    return sum(weight * weight);
  };
  EXPECT_THROW(backward_micro_batches(alone, 2, {{"weight", weight}}, {{"statistic", statistic}}, fails_late),
               std::exception);
  EXPECT_EQ(statistic.to_vector(), before);
}

TEST(MicroBatches, OfRanksTheyMustBeAPowerOfTwo) {
  Post post;
  const ThreadRank second(post, 1, 4);
  EXPECT_EQ(own_micro_batches(second, 8).first, 2);
  EXPECT_EQ(own_micro_batches(second, 8).own, 2);
  for (const int64_t count : {1, 2, 6, 12}) EXPECT_THROW(own_micro_batches(second, count), Error) << count;
  EXPECT_THROW(ThreadRank(post, 0, 3), Error);
}

class Environment : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const std::string& name : set_) ::unsetenv(name.c_str());
  }
  void set(const std::string& name, const std::string& value) {
    ::setenv(name.c_str(), value.c_str(), 1);
    set_.push_back(name);
  }
  std::vector<std::string> set_;
};

TEST_F(Environment, TellsTheRanks) {
  EXPECT_EQ(launch_of_environment().size, 1);
  set("SLURM_PROCID", "0");  // a batch script has these, and is one process
  set("SLURM_NTASKS", "4");
  EXPECT_EQ(launch_of_environment().size, 1);
  set("SLURM_STEP_ID", "0");
  EXPECT_EQ(launch_of_environment().size, 4);
  set("RANK", "3");
  set("WORLD_SIZE", "8");
  set("LOCAL_RANK", "1");
  EXPECT_EQ(launch_of_environment().rank, 3);
  EXPECT_EQ(launch_of_environment().local_rank, 1);
  EXPECT_FALSE(launch_of_environment().by_mpi);
  EXPECT_THROW(make_communicator([] { return false; }, Device::kCpu), Error);
  set("OMPI_COMM_WORLD_RANK", "1");
  set("OMPI_COMM_WORLD_SIZE", "2");
  EXPECT_EQ(launch_of_environment().rank, 1);
  EXPECT_TRUE(launch_of_environment().by_mpi);
  set("OMPI_COMM_WORLD_RANK", "2");
  EXPECT_THROW(launch_of_environment(), Error);
  set("OMPI_COMM_WORLD_RANK", "two");
  EXPECT_THROW(launch_of_environment(), Error);
}

}  // namespace
}  // namespace echodiff
