#include "kernels/softmax.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/grain.h"
#include "kernels/thread_pool.h"

namespace echodiff::reference {
namespace {

// Neighbours along `inner` that go through K together, so that memory is read in lines.
constexpr int64_t kColumns = 64;

// body(offset, width): `width` neighbouring columns, the first at `offset`.
template <class Body> void for_columns(SoftmaxGeometry geo, const Body& body) {
  const int64_t blocks = (geo.inner + kColumns - 1) / kColumns;
  parallel_ranges(geo.outer * blocks, row_grain(geo.K * std::min(geo.inner, kColumns)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t i = begin; i < end; ++i) {
                      const int64_t first = i % blocks * kColumns;
                      body(i / blocks * geo.K * geo.inner + first, std::min(kColumns, geo.inner - first));
                    }
                  });
}

}  // namespace

template <class T> void softmax_forward(SoftmaxGeometry geo, const T* x, T* y) {
  for_columns(geo, [&](int64_t offset, int64_t width) {
    std::array<T, kColumns> max;
    std::array<double, kColumns> sum{};
    std::copy_n(x + offset, width, max.begin());
    for (int64_t k = 1; k < geo.K; ++k) {
      const T* row = x + offset + k * geo.inner;
      for (int64_t j = 0; j < width; ++j) max[size_t(j)] = std::max(max[size_t(j)], row[j]);
    }
    for (int64_t k = 0; k < geo.K; ++k) {
      const T* row = x + offset + k * geo.inner;
      T* out = y + offset + k * geo.inner;
      for (int64_t j = 0; j < width; ++j) {
        out[j] = std::exp(row[j] - max[size_t(j)]);
        sum[size_t(j)] += double(out[j]);
      }
    }
    for (int64_t k = 0; k < geo.K; ++k) {
      T* out = y + offset + k * geo.inner;
      for (int64_t j = 0; j < width; ++j) out[j] = T(double(out[j]) / sum[size_t(j)]);
    }
  });
}

template <class T> void softmax_backward(SoftmaxGeometry geo, const T* y, const T* dy, T* dx) {
  for_columns(geo, [&](int64_t offset, int64_t width) {
    std::array<double, kColumns> dot{};
    for (int64_t k = 0; k < geo.K; ++k) {
      const int64_t row = offset + k * geo.inner;
      for (int64_t j = 0; j < width; ++j) dot[size_t(j)] += double(y[row + j]) * double(dy[row + j]);
    }
    for (int64_t k = 0; k < geo.K; ++k) {
      const int64_t row = offset + k * geo.inner;
      for (int64_t j = 0; j < width; ++j) dx[row + j] = T(double(y[row + j]) * (double(dy[row + j]) - dot[size_t(j)]));
    }
  });
}

template decltype(softmax_forward<float>) softmax_forward<float>;
template decltype(softmax_forward<double>) softmax_forward<double>;
template decltype(softmax_backward<float>) softmax_backward<float>;
template decltype(softmax_backward<double>) softmax_backward<double>;

}  // namespace echodiff::reference
