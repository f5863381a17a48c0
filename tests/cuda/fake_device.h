// For tests that run on the faked device (ECHODIFF_CUDA=FAKE): a fresh one for each test, and what must hold after it.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "cuda/fake/fake_cuda.h"
#include "kernels/cuda/backend.h"

namespace echodiff::cuda {

// The context is opened by the first call that needs it.
class FakeDevice : public testing::Test {
 protected:
  void SetUp() override { fake_cuda::reset(); }
  void TearDown() override {
    close_context();
    EXPECT_EQ(fake_cuda::live_allocations(), 0);
    EXPECT_EQ(fake_cuda::live_objects(), 0);
    if (expects_misuse) return;
    for (const std::string& each : fake_cuda::misuses()) ADD_FAILURE() << each;
  }
  bool expects_misuse = false;
};

template <class T>
DeviceBuffer to_device(const std::vector<T>& values, const char* what = "a test's tensor") {
  DeviceBuffer out = allocate(values.size() * sizeof(T), what);
  copy_to_device(out.data(), values.data(), values.size() * sizeof(T));
  return out;
}
template <class T>
std::vector<T> to_host(const DeviceBuffer& buffer, size_t count) {
  std::vector<T> out(count);
  copy_to_host(out.data(), buffer.data(), count * sizeof(T));
  return out;
}

}  // namespace echodiff::cuda
