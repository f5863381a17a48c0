// Sums run along the channels of each pixel (contiguous), in chunks of kChunk pixels: in order, and in double.
#include <algorithm>
#include <cmath>

#include "kernels/group_norm.h"
#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {
namespace {

constexpr int64_t kChunk = 64;  // pixels

int64_t chunks_of(const GroupNormGeometry& g) { return (g.pixels + kChunk - 1) / kChunk; }

// body(n, first element, pixels, piece) for every chunk of every sample, on all threads.
template <class Body> void for_chunks(const GroupNormGeometry& g, const Body& body) {
  const int64_t chunks = chunks_of(g);
  parallel_for(g.N * chunks, [&](int64_t piece) {
    const int64_t n = piece / chunks, p = piece % chunks * kChunk;
    body(n, (n * g.pixels + p) * g.C, std::min(kChunk, g.pixels - p), piece);
  });
}

// sum over the chunks of sample n of rows[piece * stride + at]
double sum_of_chunks(const GroupNormGeometry& g, const float* rows, int64_t stride, int64_t n, int64_t at) {
  double sum = 0;
  for (int64_t piece = n * chunks_of(g); piece < (n + 1) * chunks_of(g); ++piece)
    sum += double(rows[piece * stride + at]);
  return sum;
}

// What follows the norm, per sample and channel, as factor h + shift; data (N, 2C) = s | shift, or null.
struct Modulation {
  const float* data;
  int64_t C;
  double factor(int64_t n, int64_t c) const { return data != nullptr ? 1 + double(data[n * 2 * C + c]) : 1; }
  double shift(int64_t n, int64_t c) const { return data != nullptr ? double(data[n * 2 * C + C + c]) : 0; }
};

// The whole op as scale x + offset, for sample n and channel c of a group with mean m and 1/deviation r.
void affine_map(const Modulation& modulation, int64_t n, int64_t c, double m, double r, const float* weight,
                const float* bias, float* scale, float* offset) {
  const double factor = modulation.factor(n, c), slope = r * double(weight[c]);
  scale[n * modulation.C + c] = float(slope * factor);
  offset[n * modulation.C + c] = float((double(bias[c]) - m * slope) * factor + modulation.shift(n, c));
}

// mean and rstd (N, G), and per sample and channel the affine map that is the whole op: scale and offset (N, C).
void statistics(const GroupNormGeometry& g, const float* x, const float* weight, const float* bias,
                const float* modulation, double eps, float* mean, float* rstd, float* scale, float* offset) {
  const SimdKernels& simd = simd_kernels();
  const int64_t C = g.C, width = C / g.G;
  const double M = double(g.pixels * width);
  float* rows = scratch(Scratch::sums, (g.N * chunks_of(g) + g.N) * C);
  float* center = rows + g.N * chunks_of(g) * C;
  for_chunks(g, [&](int64_t, int64_t at, int64_t pixels, int64_t piece) {
    std::fill_n(rows + piece * C, C, 0.0f);
    simd.column_sums(pixels, C, x + at, rows + piece * C);
  });
  parallel_for(g.N * g.G, [&](int64_t i) {
    const int64_t n = i / g.G, first = i % g.G * width;
    double sum = 0;
    for (int64_t c = first; c < first + width; ++c) sum += sum_of_chunks(g, rows, C, n, c);
    mean[i] = float(sum / M);
    rstd[i] = float(sum / M - double(mean[i]));  // for now: what rounding the mean left out
    std::fill_n(center + n * C + first, width, mean[i]);
  });
  for_chunks(g, [&](int64_t n, int64_t at, int64_t pixels, int64_t piece) {
    std::fill_n(rows + piece * C, C, 0.0f);
    simd.column_squares(pixels, C, x + at, center + n * C, rows + piece * C);
  });
  parallel_for(g.N * g.G, [&](int64_t i) {
    const int64_t n = i / g.G, first = i % g.G * width;
    double squares = 0;  // about the rounded mean; the exact variance is less by the rounding's square
    for (int64_t c = first; c < first + width; ++c) squares += sum_of_chunks(g, rows, C, n, c);
    const double rounding = double(rstd[i]), m = double(mean[i]) + rounding;
    const double r = 1 / std::sqrt(std::max(0.0, squares / M - rounding * rounding) + eps);
    rstd[i] = float(r);
    for (int64_t c = first; c < first + width; ++c)
      affine_map({modulation, C}, n, c, m, r, weight, bias, scale, offset);
  });
}

// Forward of both forms.
template <class Map>
void forward(const GroupNormGeometry& g, const float* x, const float* weight, const float* bias,
             const float* modulation, double eps, float* y, float* mean, float* rstd, const Map& map) {
  float* scale = scratch(Scratch::rows, 2 * g.N * g.C);
  float* offset = scale + g.N * g.C;
  statistics(g, x, weight, bias, modulation, eps, mean, rstd, scale, offset);
  for_chunks(g, [&](int64_t n, int64_t at, int64_t pixels, int64_t) {
    map(pixels, g.C, x + at, scale + n * g.C, offset + n * g.C, y + at);
  });
}

// The reference's formulas, sorted by what varies per pixel. With h = (x - mean) rstd weight + bias and
// z = (1 + s) h + shift, or z = h where there is no modulation: from dz, its sums, and dx = p dz + q x + r with p, q, r
// per (sample, channel).
// rows: per chunk, C sums of dz and C sums of dz (x - mean).
void backward(const GroupNormGeometry& g, const float* x, const float* weight, const float* bias,
              const float* modulation, const float* mean, const float* rstd, const float* dz, const float* rows,
              float* dx, float* dweight, float* dbias, float* dmodulation) {
  const int64_t C = g.C, width = C / g.G;
  const double M = double(g.pixels * width);
  float* p = scratch(Scratch::rows, 5 * g.N * C);
  float *q = p + g.N * C, *r = q + g.N * C, *weight_sums = r + g.N * C, *bias_sums = weight_sums + g.N * C;
  parallel_for(g.N * g.G, [&](int64_t i) {
    const int64_t n = i / g.G, first = i % g.G * width;
    const double m = double(mean[i]), s = double(rstd[i]);
    double sum_g = 0, sum_g_xhat = 0;
    for (int64_t c = first; c < first + width; ++c) {
      const double factor = Modulation{modulation, C}.factor(n, c), w = double(weight[c]);
      const double sum = sum_of_chunks(g, rows, 2 * C, n, c), sum_xhat = s * sum_of_chunks(g, rows, 2 * C, n, C + c);
      if (dmodulation != nullptr) {
        dmodulation[n * 2 * C + c] = float(w * sum_xhat + double(bias[c]) * sum);
        dmodulation[n * 2 * C + C + c] = float(sum);
      }
      weight_sums[n * C + c] = float(factor * sum_xhat);
      bias_sums[n * C + c] = float(factor * sum);
      p[n * C + c] = float(s * w * factor);
      sum_g += w * factor * sum;
      sum_g_xhat += w * factor * sum_xhat;
    }
    std::fill_n(q + n * C + first, width, float(-s * s * sum_g_xhat / M));
    std::fill_n(r + n * C + first, width, float(-s * sum_g / M + s * s * sum_g_xhat / M * m));
  });
  for_chunks(g, [&](int64_t n, int64_t at, int64_t pixels, int64_t) {
    simd_kernels().column_combine(pixels, C, dz + at, x + at, p + n * C, q + n * C, r + n * C, dx + at);
  });
  for (int64_t c = 0; c < C; ++c) {
    double w = 0, b = 0;
    for (int64_t n = 0; n < g.N; ++n) w += double(weight_sums[n * C + c]), b += double(bias_sums[n * C + c]);
    dweight[c] = float(w);
    dbias[c] = float(b);
  }
}

// per (sample, channel), the mean of its group
void spread_means(const GroupNormGeometry& g, const float* mean, float* center) {
  const int64_t width = g.C / g.G;
  for (int64_t i = 0; i < g.N * g.G; ++i) std::fill_n(center + i * width, width, mean[i]);
}

}  // namespace

