// Adam, Kingma & Ba 2014 (arXiv:1412.6980), AdamW and AMSGrad, in torch's order of operations:
//   theta -= (lr / (1 - b1^k)) m / (sqrt(v) / sqrt(1 - b2^k) + eps)
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/cuda/host_device.h"
#include "kernels/cuda/stream.h"
#include "kernels/tensor_chunks.h"

namespace echodiff {

struct AdamCoefficients {
  float step_size, root2;       // lr / (1 - b1^k), sqrt(1 - b2^k)
  float beta2, share1, share2;  // share: 1 - b
  float eps, l2, kept;          // kept: 1 - lr * decoupled weight decay
};

struct AdamTensor {
  const float* gradient;
  float *theta, *exp_avg, *exp_avg_sq;
  float* max_exp_avg_sq;  // AMSGrad's, or null
  Bfloat16* rounded;      // cuda only: theta as the network reads it, or null
  int64_t count;
};

// One element. The two branches of torch are here: coupled (l2) and decoupled (kept) weight decay.
ECHODIFF_HOST_DEVICE inline void adam_element(const AdamCoefficients& by, const AdamTensor& tensor, int64_t k) {
  float &m = tensor.exp_avg[k], &v = tensor.exp_avg_sq[k];
  const float decayed = tensor.theta[k] * by.kept, slope = tensor.gradient[k] + by.l2 * decayed;
  m += by.share1 * (slope - m);
  v = v * by.beta2 + by.share2 * slope * slope;
  float spread = v;
  if (tensor.max_exp_avg_sq) {
    float& most = tensor.max_exp_avg_sq[k];
    if (most < v) most = v;
    spread = most;
  }
  tensor.theta[k] = decayed - by.step_size * (m / (std::sqrt(spread) / by.root2 + by.eps));
}

namespace reference {
// Elements [begin, end); false where a parameter is no longer finite.
bool adam_update(const AdamCoefficients&, const AdamTensor&, int64_t begin, int64_t end);
}  // namespace reference

namespace cpu {
bool adam_update(const AdamCoefficients&, const AdamTensor&, int64_t begin, int64_t end);  // the same
}

namespace cuda {
// All tensors in one launch. tensors, chunks (tensor_chunks of the counts) and broken (chunk_count) are on the device;
// broken[i] becomes 1 where chunk i has a parameter that is no longer finite, and stays so.
void adam_update(const AdamCoefficients&, const AdamTensor* tensors, const TensorChunk* chunks, int64_t chunk_count,
                 int64_t* broken, Stream);
}  // namespace cuda
}  // namespace echodiff
