// torch.nn.utils.clip_grad_norm_: the 2-norm of all gradients together, summed in double in a fixed order; where it
// exceeds max_norm, every gradient is scaled by max_norm / (norm + 1e-6).
#pragma once

#include <cstdint>

#include "kernels/cuda/host_device.h"
#include "kernels/cuda/stream.h"
#include "kernels/tensor_chunks.h"

namespace echodiff {

struct GradientTensor {
  const float* gradient;
  float* clipped;  // of clip_gradients
  int64_t count;
};

// 1 where nothing is to be clipped.
ECHODIFF_HOST_DEVICE inline float clip_factor(double norm, double max_norm) {
  const float factor = float(max_norm / (norm + 1e-6));
  return factor < 1 ? factor : 1.0f;
}

namespace reference {
double gradient_squares(const GradientTensor&, int64_t begin, int64_t end);            // of elements [begin, end)
void clip_gradients(float factor, const GradientTensor&, int64_t begin, int64_t end);  // clipped = factor gradient
}  // namespace reference

namespace cuda {
// All tensors in one launch; tensors and chunks (tensor_chunks of the counts) are on the device, and so is norm: the
// host needs to wait for neither. sums (chunk_count) is scratch.
void gradient_norm(const GradientTensor* tensors, const TensorChunk* chunks, int64_t chunk_count, double* sums,
                   double* norm, Stream);
void clip_gradients(const double* norm, double max_norm, const GradientTensor* tensors, const TensorChunk* chunks,
                    int64_t chunk_count, Stream);
}  // namespace cuda
}  // namespace echodiff
