#include "kernels/rms_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/activation.h"

namespace echodiff::reference {

template <class T> void rms_norm_forward(int64_t pixels, int64_t C, const T* x, const T* gain, T* y, T* inverse_norm) {
  const double root = std::sqrt(double(C));
  for (int64_t p = 0; p < pixels; ++p) {
    double squares = 0;
    for (int64_t c = 0; c < C; ++c) squares += double(x[p * C + c]) * double(x[p * C + c]);
    inverse_norm[p] = T(1 / std::max(std::sqrt(squares), 1e-12));
    for (int64_t c = 0; c < C; ++c) y[p * C + c] = x[p * C + c] * inverse_norm[p] * gain[c] * T(root);
  }
}

// With u = 1/||x||, g = dy gain sqrt(C):
//   dx = u g - u^3 x sum(g x)  (second term 0 under the floor),  dgain = sum dy x u sqrt(C)
template <class T>
void rms_norm_backward(int64_t pixels, int64_t C, const T* x, const T* gain, const T* inverse_norm, const T* dy, T* dx,
                       T* dgain) {
  const T root = T(std::sqrt(double(C)));
  std::fill_n(dgain, C, T(0));
  for (int64_t p = 0; p < pixels; ++p) {
    const T u = inverse_norm[p];
    const bool floored = double(u) >= 1e12;
    T product = 0;
    for (int64_t c = 0; c < C; ++c) product += dy[p * C + c] * gain[c] * x[p * C + c];
    const T along = floored ? T(0) : -product * u * u * u * root;
    for (int64_t c = 0; c < C; ++c) {
      dx[p * C + c] = u * root * dy[p * C + c] * gain[c] + along * x[p * C + c];
      dgain[c] += dy[p * C + c] * x[p * C + c] * u * root;
    }
  }
}

// The composition of the three ops.
template <class T>
void rms_norm_silu_forward(const ChannelGeometry& g, const T* x, const T* gain, const T* modulation, T* y,
                           T* inverse_norm) {
  rms_norm_forward(g.N * g.pixels, g.C, x, gain, y, inverse_norm);
  if (modulation != nullptr) scale_shift(g, y, modulation, false, y);
  activation_forward(Activation::silu, 0, g.N * g.pixels * g.C, y, y);
}

template <class T>
void rms_norm_silu_backward(const ChannelGeometry& g, const T* x, const T* gain, const T* modulation,
                            const T* inverse_norm, const T* dy, T* dx, T* dgain, T* dmodulation) {
  const int64_t pixels = g.N * g.pixels, count = pixels * g.C;
  std::vector<T> h(static_cast<size_t>(count)), z(h.size()), dz(h.size()), norms(static_cast<size_t>(pixels));
  rms_norm_forward(pixels, g.C, x, gain, h.data(), norms.data());
  z = h;
  if (modulation != nullptr) scale_shift(g, h.data(), modulation, false, z.data());
  activation_backward(Activation::silu, 0, count, z.data(), dy, dz.data());
  if (modulation != nullptr) {
    scale_shift_backward(g, h.data(), dz.data(), dmodulation);
    scale_shift(g, dz.data(), modulation, true, dz.data());
  }
  rms_norm_backward(pixels, g.C, x, gain, inverse_norm, dz.data(), dx, dgain);
}

template decltype(rms_norm_silu_forward<float>) rms_norm_silu_forward<float>;
template decltype(rms_norm_silu_forward<double>) rms_norm_silu_forward<double>;
template decltype(rms_norm_silu_backward<float>) rms_norm_silu_backward<float>;
template decltype(rms_norm_silu_backward<double>) rms_norm_silu_backward<double>;
template decltype(rms_norm_forward<float>) rms_norm_forward<float>;
template decltype(rms_norm_forward<double>) rms_norm_forward<double>;
template decltype(rms_norm_backward<float>) rms_norm_backward<float>;
template decltype(rms_norm_backward<double>) rms_norm_backward<double>;

}  // namespace echodiff::reference
