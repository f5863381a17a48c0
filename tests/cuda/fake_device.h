// For tests that run on the faked device: a fresh one for each test, and what must hold after it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "cuda/device_arrays.h"
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

}  // namespace echodiff::cuda
