#include "kernels/resize.h"

#include <algorithm>
#include <cmath>

#include "kernels/grain.h"
#include "kernels/thread_pool.h"

namespace echodiff {
namespace {

AxisTaps no_taps(int64_t in, int64_t out) { return {in, out, {0}, {}, {}}; }

void add_tap(AxisTaps& taps, int64_t index, double weight) {
  taps.index.push_back(std::clamp<int64_t>(index, 0, taps.in - 1));
  taps.weight.push_back(weight);
}

void end_output(AxisTaps& taps) { taps.begin.push_back(int64_t(taps.index.size())); }

// Where output j lies between the inputs, in units of input pixels.
double source_position(int64_t j, int64_t in, int64_t out, bool align_corners) {
  if (align_corners) return out > 1 ? double(j) * double(in - 1) / double(out - 1) : 0.0;
  return (double(j) + 0.5) * double(in) / double(out) - 0.5;
}

// The two branches of Keys' cubic: |d| <= 1 and 1 < |d| < 2.
double cubic_near(double d, double a) { return ((a + 2) * d - (a + 3)) * d * d + 1; }
double cubic_far(double d, double a) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; }

double triangle_filter(double d) { return std::max(0.0, 1 - std::abs(d)); }
double cubic_filter(double d) {
  d = std::abs(d);
  return d < 1 ? cubic_near(d, -0.5) : d < 2 ? cubic_far(d, -0.5) : 0.0;
}

}  // namespace

AxisTaps nearest_taps(int64_t in, int64_t out) {
  AxisTaps taps = no_taps(in, out);
  const float scale = float(in) / float(out);
  for (int64_t j = 0; j < out; ++j) {
    add_tap(taps, int64_t(std::floor(float(j) * scale)), 1);
    end_output(taps);
  }
  return taps;
}

AxisTaps bilinear_taps(int64_t in, int64_t out, bool align_corners) {
  AxisTaps taps = no_taps(in, out);
  for (int64_t j = 0; j < out; ++j) {
    const double position = std::max(0.0, source_position(j, in, out, align_corners));
    const int64_t low = int64_t(position);
    add_tap(taps, low, 1 - (position - double(low)));
    add_tap(taps, low + 1, position - double(low));
    end_output(taps);
  }
  return taps;
}

AxisTaps bicubic_taps(int64_t in, int64_t out, bool align_corners) {
  AxisTaps taps = no_taps(in, out);
  for (int64_t j = 0; j < out; ++j) {
    const double position = source_position(j, in, out, align_corners);
    const int64_t low = int64_t(std::floor(position));
    const double t = position - double(low), a = -0.75;
    add_tap(taps, low - 1, cubic_far(1 + t, a));
    add_tap(taps, low, cubic_near(t, a));
    add_tap(taps, low + 1, cubic_near(1 - t, a));
    add_tap(taps, low + 2, cubic_far(2 - t, a));
    end_output(taps);
  }
  return taps;
}

AxisTaps antialias_taps(int64_t in, int64_t out, bool cubic) {
  AxisTaps taps = no_taps(in, out);
  const double scale = double(in) / double(out), widening = std::max(1.0, scale);
  const double support = (cubic ? 2.0 : 1.0) * widening;
  for (int64_t j = 0; j < out; ++j) {
    const double center = scale * (double(j) + 0.5);
    const int64_t first = std::max<int64_t>(0, int64_t(center - support + 0.5));
    const int64_t last = std::min(in, int64_t(center + support + 0.5));
    const size_t start = taps.weight.size();
    double sum = 0;
    for (int64_t i = first; i < last; ++i) {
      const double d = (double(i) - center + 0.5) / widening;
      add_tap(taps, i, cubic ? cubic_filter(d) : triangle_filter(d));
      sum += taps.weight.back();
    }
    for (size_t k = start; k < taps.weight.size(); ++k) taps.weight[k] /= sum;
    end_output(taps);
  }
  return taps;
}

AxisTaps transpose(const AxisTaps& taps) {
  AxisTaps transposed = no_taps(taps.out, taps.in);
  std::vector<std::vector<std::pair<int64_t, double>>> rows(size_t(taps.in));
  for (int64_t j = 0; j < taps.out; ++j)
    for (int64_t k = taps.begin[size_t(j)]; k < taps.begin[size_t(j) + 1]; ++k)
      rows[size_t(taps.index[size_t(k)])].push_back({j, taps.weight[size_t(k)]});
  for (const std::vector<std::pair<int64_t, double>>& row : rows) {
    for (const std::pair<int64_t, double>& tap : row) add_tap(transposed, tap.first, tap.second);
    end_output(transposed);
  }
  return transposed;
}

namespace reference {

template <class T> void resize_axis(const AxisTaps& taps, int64_t outer, int64_t inner, const T* x, T* y) {
  parallel_ranges(outer * taps.out, row_grain(inner), [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const size_t j = size_t(line % taps.out);
      const T* in = x + line / taps.out * taps.in * inner;
      T* out = y + line * inner;
      std::fill_n(out, inner, T(0));
      for (size_t k = size_t(taps.begin[j]); k < size_t(taps.begin[j + 1]); ++k) {
        const T weight = T(taps.weight[k]);
        const T* row = in + taps.index[k] * inner;
        for (int64_t i = 0; i < inner; ++i) out[i] += weight * row[i];
      }
    }
  });
}

template <class T> void upsample_nearest2_forward(Upsample2Geometry geo, const T* x, T* y) {
  const int64_t line = 2 * geo.W * geo.C;  // elements of one output row
  parallel_ranges(geo.N * geo.H, row_grain(2 * line), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* out = y + row * 2 * line;
      for (int64_t w = 0; w < geo.W; ++w) {
        const T* pixel = x + (row * geo.W + w) * geo.C;
        std::copy_n(pixel, geo.C, out + 2 * w * geo.C);
        std::copy_n(pixel, geo.C, out + (2 * w + 1) * geo.C);
      }
      std::copy_n(out, line, out + line);
    }
  });
}

template <class T> void upsample_nearest2_backward(Upsample2Geometry geo, const T* dy, T* dx) {
  const int64_t line = 2 * geo.W * geo.C;
  parallel_ranges(geo.N * geo.H, row_grain(2 * line), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t w = 0; w < geo.W; ++w) {
        const T* top = dy + row * 2 * line + 2 * w * geo.C;
        const T* bottom = top + line;
        T* out = dx + (row * geo.W + w) * geo.C;
        for (int64_t c = 0; c < geo.C; ++c) out[c] = (top[c] + top[c + geo.C]) + (bottom[c] + bottom[c + geo.C]);
      }
    }
  });
}

template decltype(resize_axis<float>) resize_axis<float>;
template decltype(resize_axis<double>) resize_axis<double>;
template decltype(upsample_nearest2_forward<float>) upsample_nearest2_forward<float>;
template decltype(upsample_nearest2_forward<double>) upsample_nearest2_forward<double>;
template decltype(upsample_nearest2_backward<float>) upsample_nearest2_backward<float>;
template decltype(upsample_nearest2_backward<double>) upsample_nearest2_backward<double>;

}  // namespace reference
}  // namespace echodiff
