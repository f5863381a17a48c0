#include "kernels/cuda/column_sums.h"
#include "kernels/layer_norm.h"

namespace echodiff::cuda {

// One block per row.
template <class T>
__global__ void layer_norm_forward_kernel(LayerNormGeometry geo, const T* x, const float* weight, const float* bias,
                                          double eps, T* y, double* mean, double* rstd) {
  const int64_t row = blockIdx.x;
  const T* in = x + row * geo.D;
  double sum = 0, squares = 0;
  for (int64_t i = threadIdx.x; i < geo.D; i += blockDim.x) sum += double(load(in + i));
  const double m = block_sum(sum) / double(geo.D);
  for (int64_t i = threadIdx.x; i < geo.D; i += blockDim.x)
    squares += (double(load(in + i)) - m) * (double(load(in + i)) - m);
  const double r = 1 / sqrt(block_sum(squares) / double(geo.D) + eps);
  for (int64_t i = threadIdx.x; i < geo.D; i += blockDim.x) {
    const float normalised = float((double(load(in + i)) - m) * r);
    store(y + row * geo.D + i, normalised * (weight ? weight[i] : 1.0f) + (bias ? bias[i] : 0.0f));
  }
  if (threadIdx.x == 0) {
    mean[row] = m;
    rstd[row] = r;
  }
}

template <class T>
__global__ void layer_norm_backward_kernel(LayerNormGeometry geo, const T* x, const float* weight, const T* dy,
                                           const double* mean, const double* rstd, T* dx) {
  const int64_t row = blockIdx.x, first = row * geo.D;
  double sum_g = 0, sum_g_xhat = 0;
  for (int64_t i = threadIdx.x; i < geo.D; i += blockDim.x) {
    const double g = double(load(dy + first + i)) * (weight ? double(weight[i]) : 1.0);
    sum_g += g;
    sum_g_xhat += g * (double(load(x + first + i)) - mean[row]) * rstd[row];
  }
  const double mean_g = block_sum(sum_g) / double(geo.D), mean_g_xhat = block_sum(sum_g_xhat) / double(geo.D);
  for (int64_t i = threadIdx.x; i < geo.D; i += blockDim.x) {
    const double g = double(load(dy + first + i)) * (weight ? double(weight[i]) : 1.0);
    const double xhat = (double(load(x + first + i)) - mean[row]) * rstd[row];
    store(dx + first + i, float(rstd[row] * (g - mean_g - xhat * mean_g_xhat)));
  }
}

template <class T> struct LayerNormTerm {
  using Sum = double;
  int64_t D;
  const T *x, *dy;
  const double *mean, *rstd;
  __device__ double operator()(int64_t, int64_t row, int64_t c) const {
    const int64_t at = row * D + c % D;
    const double g = double(load(dy + at));
    return c < D ? g * (double(load(x + at)) - mean[row]) * rstd[row] : g;
  }
};

template <class T>
void layer_norm_forward(LayerNormGeometry geo, const T* x, const float* weight, const float* bias, double eps, T* y,
                        double* mean, double* rstd, Stream stream) {
  if (geo.rows == 0) return;
  launch(layer_norm_forward_kernel<T>, {dim3(unsigned(geo.rows)), dim3(unsigned(kBlockThreads)), 0, stream}, geo, x,
         weight, bias, eps, y, mean, rstd);
}

int64_t layer_norm_backward_scratch(LayerNormGeometry geo) { return column_scratch({1, geo.rows, 2 * geo.D}); }

template <class T>
void layer_norm_backward(LayerNormGeometry geo, const T* x, const float* weight, const T* dy, const double* mean,
                         const double* rstd, T* dx, float* dweight, float* dbias, double* scratch, Stream stream) {
  if (dx && geo.rows > 0)
    launch(layer_norm_backward_kernel<T>, {dim3(unsigned(geo.rows)), dim3(unsigned(kBlockThreads)), 0, stream}, geo, x,
           weight, dy, mean, rstd, dx);
  if (dweight || dbias)
    column_sums({1, geo.rows, 2 * geo.D}, LayerNormTerm<T>{geo.D, x, dy, mean, rstd},
                StorePair<double>{geo.D, dweight, dbias}, scratch, stream);
}

template decltype(layer_norm_forward<float>) layer_norm_forward<float>;
template decltype(layer_norm_forward<Bfloat16>) layer_norm_forward<Bfloat16>;
template decltype(layer_norm_backward<float>) layer_norm_backward<float>;
template decltype(layer_norm_backward<Bfloat16>) layer_norm_backward<Bfloat16>;

}  // namespace echodiff::cuda
