// What a benchmark asks of the device it computes on.
#pragma once

#include <functional>

#include "tensor/device.h"

namespace echodiff {

// Until everything that was enqueued there is done.
void wait_for(Device device);

// On a GPU the work as one CUDA graph (kernels/cuda/captured_work.h says what it may do), elsewhere as it is.
std::function<void()> captured(Device device, std::function<void()> work);

// MiB of the GPU's memory, the most so far.
double gpu_peak_mib();

}  // namespace echodiff
