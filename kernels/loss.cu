#include "kernels/loss.h"

#include "kernels/cuda/device.h"

namespace echodiff::cuda {
namespace {

__device__ float sign(float v) { return v > 0 ? 1.0f : v < 0 ? -1.0f : 0.0f; }

__device__ float pos_weight_at(const BceGeometry<float>& geo, int64_t i) {
  return geo.pos_weight ? geo.pos_weight[i / geo.inner % geo.K] : 1.0f;
}

// log sum_k exp(x_k) of the block's row, for every thread
__device__ double log_sum_exp(const float* x, int64_t K) {
  float* most_of = dynamic_shared<float>();  // (blockDim.x)
  float most = -INFINITY;
  for (int64_t k = threadIdx.x; k < K; k += blockDim.x) most = fmaxf(most, x[k]);
  most_of[threadIdx.x] = most;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) most_of[threadIdx.x] = fmaxf(most_of[threadIdx.x], most_of[threadIdx.x + half]);
  }
  __syncthreads();
  most = most_of[0];
  double sum = 0;
  for (int64_t k = threadIdx.x; k < K; k += blockDim.x) sum += exp(double(x[k]) - double(most));
  return double(most) + log(block_sum(sum));
}

LaunchShape row_shape(int64_t rows, Stream stream) {
  return {dim3(unsigned(rows)), dim3(unsigned(kBlockThreads)), size_t(kBlockThreads) * sizeof(float), stream};
}

}  // namespace

__global__ void loss_forward_kernel(int64_t n, Loss kind, float beta, const float* x, const float* target, float* y) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const float d = fabsf(x[i] - target[i]);
  y[i] = kind == Loss::mse ? d * d : kind == Loss::l1 ? d : d < beta ? 0.5f * d * d / beta : d - 0.5f * beta;
}

__global__ void loss_backward_kernel(int64_t n, Loss kind, float beta, const float* x, const float* target,
                                     LossGradient<float> dy, float* dx) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const float d = x[i] - target[i];
  const float slope = kind == Loss::mse ? 2 * d : kind == Loss::smooth_l1 && fabsf(d) < beta ? d / beta : sign(d);
  dx[i] = slope * dy.at(i);
}

__global__ void bce_forward_kernel(int64_t n, BceGeometry<float> geo, const float* x, const float* target, float* y) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const float t = target[i], soft = log1pf(expf(-fabsf(x[i]))) + fmaxf(-x[i], 0.0f);
  const float loss = (1 - t) * x[i] + (1 + (pos_weight_at(geo, i) - 1) * t) * soft;
  y[i] = geo.weight ? geo.weight[i] * loss : loss;
}

__global__ void bce_backward_kernel(int64_t n, BceGeometry<float> geo, const float* x, const float* target,
                                    LossGradient<float> dy, float* dx) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const float t = target[i], p = pos_weight_at(geo, i);
  dx[i] = ((1 + (p - 1) * t) * sigmoid(x[i]) - p * t) * (geo.weight ? geo.weight[i] : 1.0f) * dy.at(i);
}

// One block per row.
__global__ void cross_entropy_forward_kernel(int64_t K, const float* x, const int64_t* classes, float* y) {
  const float* row = x + blockIdx.x * K;
  const double normaliser = log_sum_exp(row, K);
  if (threadIdx.x == 0) y[blockIdx.x] = float(normaliser - double(row[classes[blockIdx.x]]));
}

__global__ void cross_entropy_backward_kernel(int64_t K, const float* x, const int64_t* classes, LossGradient<float> dy,
                                              float* dx) {
  const int64_t n = blockIdx.x;
  const double normaliser = log_sum_exp(x + n * K, K);
  for (int64_t k = threadIdx.x; k < K; k += blockDim.x) {
    const double probability = exp(double(x[n * K + k]) - normaliser);
    dx[n * K + k] = float((probability - (k == classes[n] ? 1 : 0)) * double(dy.at(n)));
  }
}

void loss_forward(Loss kind, double beta, int64_t n, const float* x, const float* target, float* y, Stream stream) {
  launch_elements(loss_forward_kernel, n, stream, kind, float(beta), x, target, y);
}
void loss_backward(Loss kind, double beta, int64_t n, const float* x, const float* target, LossGradient<float> dy,
                   float* dx, Stream stream) {
  launch_elements(loss_backward_kernel, n, stream, kind, float(beta), x, target, dy, dx);
}
void bce_forward(BceGeometry<float> geo, const float* x, const float* target, float* y, Stream stream) {
  launch_elements(bce_forward_kernel, geo.count, stream, geo, x, target, y);
}
void bce_backward(BceGeometry<float> geo, const float* x, const float* target, LossGradient<float> dy, float* dx,
                  Stream stream) {
  launch_elements(bce_backward_kernel, geo.count, stream, geo, x, target, dy, dx);
}
void cross_entropy_forward(int64_t N, int64_t K, const float* x, const int64_t* classes, float* y, Stream stream) {
  if (N > 0) launch(cross_entropy_forward_kernel, row_shape(N, stream), K, x, classes, y);
}
void cross_entropy_backward(int64_t N, int64_t K, const float* x, const int64_t* classes, LossGradient<float> dy,
                            float* dx, Stream stream) {
  if (N > 0) launch(cross_entropy_backward_kernel, row_shape(N, stream), K, x, classes, dy, dx);
}

}  // namespace echodiff::cuda
