#include "kernels/elementwise.h"

#include "kernels/grain.h"
#include "kernels/reduce.h"
#include "kernels/thread_pool.h"

namespace echodiff::reference {
namespace {

template <class T, class F> void combine(const BroadcastGeometry& geo, const T* a, const T* b, T* y, F f) {
  StridedWalk<3>(geo).run(
      [&](const std::array<int64_t, 3>& offsets, int64_t size, const std::array<int64_t, 3>& strides) {
        const T *left = a + offsets[0], *right = b + offsets[1];
        T* out = y + offsets[2];
        if (strides[0] == 1 && strides[1] == 1) {
          for (int64_t i = 0; i < size; ++i) out[i] = f(left[i], right[i]);
        } else if (strides[0] == 1 && strides[1] == 0) {
          for (int64_t i = 0; i < size; ++i) out[i] = f(left[i], *right);
        } else {
          for (int64_t i = 0; i < size; ++i) out[i] = f(left[i * strides[0]], right[i * strides[1]]);
        }
      });
}

}  // namespace

template <class T> void arithmetic(Arithmetic kind, const BroadcastGeometry& geo, const T* a, const T* b, T* y) {
  switch (kind) {
    case Arithmetic::add: return combine(geo, a, b, y, [](T p, T q) { return p + q; });
    case Arithmetic::sub: return combine(geo, a, b, y, [](T p, T q) { return p - q; });
    case Arithmetic::mul: return combine(geo, a, b, y, [](T p, T q) { return p * q; });
    case Arithmetic::div: return combine(geo, a, b, y, [](T p, T q) { return p / q; });
  }
}

template <class T> void affine(int64_t n, const T* x, double scale, double offset, T* y) {
  parallel_ranges(n, kElementGrain, [&, s = T(scale), o = T(offset)](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = x[i] * s + o;
  });
}

template <class T> void add_channel(ChannelGeometry geo, const T* x, const T* e, T* y) {
  parallel_ranges(geo.N * geo.pixels, row_grain(geo.C), [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      const T *in = x + pixel * geo.C, *channel = e + pixel / geo.pixels * geo.C;
      T* out = y + pixel * geo.C;
      for (int64_t c = 0; c < geo.C; ++c) out[c] = in[c] + channel[c];
    }
  });
}

template <class T> void scale_shift(ChannelGeometry geo, const T* x, const T* e, bool without_shift, T* y) {
  parallel_ranges(geo.N * geo.pixels, row_grain(geo.C), [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      const T *in = x + pixel * geo.C, *scale = e + pixel / geo.pixels * 2 * geo.C, *shift = scale + geo.C;
      T* out = y + pixel * geo.C;
      if (without_shift) {
        for (int64_t c = 0; c < geo.C; ++c) out[c] = in[c] * (1 + scale[c]);
      } else {
        for (int64_t c = 0; c < geo.C; ++c) out[c] = in[c] * (1 + scale[c]) + shift[c];
      }
    }
  });
}

template <class T> void scale_shift_backward(ChannelGeometry geo, const T* x, const T* dy, T* de) {
  const int64_t C = geo.C;
  std::vector<double> totals(size_t(2 * C));
  for (int64_t n = 0; n < geo.N; ++n) {
    sum_rows(
        geo.pixels, 2 * C,
        [&](int64_t begin, int64_t end, double* sums) {
          for (int64_t pixel = n * geo.pixels + begin; pixel < n * geo.pixels + end; ++pixel) {
            const T *in = x + pixel * C, *gradient = dy + pixel * C;
            for (int64_t c = 0; c < C; ++c) {
              sums[c] += double(gradient[c]) * double(in[c]);
              sums[C + c] += double(gradient[c]);
            }
          }
        },
        totals.data());
    for (int64_t c = 0; c < 2 * C; ++c) de[n * 2 * C + c] = T(totals[size_t(c)]);
  }
}

template decltype(arithmetic<float>) arithmetic<float>;
template decltype(arithmetic<double>) arithmetic<double>;
template decltype(affine<float>) affine<float>;
template decltype(affine<double>) affine<double>;
template decltype(add_channel<float>) add_channel<float>;
template decltype(add_channel<double>) add_channel<double>;
template decltype(scale_shift<float>) scale_shift<float>;
template decltype(scale_shift<double>) scale_shift<double>;
template decltype(scale_shift_backward<float>) scale_shift_backward<float>;
template decltype(scale_shift_backward<double>) scale_shift_backward<double>;

}  // namespace echodiff::reference
