// Host vectors to the device and back, for tests.
#pragma once

#include <vector>

#include "kernels/cuda/backend.h"

namespace echodiff::cuda {

template <class T> DeviceBuffer to_device(const std::vector<T>& values, const char* what = "a test's tensor") {
  DeviceBuffer out = allocate(values.size() * sizeof(T), what);
  copy_to_device(out.data(), values.data(), values.size() * sizeof(T));
  return out;
}
template <class T> std::vector<T> to_host(const DeviceBuffer& buffer, size_t count) {
  std::vector<T> out(count);
  copy_to_host(out.data(), buffer.data(), count * sizeof(T));
  return out;
}

}  // namespace echodiff::cuda
