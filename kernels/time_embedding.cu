#include "kernels/time_embedding.h"

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

__global__ void time_embedding_kernel(int64_t n, TimeEmbeddingGeometry geo, const int64_t* t, float* y) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t half = geo.dim / 2, column = i % geo.dim;
  if (column >= 2 * half) {
    y[i] = 0;
    return;
  }
  const double log_period = -log(geo.max_period), steps = double(half) - geo.freq_shift;
  const float k = float(column % half);
  // The two roundings of the contract; __fmul_rn and __fdiv_rn, so that no compiler flag changes them.
  const float exponent = geo.divide_last ? __fdiv_rn(__fmul_rn(float(log_period), k), float(steps))
                                         : __fmul_rn(k, float(log_period / steps));
  const double argument = double(__fmul_rn(float(t[i / geo.dim]), float(exp(double(exponent)))));
  y[i] = float((column < half) == geo.cos_first ? cos(argument) : sin(argument));
}

void time_embedding(TimeEmbeddingGeometry geo, const int64_t* t, float* y, Stream stream) {
  launch_elements(time_embedding_kernel, geo.N * geo.dim, stream, geo, t, y);
}

}  // namespace echodiff::cuda
