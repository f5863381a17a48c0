// For tests that run on the faked device and, with ECHODIFF_CUDA=ON, on a real one. Without a GPU
// the latter are skipped, never passed.
#pragma once

#ifdef ECHODIFF_FAKE_DEVICE
#include "cuda/fake_device.h"
namespace echodiff::cuda {
using DeviceTest = FakeDevice;
}
#else
#include <gtest/gtest.h>

#include "cuda/device_arrays.h"
#include "kernels/error.h"

namespace echodiff::cuda {
class DeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    try {
      context();
    } catch (const Error& error) {
      if (error.fault() != Fault::kNoDevice) throw;
      GTEST_SKIP() << "no GPU: " << error.what();
    }
  }
  void TearDown() override { close_context(); }
};
}  // namespace echodiff::cuda
#endif
