// The network of a run as the sampler calls it.
#pragma once

#include "quality/sampling/job.h"

namespace echodiff {

struct LoadedDenoiser;

// Of a run, which must outlive it, with its weights on `device`. On cuda the whole call is one launch of a CUDA graph
// from the third call with a shape on (kernels/cuda/captured_work.h).
Network network_of(const LoadedDenoiser& run, Device device = Device::kCpu);

// The same for DeepCache, on the CPU. Throws Error(kUsage) for a network without deep levels.
CachingNetwork caching_network_of(const LoadedDenoiser& run);

// An answer (n, 1 or 2, H, W) without the half that is a learned variance -> (n, 1, H, W).
Tensor picture_half(const Tensor& answer);

}  // namespace echodiff
