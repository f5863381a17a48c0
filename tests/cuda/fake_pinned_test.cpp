// Copies from page-locked memory: they arrive, nobody waits for them, and writing too early is noticed.
#include <algorithm>
#include <optional>
#include <vector>

#include "cuda/fake_device.h"
#include "kernels/cuda/pinned_buffer.h"
#include "kernels/error.h"

namespace echodiff::cuda {
namespace {

class FakePinned : public FakeDevice {};

constexpr int64_t kCount = 32;

void write(PinnedBuffer& buffer, float value) {
  float* const values = reinterpret_cast<float*>(buffer.data());
  std::fill(values, values + kCount, value);
}

TEST_F(FakePinned, ArrivesAndMayBeWrittenAfterTheWait) {
  const DeviceBuffer x = to_device(std::vector<float>(kCount)), y = to_device(std::vector<float>(kCount));
  PinnedBuffer buffer(kCount * 4);
  const int64_t waits = device_statistics().synchronizations;
  write(buffer, 1);
  buffer.copy_to(x.data(), kCount * 4);
  EXPECT_THROW(buffer.copy_to(y.data(), kCount * 4), Error) << "the last copy has not been waited for";
  buffer.wait();
  write(buffer, 2);
  buffer.copy_to(y.data(), kCount * 4);
  EXPECT_EQ(device_statistics().synchronizations, waits);
  EXPECT_EQ(to_host<float>(x, kCount), std::vector<float>(kCount, 1));
  EXPECT_EQ(to_host<float>(y, kCount), std::vector<float>(kCount, 2));
  EXPECT_THROW(buffer.copy_to(x.data(), kCount * 4 + 1), Error) << "more than it holds";
}

TEST_F(FakePinned, WritingTooEarlyIsNoticed) {
  expects_misuse = true;
  const DeviceBuffer x = to_device(std::vector<float>(kCount));
  PinnedBuffer buffer(kCount * 4);
  write(buffer, 1);
  buffer.copy_to(x.data(), kCount * 4);
  write(buffer, 2);
  buffer.wait();
  EXPECT_EQ(fake_cuda::misuses().size(), 1u);
}

TEST_F(FakePinned, WhereNoEventIsRecordedTheCopyIsWaitedForAtOnce) {
  const DeviceBuffer x = to_device(std::vector<float>(kCount));
  PinnedBuffer buffer(kCount * 4);
  write(buffer, 1);
  fake_cuda::fail_call(2, fake_cuda::Failure::memory);
  EXPECT_THROW(buffer.copy_to(x.data(), kCount * 4), Error);
  write(buffer, 2);
}

// After a failure nothing is left that the device reads, and nothing is alive (FakeDevice).
TEST_F(FakePinned, EachCallMayFail) {
  const DeviceBuffer x = to_device(std::vector<float>(kCount));
  const auto scenario = [&] {
    PinnedBuffer buffer(kCount * 4);
    for (const float value : {1.0f, 2.0f}) {
      buffer.wait();
      write(buffer, value);
      buffer.copy_to(x.data(), kCount * 4);
    }
  };
  const int64_t before = fake_cuda::calls();
  scenario();
  const std::vector<std::string> names(fake_cuda::call_names().begin() + before, fake_cuda::call_names().end());
  ASSERT_GT(names.size(), 7u);
  for (const fake_cuda::Failure how : {fake_cuda::Failure::memory, fake_cuda::Failure::sticky}) {
    for (size_t k = 1; k <= names.size(); ++k) {
      SCOPED_TRACE(names[k - 1] + ", call " + std::to_string(k));
      fake_cuda::reset();
      fake_cuda::fail_call(int64_t(k), how);
      std::optional<Fault> fault;
      try {
        scenario();
      } catch (const Error& error) {
        fault = error.fault();
      }
      const bool in_destructor = k + 3 > names.size();  // the last wait, and what is given back
      if (!in_destructor) {
        EXPECT_EQ(fault, how == fake_cuda::Failure::memory ? Fault::kOutOfMemory : Fault::kInternal);
      }
      EXPECT_EQ(fake_cuda::misuses(), std::vector<std::string>());
    }
  }
  fake_cuda::reset();
}

}  // namespace
}  // namespace echodiff::cuda
