// What a step is made from, drawn ahead: the same tensors in any order, by another thread, from memory that is written
// only when the device has read it.
#include "train/data/prefetch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cuda/fake/fake_cuda.h"
#include "kernels/cuda/backend.h"
#include "kernels/error.h"
#include "tensor/observe.h"

namespace echodiff {
namespace {

constexpr int64_t kSteps = 6;

// 100 n + 0, 1, .. and its double
std::vector<Tensor> draw(int64_t n) {
  std::vector<double> values, doubles;
  for (int64_t i = 0; i < 24; ++i) values.push_back(double(100 * n + i)), doubles.push_back(2 * values.back());
  return {from_vector({2, 3, 2, 2}, values), from_vector({4, 6}, doubles)};
}

void expect_step(const std::vector<Tensor>& there, int64_t n) {
  const std::vector<Tensor> here = draw(n);
  ASSERT_EQ(there.size(), here.size());
  for (size_t i = 0; i < here.size(); ++i) {
    EXPECT_EQ(there[i].device(), Device::kCuda);
    EXPECT_EQ(there[i].shape(), here[i].shape());
    EXPECT_EQ(there[i].to_vector(), here[i].to_vector()) << "step " << n;
  }
}

class DevicePrefetch : public ::testing::Test {
 protected:
  void SetUp() override { fake_cuda::reset(); }
  void TearDown() override {
    cuda::close_context();
    EXPECT_EQ(fake_cuda::live_allocations(), 0);
    EXPECT_EQ(fake_cuda::live_objects(), 0);
    EXPECT_EQ(fake_cuda::misuses(), std::vector<std::string>());
  }
};

// No step is read before the last was begun: whoever writes to a place too early is noticed by the fake.
TEST_F(DevicePrefetch, EveryStepIsWhatWasDrawnAndNobodyWaits) {
  const StepTensors ahead = drawn_ahead(draw, kSteps, Device::kCuda);
  std::vector<std::vector<Tensor>> steps;
  const SyncCounter counter;
  for (int64_t n = 0; n < kSteps; ++n) {
    steps.push_back(ahead(n));
    const bool drawing_ahead = n + 1 < kSteps;  // then the step before has been waited for, and this one has not
    EXPECT_EQ(fake_cuda::pinned_copies_under_way(), drawing_ahead ? 2 : 4) << "step " << n;
  }
  EXPECT_EQ(counter.total(), 0);
  for (int64_t n = 0; n < kSteps; ++n) expect_step(steps[size_t(n)], n);
}

TEST_F(DevicePrefetch, TheNextStepIsDrawnByAnotherThreadAndNoneAfterTheLast) {
  std::atomic<int64_t> greatest{-1};
  std::atomic<bool> elsewhere{true};
  const std::thread::id here = std::this_thread::get_id();
  {
    const StepTensors ahead = drawn_ahead(
        [&](int64_t n) {
          if (std::this_thread::get_id() == here) elsewhere = false;
          greatest = n;
          return draw(n);
        },
        2, Device::kCuda);
    expect_step(ahead(0), 0);
    while (greatest < 1) std::this_thread::yield();  // nobody has asked for it
    expect_step(ahead(1), 1);
  }
  EXPECT_EQ(greatest, 1);
  EXPECT_TRUE(elsewhere);
}

TEST_F(DevicePrefetch, AnyStepMayBeAskedForAgain) {
  const StepTensors ahead = drawn_ahead(draw, kSteps, Device::kCuda);
  for (const int64_t n : {0, 0, 3, 1, 2, 5, 5, 4}) expect_step(ahead(n), n);
}

TEST_F(DevicePrefetch, AnErrorOfADrawComesWhereItsStepIsAskedFor) {
  bool failing = true;
  const StepTensors ahead = drawn_ahead(
      [&](int64_t n) {
        if (n == 1 && failing) throw std::runtime_error("no picture");
        return draw(n);
      },
      kSteps, Device::kCuda);
  expect_step(ahead(0), 0);
  EXPECT_THROW(ahead(1), std::runtime_error);
  failing = false;
  expect_step(ahead(1), 1);
}

TEST_F(DevicePrefetch, GoesOnAfterAStepWithoutMemory) {
  const StepTensors ahead = drawn_ahead(draw, kSteps, Device::kCuda);
  cuda::context();
  fake_cuda::fail_call(3,
                       fake_cuda::Failure::memory);  // the second buffer's memory, after the first's memory and event
  EXPECT_THROW(ahead(0), Error);
  for (const int64_t n : {0, 1, 2}) expect_step(ahead(n), n);
}

TEST_F(DevicePrefetch, StepsOfOtherShapesAreRefused) {
  const StepTensors ahead =
      drawn_ahead([](int64_t n) { return std::vector<Tensor>{zeros({n < 2 ? 3 : 4})}; }, kSteps, Device::kCuda);
  ahead(0), ahead(1);
  EXPECT_THROW(ahead(2), Error);
}

TEST_F(DevicePrefetch, EachCallMayFail) {
  const auto scenario = [] {
    const StepTensors ahead = drawn_ahead(draw, kSteps, Device::kCuda);
    for (int64_t n = 0; n < kSteps; ++n) ahead(n);
  };
  scenario();
  fake_cuda::reset();
  scenario();
  const std::vector<std::string> names = fake_cuda::call_names();
  ASSERT_GT(names.size(), 30u);
  for (const fake_cuda::Failure how : {fake_cuda::Failure::memory, fake_cuda::Failure::sticky}) {
    for (size_t k = 1; k <= names.size(); ++k) {
      fake_cuda::reset();
      fake_cuda::fail_call(int64_t(k), how);
      bool thrown = false;
      try {
        scenario();
      } catch (const Error&) {
        thrown = true;
      }
      const bool releases = names[k - 1].find("Free") != std::string::npos ||
                            names[k - 1].find("Destroy") != std::string::npos || k + 16 > names.size();
      EXPECT_TRUE(thrown || releases) << names[k - 1] << ", call " << k << ": nobody noticed";
      EXPECT_EQ(cuda::device_statistics().in_use, 0u);
      EXPECT_EQ(fake_cuda::misuses(), std::vector<std::string>());
    }
  }
  fake_cuda::reset();
}

}  // namespace
}  // namespace echodiff