void group_norm_forward(const GroupNormGeometry& g, const float* x, const float* weight, const float* bias, double eps,
                        float* y, float* mean, float* rstd) {
  forward(g, x, weight, bias, nullptr, eps, y, mean, rstd, simd_kernels().column_affine);
}

void group_norm_backward(const GroupNormGeometry& g, const float* x, const float* weight, const float* mean,
                         const float* rstd, const float* dy, float* dx, float* dweight, float* dbias) {
  const int64_t C = g.C;
  float* rows = scratch(Scratch::sums, (2 * g.N * chunks_of(g) + g.N) * C);
  float* center = rows + 2 * g.N * chunks_of(g) * C;
  spread_means(g, mean, center);
  for_chunks(g, [&](int64_t n, int64_t at, int64_t pixels, int64_t piece) {
    float* sums = rows + piece * 2 * C;
    std::fill_n(sums, 2 * C, 0.0f);
    simd_kernels().column_products(pixels, C, dy + at, x + at, center + n * C, sums, sums + C);
  });
  backward(g, x, weight, nullptr, nullptr, mean, rstd, dy, rows, dx, dweight, dbias, nullptr);
}

void group_norm_silu_forward(const GroupNormGeometry& g, const float* x, const float* weight, const float* bias,
                             const float* modulation, double eps, float* y, float* mean, float* rstd) {
  forward(g, x, weight, bias, modulation, eps, y, mean, rstd, simd_kernels().column_silu);
}

void group_norm_silu_backward(const GroupNormGeometry& g, const float* x, const float* weight, const float* bias,
                              const float* modulation, const float* mean, const float* rstd, const float* dy, float* dx,
                              float* dweight, float* dbias, float* dmodulation) {
  const int64_t C = g.C, width = C / g.G;
  float* rows = scratch(Scratch::sums, (2 * g.N * chunks_of(g) + 3 * g.N) * C);
  float *center = rows + 2 * g.N * chunks_of(g) * C, *scale = center + g.N * C, *offset = scale + g.N * C;
  spread_means(g, mean, center);
  for (int64_t i = 0; i < g.N * C; ++i) {
    const int64_t n = i / C, c = i % C;
    affine_map({modulation, C}, n, c, double(center[i]), double(rstd[n * g.G + c / width]), weight, bias, scale,
               offset);
  }
  for_chunks(g, [&](int64_t n, int64_t at, int64_t pixels, int64_t piece) {
    float* sums = rows + piece * 2 * C;
    std::fill_n(sums, 2 * C, 0.0f);
    simd_kernels().column_silu_backward(pixels, C, x + at, dy + at, scale + n * C, offset + n * C, center + n * C,
                                        dx + at, sums, sums + C);
  });
  backward(g, x, weight, bias, modulation, mean, rstd, dx, rows, dx, dweight, dbias, dmodulation);
}

}  // namespace echodiff::cpu
