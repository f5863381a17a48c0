#include "kernels/pool.h"

#include <algorithm>
#include <limits>

#include "kernels/thread_pool.h"

namespace echodiff {

int64_t pooled_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode) {
  const int64_t room = in + 2 * padding - dilation * (kernel - 1) - 1;  // the last window's largest start
  if (room < 0) return 0;
  const int64_t out = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  return ceil_mode && (out - 1) * stride >= in + padding ? out - 1 : out;
}

PoolAxis window_axis(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding, bool count_include_pad) {
  PoolAxis axis{in, out, {}, {}, {}};
  for (int64_t p = 0; p < out; ++p) {
    const int64_t start = p * stride - padding;
    axis.begin.push_back(std::max<int64_t>(start, 0));
    axis.end.push_back(std::min(start + kernel, in));
    axis.divisor.push_back(count_include_pad ? std::min(start + kernel, in + padding) - start
                                             : axis.end.back() - axis.begin.back());
  }
  return axis;
}

PoolAxis adaptive_axis(int64_t in, int64_t out) {
  PoolAxis axis{in, out, {}, {}, {}};
  for (int64_t p = 0; p < out; ++p) {
    axis.begin.push_back(p * in / out);
    axis.end.push_back(((p + 1) * in + out - 1) / out);
    axis.divisor.push_back(axis.end.back() - axis.begin.back());
  }
  return axis;
}

namespace reference {

template <class T> void max_pool2d_forward(MaxPoolGeometry geo, const T* x, T* y, int64_t* index) {
  parallel_for(geo.N * geo.P, [&](int64_t row) {
    const int64_t n = row / geo.P, top = row % geo.P * geo.stride - geo.padding;
    PoolVector<int64_t> where(static_cast<size_t>(geo.C));
    for (int64_t q = 0; q < geo.Q; ++q) {
      T* best = y + (row * geo.Q + q) * geo.C;
      std::fill_n(best, geo.C, -std::numeric_limits<T>::infinity());
      std::ranges::fill(where, -1);
      const int64_t left = q * geo.stride - geo.padding;
      for (int64_t r = 0; r < geo.kernel; ++r) {
        const int64_t h = top + r * geo.dilation;
        if (h < 0 || h >= geo.H) continue;
        for (int64_t s = 0; s < geo.kernel; ++s) {
          const int64_t w = left + s * geo.dilation;
          if (w < 0 || w >= geo.W) continue;
          const T* pixel = x + ((n * geo.H + h) * geo.W + w) * geo.C;
          for (int64_t c = 0; c < geo.C; ++c) {
            if (pixel[c] > best[c] || where[size_t(c)] < 0 || pixel[c] != pixel[c]) {
              best[c] = pixel[c];
              where[size_t(c)] = h * geo.W + w;
            }
          }
        }
      }
      if (index != nullptr) std::copy(where.begin(), where.end(), index + (row * geo.Q + q) * geo.C);
    }
  });
}

template <class T> void max_pool2d_backward(MaxPoolGeometry geo, const T* dy, const int64_t* index, T* dx) {
  parallel_for(geo.N, [&](int64_t n) {  // windows overlap within a sample
    T* image = dx + n * geo.H * geo.W * geo.C;
    std::fill_n(image, geo.H * geo.W * geo.C, T(0));
    const int64_t first = n * geo.P * geo.Q * geo.C;
    for (int64_t pixel = 0; pixel < geo.P * geo.Q; ++pixel) {
      for (int64_t c = 0; c < geo.C; ++c) {
        const int64_t i = first + pixel * geo.C + c;
        if (index[i] >= 0) image[index[i] * geo.C + c] += dy[i];
      }
    }
  });
}

template <class T> void avg_pool2d_forward(const AvgPoolGeometry& geo, const T* x, T* y) {
  const PoolAxis &rows = geo.rows, &columns = geo.columns;
  parallel_for(geo.N * rows.out, [&](int64_t row) {
    const int64_t n = row / rows.out;
    const size_t p = size_t(row % rows.out);
    for (size_t q = 0; q < size_t(columns.out); ++q) {
      T* out = y + (row * columns.out + int64_t(q)) * geo.C;
      std::fill_n(out, geo.C, T(0));
      for (int64_t h = rows.begin[p]; h < rows.end[p]; ++h) {
        for (int64_t w = columns.begin[q]; w < columns.end[q]; ++w) {
          const T* pixel = x + ((n * rows.in + h) * columns.in + w) * geo.C;
          for (int64_t c = 0; c < geo.C; ++c) out[c] += pixel[c];
        }
      }
      const int64_t divisor = std::max<int64_t>(1, rows.divisor[p] * columns.divisor[q]);
      for (int64_t c = 0; c < geo.C; ++c) out[c] /= T(divisor);
    }
  });
}

template <class T> void avg_pool2d_backward(const AvgPoolGeometry& geo, const T* dy, T* dx) {
  const PoolAxis &rows = geo.rows, &columns = geo.columns;
  parallel_for(geo.N, [&](int64_t n) {  // windows overlap within a sample
    T* image = dx + n * rows.in * columns.in * geo.C;
    std::fill_n(image, rows.in * columns.in * geo.C, T(0));
    for (size_t p = 0; p < size_t(rows.out); ++p) {
      for (size_t q = 0; q < size_t(columns.out); ++q) {
        const T* gradient = dy + ((n * rows.out + int64_t(p)) * columns.out + int64_t(q)) * geo.C;
        const T divisor = T(std::max<int64_t>(1, rows.divisor[p] * columns.divisor[q]));
        for (int64_t h = rows.begin[p]; h < rows.end[p]; ++h) {
          for (int64_t w = columns.begin[q]; w < columns.end[q]; ++w) {
            T* pixel = image + (h * columns.in + w) * geo.C;
            for (int64_t c = 0; c < geo.C; ++c) pixel[c] += gradient[c] / divisor;
          }
        }
      }
    }
  });
}

template decltype(max_pool2d_forward<float>) max_pool2d_forward<float>;
template decltype(max_pool2d_forward<double>) max_pool2d_forward<double>;
template decltype(max_pool2d_backward<float>) max_pool2d_backward<float>;
template decltype(max_pool2d_backward<double>) max_pool2d_backward<double>;
template decltype(avg_pool2d_forward<float>) avg_pool2d_forward<float>;
template decltype(avg_pool2d_forward<double>) avg_pool2d_forward<double>;
template decltype(avg_pool2d_backward<float>) avg_pool2d_backward<float>;
template decltype(avg_pool2d_backward<double>) avg_pool2d_backward<double>;

}  // namespace reference
}  // namespace echodiff
