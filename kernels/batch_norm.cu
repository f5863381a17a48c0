#include "kernels/batch_norm.h"

#include "kernels/cuda/column_sums.h"

namespace echodiff::cuda {

// mean == null: the sum of x; else the sum of (x - mean)^2.
template <class T> struct BatchNormMoment {
  using Sum = double;
  int64_t C;
  const T* x;
  const double* mean;
  __device__ double operator()(int64_t, int64_t row, int64_t c) const {
    const double v = double(load(x + row * C + c));
    return mean ? (v - mean[c]) * (v - mean[c]) : v;
  }
};

struct StoreMoment {
  double rows;
  double* out;
  __device__ void operator()(int64_t, int64_t c, double total) const { out[c] = total / rows; }
};

// dweight | dbias
template <class T> struct BatchNormTerm {
  using Sum = double;
  int64_t C;
  const T *x, *dy;
  const double *mean, *rstd;
  __device__ double operator()(int64_t, int64_t row, int64_t column) const {
    const int64_t c = column % C, at = row * C + c;
    const double g = double(load(dy + at));
    return column < C ? g * (double(load(x + at)) - mean[c]) * rstd[c] : g;
  }
};

struct StoreBatchNormTotals {
  StorePair<double> parameters;
  double* totals;  // (2C)
  __device__ void operator()(int64_t o, int64_t c, double total) const {
    totals[c] = total;
    parameters(o, c, total);
  }
};

__global__ void batch_norm_track_kernel(int64_t C, double momentum, double eps, double unbiased, const double* mean,
                                        double* rstd, float* running_mean, float* running_var) {
  const int64_t c = thread_index();
  if (c >= C) return;
  running_mean[c] = float((1 - momentum) * double(running_mean[c]) + momentum * mean[c]);
  running_var[c] = float((1 - momentum) * double(running_var[c]) + momentum * rstd[c] * unbiased);
  rstd[c] = 1 / sqrt(rstd[c] + eps);
}

__global__ void batch_norm_recall_kernel(int64_t C, double eps, const float* running_mean, const float* running_var,
                                         double* mean, double* rstd) {
  const int64_t c = thread_index();
  if (c >= C) return;
  mean[c] = double(running_mean[c]);
  rstd[c] = 1 / sqrt(double(running_var[c]) + eps);
}

__device__ float batch_normalised(int64_t c, float x, const float* weight, const float* bias, const double* mean,
                                  const double* rstd) {
  return float((double(x) - mean[c]) * (rstd[c] * double(weight[c])) + double(bias[c]));
}

template <class T>
__global__ void batch_norm_forward_kernel(int64_t n, int64_t C, const T* x, const float* weight, const float* bias,
                                          const double* mean, const double* rstd, T* y) {
  const int64_t i = thread_index();
  if (i < n) store(y + i, batch_normalised(i % C, load(x + i), weight, bias, mean, rstd));
}

template <class T>
__global__ void batch_norm_relu_forward_kernel(int64_t n, int64_t C, const T* x, const float* weight, const float* bias,
                                               const double* mean, const double* rstd, const T* residual, T* y) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const float v =
      batch_normalised(i % C, load(x + i), weight, bias, mean, rstd) + (residual ? load(residual + i) : 0.0f);
  store(y + i, v <= 0 ? 0 : v);  // a NaN stays one
}

// totals: dweight | dbias of the batch, or null in evaluation, where the statistics are constants.
template <class T>
__global__ void batch_norm_backward_kernel(int64_t n, BatchNormGeometry geo, const T* x, const float* weight,
                                           const T* dy, const double* mean, const double* rstd, const double* totals,
                                           T* dx) {
  const int64_t i = thread_index(), c = i % geo.C;
  if (i >= n) return;
  const double scale = double(weight[c]) * rstd[c];
  double g = double(load(dy + i));
  if (totals) g -= (totals[geo.C + c] + (double(load(x + i)) - mean[c]) * rstd[c] * totals[c]) / double(geo.rows);
  store(dx + i, float(scale * g));
}

int64_t batch_norm_scratch(BatchNormGeometry geo) { return 2 * geo.C + column_scratch({1, geo.rows, 2 * geo.C}); }

template <class T>
void batch_norm_statistics(BatchNormGeometry geo, const T* x, double* mean, double* var, double* scratch,
                           Stream stream) {
  const ColumnShape shape{1, geo.rows, geo.C};
  column_sums(shape, BatchNormMoment<T>{geo.C, x, nullptr}, StoreMoment{double(geo.rows), mean}, scratch, stream);
  column_sums(shape, BatchNormMoment<T>{geo.C, x, mean}, StoreMoment{double(geo.rows), var}, scratch, stream);
}

void batch_norm_track(BatchNormGeometry geo, double momentum, double eps, const double* mean, double* rstd,
                      float* running_mean, float* running_var, Stream stream) {
  launch_elements(batch_norm_track_kernel, geo.C, stream, momentum, eps, double(geo.rows) / double(geo.rows - 1), mean,
                  rstd, running_mean, running_var);
}

void batch_norm_recall(int64_t C, double eps, const float* running_mean, const float* running_var, double* mean,
                       double* rstd, Stream stream) {
  launch_elements(batch_norm_recall_kernel, C, stream, eps, running_mean, running_var, mean, rstd);
}

template <class T>
void batch_norm_forward(BatchNormGeometry geo, const T* x, const float* weight, const float* bias, const double* mean,
                        const double* rstd, T* y, Stream stream) {
  launch_elements(batch_norm_forward_kernel<T>, geo.rows * geo.C, stream, geo.C, x, weight, bias, mean, rstd, y);
}

template <class T>
void batch_norm_relu_forward(BatchNormGeometry geo, const T* x, const float* weight, const float* bias,
                             const double* mean, const double* rstd, const T* residual, T* y, Stream stream) {
  launch_elements(batch_norm_relu_forward_kernel<T>, geo.rows * geo.C, stream, geo.C, x, weight, bias, mean, rstd,
                  residual, y);
}

template <class T>
void batch_norm_backward(BatchNormGeometry geo, bool training, const T* x, const float* weight, const T* dy,
                         const double* mean, const double* rstd, T* dx, float* dweight, float* dbias, double* scratch,
                         Stream stream) {
  if (dweight || dbias || training)
    column_sums({1, geo.rows, 2 * geo.C}, BatchNormTerm<T>{geo.C, x, dy, mean, rstd},
                StoreBatchNormTotals{{geo.C, dweight, dbias}, scratch}, scratch + 2 * geo.C, stream);
  if (dx)
    launch_elements(batch_norm_backward_kernel<T>, geo.rows * geo.C, stream, geo, x, weight, dy, mean, rstd,
                    static_cast<const double*>(training ? scratch : nullptr), dx);
}

template decltype(batch_norm_statistics<float>) batch_norm_statistics<float>;
template decltype(batch_norm_forward<float>) batch_norm_forward<float>;
template decltype(batch_norm_relu_forward<float>) batch_norm_relu_forward<float>;
template decltype(batch_norm_backward<float>) batch_norm_backward<float>;
template decltype(batch_norm_statistics<Bfloat16>) batch_norm_statistics<Bfloat16>;
template decltype(batch_norm_forward<Bfloat16>) batch_norm_forward<Bfloat16>;
template decltype(batch_norm_relu_forward<Bfloat16>) batch_norm_relu_forward<Bfloat16>;
template decltype(batch_norm_backward<Bfloat16>) batch_norm_backward<Bfloat16>;

}  // namespace echodiff::cuda
