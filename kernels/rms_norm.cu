#include "kernels/cuda/norm_epilogue.h"
#include "kernels/rms_norm.h"

namespace echodiff::cuda {

constexpr int64_t kRmsWarps = kBlockThreads / 32;  // pixels of one block: a warp owns one

template <class T>
__global__ void rms_norm_forward_kernel(int64_t pixels, int64_t pixels_of_sample, int64_t C, const T* x,
                                        const float* gain, NormEpilogue<T> epilogue, T* y, float* inverse_norm) {
  const int64_t p = blockIdx.x * kRmsWarps + threadIdx.x / 32;
  const unsigned lane = threadIdx.x % 32;
  if (p >= pixels) return;  // a whole warp
  float squares = 0;
  for (int64_t c = lane; c < C; c += 32) squares += load(x + p * C + c) * load(x + p * C + c);
  const float u = 1 / fmaxf(sqrtf(warp_sum(squares)), 1e-12f), root = sqrtf(float(C));
  for (int64_t c = lane; c < C; c += 32) {
    const float normalised = load(x + p * C + c) * u * gain[c] * root;
    store(y + p * C + c, epilogue(p / pixels_of_sample, c, C, normalised));
  }
  if (lane == 0) inverse_norm[p] = u;
}

template <class T>
__global__ void rms_norm_backward_kernel(int64_t pixels, int64_t C, const T* x, const float* gain,
                                         const float* inverse_norm, const T* dy, T* dx) {
  const int64_t p = blockIdx.x * kRmsWarps + threadIdx.x / 32;
  const unsigned lane = threadIdx.x % 32;
  if (p >= pixels) return;
  const float u = inverse_norm[p], root = sqrtf(float(C));
  float product = 0;
  for (int64_t c = lane; c < C; c += 32) product += load(dy + p * C + c) * gain[c] * (load(x + p * C + c) * u);
  const float along = u >= 1e12f ? 0.0f : -warp_sum(product) * u * root;
  for (int64_t c = lane; c < C; c += 32)
    store(dx + p * C + c, u * root * load(dy + p * C + c) * gain[c] + along * (load(x + p * C + c) * u));
}

template <class T> struct RmsNormTerm {
  using Sum = float;
  int64_t C;
  const T *x, *dy;
  const float* inverse_norm;
  __device__ float operator()(int64_t, int64_t p, int64_t c) const {
    return load(dy + p * C + c) * (load(x + p * C + c) * inverse_norm[p]) * sqrtf(float(C));
  }
};

template <class T> struct RmsNormed {
  int64_t C;
  const T* x;
  const float *gain, *inverse_norm;
  __device__ float operator()(int64_t p, int64_t c) const {
    return load(x + p * C + c) * inverse_norm[p] * gain[c] * sqrtf(float(C));
  }
};

namespace {

LaunchShape pixel_shape(int64_t pixels, Stream stream) {
  return {blocks_for(pixels, kRmsWarps), dim3(unsigned(kBlockThreads)), 0, stream};
}

}  // namespace

template <class T>
void rms_norm_forward(int64_t pixels, int64_t C, const T* x, const float* gain, T* y, float* inverse_norm,
                      Stream stream) {
  if (pixels > 0)
    launch(rms_norm_forward_kernel<T>, pixel_shape(pixels, stream), pixels, pixels, C, x, gain, NormEpilogue<T>{}, y,
           inverse_norm);
}

template <class T>
void rms_norm_silu_forward(const ChannelGeometry& geo, const T* x, const float* gain, const T* modulation, T* y,
                           float* inverse_norm, Stream stream) {
  const int64_t pixels = geo.N * geo.pixels;
  if (pixels > 0)
    launch(rms_norm_forward_kernel<T>, pixel_shape(pixels, stream), pixels, geo.pixels, geo.C, x, gain,
           NormEpilogue<T>{modulation, true}, y, inverse_norm);
}

int64_t rms_norm_backward_scratch(int64_t pixels, int64_t C) { return column_scratch({1, pixels, C}); }

template <class T>
void rms_norm_backward(int64_t pixels, int64_t C, const T* x, const float* gain, const float* inverse_norm, const T* dy,
                       T* dx, float* dgain, float* scratch, Stream stream) {
  column_sums({1, pixels, C}, RmsNormTerm<T>{C, x, dy, inverse_norm}, StorePair<float>{C, dgain, nullptr}, scratch,
              stream);
  if (pixels > 0)
    launch(rms_norm_backward_kernel<T>, pixel_shape(pixels, stream), pixels, C, x, gain, inverse_norm, dy, dx);
}

int64_t rms_norm_silu_backward_scratch(const ChannelGeometry& geo) {
  return std::max(rms_norm_backward_scratch(geo.N * geo.pixels, geo.C), column_scratch(modulation_shape(geo)));
}

template <class T>
void rms_norm_silu_backward(const ChannelGeometry& geo, const T* x, const float* gain, const T* modulation,
                            const float* inverse_norm, const T* dy, T* dx, float* dgain, T* dmodulation, float* scratch,
                            Stream stream) {
  const RmsNormed<T> normed{geo.C, x, gain, inverse_norm};
  norm_silu_epilogue_backward(geo, normed, modulation, dy, dx, dmodulation, scratch, stream);
  rms_norm_backward(geo.N * geo.pixels, geo.C, x, gain, inverse_norm, static_cast<const T*>(dx), dx, dgain, scratch,
                    stream);
}

template decltype(rms_norm_forward<float>) rms_norm_forward<float>;
template decltype(rms_norm_forward<Bfloat16>) rms_norm_forward<Bfloat16>;
template decltype(rms_norm_silu_forward<float>) rms_norm_silu_forward<float>;
template decltype(rms_norm_silu_forward<Bfloat16>) rms_norm_silu_forward<Bfloat16>;
template decltype(rms_norm_silu_backward<float>) rms_norm_silu_backward<float>;
template decltype(rms_norm_silu_backward<Bfloat16>) rms_norm_silu_backward<Bfloat16>;
template decltype(rms_norm_backward<float>) rms_norm_backward<float>;
template decltype(rms_norm_backward<Bfloat16>) rms_norm_backward<Bfloat16>;

}  // namespace echodiff::cuda
