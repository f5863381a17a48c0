// Work captured as a graph: the same results on what its memory holds at each launch, its memory its own, and an end to
// the capture where the work fails.
#include <algorithm>
#include <vector>

#include "cuda/fake_device.h"
#include "kernels/conv2d.h"
#include "kernels/cuda/captured_work.h"
#include "kernels/cuda/context.h"
#include "kernels/elementwise.h"
#include "kernels/error.h"
#include "kernels/gemm.h"

namespace echodiff::cuda {
namespace {

class FakeGraph : public FakeDevice {};

const std::vector<float> kTable{5, 6, 7, 8};

// y (128) from x (128): a product, a convolution, a kernel, a copy from the host, through memory that it lets go of.
void enqueue(const float* x, float* y) {
  const DeviceBuffer buffer = allocate(128 * 4, "between");
  float* const between = static_cast<float*>(buffer.data());
  affine<float>(128, x, 2, 1, between, stream());
  const std::vector<float> leaves_before_the_launch = kTable;
  copy_to_device(between, leaves_before_the_launch.data(), 16);
  gemm<float>(8, 8, 4, {x, 4, 1}, {between, 8, 1}, nullptr, y, 8, false, context());
  const Conv2dGeometry g{1, 4, 4, 4, 4, 1, 1, 4, 4, 1, 1, 0, 0, 1, 1, 1};
  conv2d_forward<float>(g, between, x, nullptr, y + 64, context());
}

std::vector<float> numbered(float first) {
  std::vector<float> values(128);
  for (float& value : values) value = (first += 0.125f);
  return values;
}

std::vector<float> plain(float first) {
  const DeviceBuffer x = to_device(numbered(first)), y = to_device(std::vector<float>(128));
  enqueue(static_cast<const float*>(x.data()), static_cast<float*>(y.data()));
  return to_host<float>(y, 128);
}

TEST_F(FakeGraph, EveryLaunchWorksOnWhatItsMemoryHolds) {
  const DeviceBuffer x = to_device(numbered(0)), y = to_device(std::vector<float>(128));
  int enqueued = 0;
  CapturedWork work;
  for (int run = 0; run < 5; ++run) {
    const std::vector<float> values = numbered(float(run));
    copy_to_device(x.data(), values.data(), values.size() * 4);
    const int64_t before = fake_cuda::calls();
    work.run([&] {
      ++enqueued;
      enqueue(static_cast<const float*>(x.data()), static_cast<float*>(y.data()));
    });
    if (run > 1) {
      EXPECT_EQ(fake_cuda::calls() - before, 1) << "one launch";
      EXPECT_EQ(fake_cuda::call_names().back(), "cudaGraphLaunch");
    }
    EXPECT_EQ(to_host<float>(y, 128), plain(float(run))) << run;
  }
  EXPECT_EQ(enqueued, 2);
}

// What is allocated after the capture gets other memory than the graph works in.
TEST_F(FakeGraph, ItsMemoryIsItsOwn) {
  const DeviceBuffer x = to_device(numbered(0)), y = to_device(std::vector<float>(128));
  const auto work_once = [&] { enqueue(static_cast<const float*>(x.data()), static_cast<float*>(y.data())); };
  const size_t before = device_statistics().in_use;
  {
    CapturedWork work;
    work.run(work_once);
    EXPECT_EQ(device_statistics().in_use, before);
    work.run(work_once);
    EXPECT_GT(device_statistics().in_use, before);
    std::vector<DeviceBuffer> others;
    for (int i = 0; i < 4; ++i) others.push_back(to_device(numbered(float(i))));
    work.run(work_once);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(to_host<float>(others[size_t(i)], 128), numbered(float(i)));
    EXPECT_EQ(to_host<float>(y, 128), plain(0));
  }
  EXPECT_EQ(device_statistics().in_use, before);
}

TEST_F(FakeGraph, WorkThatWaitsIsRefusedAndTheStreamGoesOn) {
  expects_misuse = true;
  const DeviceBuffer x = to_device(numbered(0)), y = to_device(std::vector<float>(128));
  const auto waits = [&] {
    enqueue(static_cast<const float*>(x.data()), static_cast<float*>(y.data()));
    synchronize();
  };
  CapturedWork work;
  work.run(waits);
  const int64_t objects = fake_cuda::live_objects();
  EXPECT_THROW(work.run(waits), Error);
  EXPECT_EQ(fake_cuda::live_objects(), objects);
  EXPECT_EQ(plain(1), plain(1));
  EXPECT_EQ(fake_cuda::misuses().size(), 1u);
}

}  // namespace
}  // namespace echodiff::cuda
