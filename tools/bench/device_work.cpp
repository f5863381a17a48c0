#include "bench/device_work.h"

#include <memory>
#include <utility>

#include "kernels/cuda/backend.h"
#include "kernels/cuda/captured_work.h"

namespace echodiff {

void wait_for(Device device) {
  if constexpr (cuda::kBuiltWithCuda)
    if (device == Device::kCuda) cuda::synchronize();
}

std::function<void()> captured(Device device, std::function<void()> work) {
  if constexpr (cuda::kBuiltWithCuda)
    if (device == Device::kCuda)
      return [work = std::move(work), graph = std::make_shared<cuda::CapturedWork>()] { graph->run(work); };
  return work;
}

double gpu_peak_mib() {
  if constexpr (cuda::kBuiltWithCuda) return double(cuda::device_statistics().peak) / (1 << 20);
  return 0;
}

}  // namespace echodiff
