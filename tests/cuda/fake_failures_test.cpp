// What happens when calls fail, and that the fake notices what CUDA forbids.
#include <cstring>
#include <string>

#include "cuda/fake_device.h"
#include "kernels/conv2d.h"
#include "kernels/cuda/captured_work.h"
#include "kernels/cuda/context.h"
#include "kernels/elementwise.h"
#include "kernels/error.h"
#include "kernels/gemm.h"

namespace echodiff::cuda {
namespace {

class FakeFailures : public FakeDevice {};

void open_with_autotune() {
  ContextOptions options;
  options.autotune = true;
  open_context(options);
}

// A matrix product, a convolution and its gradients, a kernel, the same as a graph, and the way back.
std::vector<float> scenario() {
  const std::vector<float> ones(2048, 1.0f), zeros(2048, 0.0f);
  const DeviceBuffer a = to_device(ones), b = to_device(ones), c = to_device(zeros);
  float *pa = static_cast<float*>(a.data()), *pb = static_cast<float*>(b.data()), *pc = static_cast<float*>(c.data());
  affine<float>(64, pa, 2, 1, pc, stream());
  gemm<float>(16, 8, 4, {pa, 4, 1}, {pb, 8, 1}, pa, pc, 8, true, context());
  const Conv2dGeometry g{1, 4, 6, 6, 8, 3, 3, 6, 6, 1, 1, 1, 1, 1, 1, 1};
  conv2d_forward<float>(g, pa, pb, pa, pc + 256, context());
  conv2d_backward_data<float>(g, pc + 256, pb, nullptr, pc + 1024, context());
  conv2d_backward_weight<float>(g, pa, pc + 256, pb, context());
  copy_on_device(pc, pb, 64);
  {
    CapturedWork work;
    for (int run = 0; run < 3; ++run)
      work.run([&] {
        const DeviceBuffer between = allocate(64 * 4, "between");
        affine<float>(64, pc, 2, 1, static_cast<float*>(between.data()), stream());
        copy_to_device(between.data(), ones.data(), 16);
        gemm<float>(8, 8, 4, {static_cast<float*>(between.data()), 4, 1}, {pa, 8, 1}, pa, pc + 128, 8, true, context());
      });
  }
  return to_host<float>(c, 2048);
}

TEST_F(FakeFailures, EachCallFailedOnceIsReportedAndLeaksNothing) {
  open_with_autotune();
  const std::vector<float> expected = scenario();
  close_context();
  const std::vector<std::string> names = fake_cuda::call_names();
  ASSERT_GT(names.size(), 100u);
  for (const fake_cuda::Failure how : {fake_cuda::Failure::memory, fake_cuda::Failure::sticky}) {
    for (size_t k = 1; k <= names.size(); ++k) {
      SCOPED_TRACE(testing::Message() << "call " << k << ": " << names[k - 1]);
      fake_cuda::reset();
      fake_cuda::fail_call(int64_t(k), how);
      // One failed cudaMalloc is made good by giving back what is cached; nobody can act on a failed release.
      const bool may_pass = names[k - 1] == "cudaFree" || names[k - 1] == "cudaEventDestroy" ||
                            names[k - 1] == "cudaGraphDestroy" || names[k - 1] == "cudaGraphExecDestroy" ||
                            (names[k - 1] == "cudaStreamSynchronize" && names[k] == "cudaGraphExecDestroy") ||
                            (names[k - 1] == "cudaMalloc" && how == fake_cuda::Failure::memory);
      try {
        open_with_autotune();
        const std::vector<float> got = scenario();
        EXPECT_TRUE(may_pass || fake_cuda::calls() < int64_t(k));
        EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * 4), 0);
      } catch (const Error& error) {
        EXPECT_EQ(error.fault(), how == fake_cuda::Failure::memory ? Fault::kOutOfMemory : Fault::kInternal)
            << error.what();
        if (how == fake_cuda::Failure::sticky) {
          EXPECT_ANY_THROW(scenario());  // nothing comes from a lost device
        }
      }
      close_context();
      EXPECT_EQ(fake_cuda::live_allocations(), 0);
      EXPECT_EQ(fake_cuda::live_objects(), 0);
      EXPECT_TRUE(fake_cuda::misuses().empty()) << fake_cuda::misuses()[0];
    }
  }
}

TEST_F(FakeFailures, WithoutADeviceTheFaultIsNoDevice) {
  fake_cuda::set_device_count(0);
  try {
    context();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kNoDevice);
    EXPECT_NE(std::string(error.what()).find("use --device cpu"), std::string::npos) << error.what();
  }
}

TEST_F(FakeFailures, OutOfMemoryNamesTheTensorAndTheNumbers) {
  fake_cuda::reset(8 << 20);
  const DeviceBuffer first = allocate(6 << 20, "the first");
  try {
    allocate(4 << 20, "the second (1, 2, 3)");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kOutOfMemory);
    for (const char* part : {"the second (1, 2, 3)", "wanted 4 MiB", "in use 6 MiB", "peak 6 MiB", "smaller batch"})
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST_F(FakeFailures, AContextInUseIsNotClosed) {
  const DeviceBuffer kept = allocate(64, "kept");
  EXPECT_THROW(close_context(), Error);
}

class FakeMisuse : public FakeDevice {
 protected:
  FakeMisuse() { expects_misuse = true; }
};

TEST_F(FakeMisuse, HostCodeMayNotTouchDeviceMemory) {
  const DeviceBuffer buffer = allocate(64, "untouchable");
  EXPECT_DEATH(*static_cast<volatile float*>(buffer.data()) = 1, "host code touched device memory");
}

TEST_F(FakeMisuse, KernelsTakeDeviceMemoryAndAStreamOfTheirOwn) {
  std::vector<float> on_host(16);
  const DeviceBuffer buffer = to_device(on_host);
  float* values = static_cast<float*>(buffer.data());
  EXPECT_THROW(affine<float>(16, on_host.data(), 2, 0, values, stream()), Error);
  EXPECT_THROW(affine<float>(16, values, 2, 0, values, nullptr), Error);
  EXPECT_EQ(fake_cuda::misuses().size(), 2u);
}

TEST_F(FakeMisuse, CopiesStayInsideOneAllocation) {
  std::vector<float> on_host(16);
  const DeviceBuffer buffer = to_device(on_host);
  EXPECT_THROW(copy_to_device(buffer.data(), on_host.data(), 4096), Error);
  EXPECT_THROW(copy_to_device(on_host.data(), on_host.data(), 4), Error);
  EXPECT_THROW(copy_to_host(buffer.data(), buffer.data(), 4), Error);
}

TEST_F(FakeMisuse, ACopyToTheHostArrivesWhenTheStreamWasWaitedFor) {
  const DeviceBuffer buffer = to_device(std::vector<float>{5});
  float got = 0;
  ASSERT_EQ(cudaMemcpyAsync(&got, buffer.data(), 4, cudaMemcpyDeviceToHost, stream()), cudaSuccess);
  EXPECT_NE(got, 5);
  synchronize();
  EXPECT_EQ(got, 5);
}

}  // namespace
}  // namespace echodiff::cuda
