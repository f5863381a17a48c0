#include "kernels/cuda/norm_epilogue.h"
#include "kernels/group_norm.h"

namespace echodiff::cuda {

// One block per (sample, group): where element i of the group's pixels * C/G lies, and in which channel.
struct GroupOfBlock {
  GroupNormGeometry geo;
  int64_t n, group, width, count;
  __device__ explicit GroupOfBlock(const GroupNormGeometry& geo)
      : geo(geo), n(blockIdx.x / geo.G), group(blockIdx.x % geo.G), width(geo.C / geo.G), count(geo.pixels * width) {}
  __device__ int64_t channel(int64_t i) const { return group * width + i % width; }
  __device__ int64_t at(int64_t i) const { return (n * geo.pixels + i / width) * geo.C + channel(i); }
};

template <class T>
__global__ void group_norm_forward_kernel(GroupNormGeometry geo, const T* x, const float* weight, const float* bias,
                                          float eps, NormEpilogue<T> epilogue, T* y, float* mean, float* rstd) {
  const GroupOfBlock group(geo);
  float sum = 0, squares = 0;
  for (int64_t i = threadIdx.x; i < group.count; i += blockDim.x) sum += load(x + group.at(i));
  const float m = block_sum(sum) / float(group.count);
  for (int64_t i = threadIdx.x; i < group.count; i += blockDim.x) {
    const float centred = load(x + group.at(i)) - m;
    squares += centred * centred;
  }
  const float r = 1 / sqrtf(block_sum(squares) / float(group.count) + eps);
  for (int64_t i = threadIdx.x; i < group.count; i += blockDim.x) {
    const int64_t c = group.channel(i), at = group.at(i);
    store(y + at, epilogue(group.n, c, geo.C, (load(x + at) - m) * r * weight[c] + bias[c]));
  }
  if (threadIdx.x == 0) {
    mean[blockIdx.x] = m;
    rstd[blockIdx.x] = r;
  }
}

template <class T>
__global__ void group_norm_backward_kernel(GroupNormGeometry geo, const T* x, const float* weight, const float* mean,
                                           const float* rstd, const T* dy, T* dx) {
  const GroupOfBlock group(geo);
  const float m = mean[blockIdx.x], r = rstd[blockIdx.x];
  float sum_g = 0, sum_g_xhat = 0;
  for (int64_t i = threadIdx.x; i < group.count; i += blockDim.x) {
    const float g = load(dy + group.at(i)) * weight[group.channel(i)];
    sum_g += g;
    sum_g_xhat += g * (load(x + group.at(i)) - m) * r;
  }
  const float mean_g = block_sum(sum_g) / float(group.count), mean_g_xhat = block_sum(sum_g_xhat) / float(group.count);
  for (int64_t i = threadIdx.x; i < group.count; i += blockDim.x) {
    const int64_t at = group.at(i);
    const float xhat = (load(x + at) - m) * r;
    store(dx + at, r * (load(dy + at) * weight[group.channel(i)] - mean_g - xhat * mean_g_xhat));
  }
}

// dweight | dbias, rows are all pixels of all samples.
template <class T> struct GroupNormTerm {
  using Sum = float;
  GroupNormGeometry geo;
  const T *x, *dy;
  const float *mean, *rstd;
  __device__ float operator()(int64_t, int64_t row, int64_t column) const {
    const int64_t c = column % geo.C, at = row * geo.C + c, group = row / geo.pixels * geo.G + c / (geo.C / geo.G);
    return column < geo.C ? load(dy + at) * (load(x + at) - mean[group]) * rstd[group] : load(dy + at);
  }
};

template <class T> struct GroupNormed {
  GroupNormGeometry geo;
  const T* x;
  const float *weight, *bias, *mean, *rstd;
  __device__ float operator()(int64_t row, int64_t c) const {
    const int64_t group = row / geo.pixels * geo.G + c / (geo.C / geo.G);
    return (load(x + row * geo.C + c) - mean[group]) * rstd[group] * weight[c] + bias[c];
  }
};

namespace {

LaunchShape group_shape(const GroupNormGeometry& geo, Stream stream) {
  return {dim3(unsigned(geo.N * geo.G)), dim3(unsigned(kBlockThreads)), 0, stream};
}

ChannelGeometry channels_of(const GroupNormGeometry& geo) { return {geo.N, geo.pixels, geo.C}; }

}  // namespace

template <class T>
void group_norm_forward(const GroupNormGeometry& geo, const T* x, const float* weight, const float* bias, double eps,
                        T* y, float* mean, float* rstd, Stream stream) {
  if (geo.N * geo.G > 0)
    launch(group_norm_forward_kernel<T>, group_shape(geo, stream), geo, x, weight, bias, float(eps), NormEpilogue<T>{},
           y, mean, rstd);
}

template <class T>
void group_norm_silu_forward(const GroupNormGeometry& geo, const T* x, const float* weight, const float* bias,
                             const T* modulation, double eps, T* y, float* mean, float* rstd, Stream stream) {
  if (geo.N * geo.G > 0)
    launch(group_norm_forward_kernel<T>, group_shape(geo, stream), geo, x, weight, bias, float(eps),
           NormEpilogue<T>{modulation, true}, y, mean, rstd);
}

int64_t group_norm_backward_scratch(const GroupNormGeometry& geo) {
  return std::max(column_scratch({1, geo.N * geo.pixels, 2 * geo.C}),
                  column_scratch(modulation_shape(channels_of(geo))));
}

template <class T>
void group_norm_backward(const GroupNormGeometry& geo, const T* x, const float* weight, const float* mean,
                         const float* rstd, const T* dy, T* dx, float* dweight, float* dbias, float* scratch,
                         Stream stream) {
  column_sums({1, geo.N * geo.pixels, 2 * geo.C}, GroupNormTerm<T>{geo, x, dy, mean, rstd},
              StorePair<float>{geo.C, dweight, dbias}, scratch, stream);
  if (geo.N * geo.G > 0)
    launch(group_norm_backward_kernel<T>, group_shape(geo, stream), geo, x, weight, mean, rstd, dy, dx);
}

template <class T>
void group_norm_silu_backward(const GroupNormGeometry& geo, const T* x, const float* weight, const float* bias,
                              const T* modulation, const float* mean, const float* rstd, const T* dy, T* dx,
                              float* dweight, float* dbias, T* dmodulation, float* scratch, Stream stream) {
  const GroupNormed<T> normed{geo, x, weight, bias, mean, rstd};
  norm_silu_epilogue_backward(channels_of(geo), normed, modulation, dy, dx, dmodulation, scratch, stream);
  group_norm_backward(geo, x, weight, mean, rstd, static_cast<const T*>(dx), dx, dweight, dbias, scratch, stream);
}

template decltype(group_norm_forward<float>) group_norm_forward<float>;
template decltype(group_norm_forward<Bfloat16>) group_norm_forward<Bfloat16>;
template decltype(group_norm_silu_forward<float>) group_norm_silu_forward<float>;
template decltype(group_norm_silu_forward<Bfloat16>) group_norm_silu_forward<Bfloat16>;
template decltype(group_norm_silu_backward<float>) group_norm_silu_backward<float>;
template decltype(group_norm_silu_backward<Bfloat16>) group_norm_silu_backward<Bfloat16>;
template decltype(group_norm_backward<float>) group_norm_backward<float>;
template decltype(group_norm_backward<Bfloat16>) group_norm_backward<Bfloat16>;

}  // namespace echodiff::cuda
