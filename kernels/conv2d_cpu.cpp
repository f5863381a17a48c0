// Direct convolution as matrix products without an im2col buffer: a register tile computes tile_rows pixels by
// tile_columns output channels, and reads its operand A through one pointer per (tap, pixel): the sample's channels, or
// a row of zeros outside the picture (the indirect convolution of Dukhan 2019, arXiv:1907.02129). Backward-data is the
// same loop with other pointers. Backward-weight has pixels as its summation axis: A is dy by columns, B is gathered.
#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/conv2d_winograd.h"
#include "kernels/gemm.h"
#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {
namespace {

// What forward and backward-data share: out (N, out_h, out_w, out_channels) from in (N, in_h, in_w, in_channels). Output
// pixel (i, j) reads, through tap (r, s), sample (i * multiplier + rows[r]) / divisor, and the like for columns; outside
// the picture, or where the division leaves a rest, it reads zeros.
struct Indirection {
  int64_t N, out_h, out_w, out_channels, in_h, in_w, in_channels, groups;
  std::vector<int64_t> rows, columns;  // offsets by r and by s
  int64_t multiplier_h, multiplier_w, divisor_h, divisor_w;
  const float* in;
  const float* bias;
  float* out;
  int64_t taps() const { return int64_t(rows.size() * columns.size()); }
};

constexpr int64_t kPixelBlock = 96;  // pixels a piece of work covers; a multiple of every tile height

// The sample at `position` along one axis, or -1.
inline int64_t sample_at(int64_t position, int64_t divisor, int64_t size) {
  if (position < 0) return -1;
  if (divisor != 1) {
    if (position % divisor != 0) return -1;
    position /= divisor;
  }
  return position < size ? position : -1;
}

// pointers[tap * stride] = the channels of group 0 that output pixel p of picture n reads through `tap`, or `zeros`.
void fill_pointers(const Indirection& v, int64_t n, int64_t p, const float* zeros, const float** pointers, int64_t stride) {
  const int64_t i = p / v.out_w * v.multiplier_h, j = p % v.out_w * v.multiplier_w;
  for (int64_t dh : v.rows) {
    const int64_t h = sample_at(i + dh, v.divisor_h, v.in_h);
    const float* row = v.in + (n * v.in_h + h) * v.in_w * v.in_channels;
    for (int64_t dw : v.columns) {
      const int64_t w = h < 0 ? -1 : sample_at(j + dw, v.divisor_w, v.in_w);
      *pointers = w < 0 ? zeros : row + w * v.in_channels;
      pointers += stride;
    }
  }
}

// packed: per group, per panel of output channels, [taps][in_channels/groups][tile_columns].
void convolve(const Indirection& v, const float* packed) {
  const SimdKernels& simd = simd_kernels();
  const int64_t rows = simd.tile_rows, columns = simd.tile_columns, taps = v.taps();
  const int64_t in_group = v.in_channels / v.groups, out_group = v.out_channels / v.groups, depth = taps * in_group;
  const int64_t pixels = v.out_h * v.out_w, blocks = (pixels + kPixelBlock - 1) / kPixelBlock;
  float* zeros = scratch(Slot::rows, v.in_channels);
  std::fill_n(zeros, v.in_channels, 0.0f);
  parallel_for(v.N * blocks, [&](int64_t piece) {
    const int64_t n = piece / blocks, p0 = piece % blocks * kPixelBlock, p1 = std::min(pixels, p0 + kPixelBlock);
    const int64_t tiles = (p1 - p0 + rows - 1) / rows;
    thread_local std::vector<const float*> pointers;  // [tile][tap][row]
    pointers.resize(size_t(tiles * taps * rows));
    for (int64_t i = 0; i < tiles * rows; ++i)
      fill_pointers(v, n, std::min(p0 + i, p1 - 1), zeros, pointers.data() + i / rows * taps * rows + i % rows, rows);
    float* tile = scratch(Slot::tile, rows * columns);
    for (int64_t group = 0; group < v.groups; ++group) {
      for (int64_t k0 = 0; k0 < out_group; k0 += columns) {
        const int64_t width = std::min(columns, out_group - k0);
        const float* panel = packed + group * packed_size(out_group, depth) + k0 * depth;
        float bias[64] = {};
        if (v.bias) std::memcpy(bias, v.bias + group * out_group + k0, size_t(width) * sizeof(float));
        for (int64_t t = 0; t < tiles; ++t) {
          const int64_t height = std::min(rows, p1 - p0 - t * rows);
          float* out = v.out + (n * pixels + p0 + t * rows) * v.out_channels + group * out_group + k0;
          const bool whole = height == rows && width == columns;
          simd.gemm_rows(taps, in_group, pointers.data() + t * taps * rows, panel, bias, false, whole ? out : tile,
                         whole ? v.out_channels : columns);
          if (!whole)
            for (int64_t i = 0; i < height; ++i)
              std::memcpy(out + i * v.out_channels, tile + i * columns, size_t(width) * sizeof(float));
        }
      }
      for (const float*& pointer : pointers) pointer += pointer == zeros ? 0 : in_group;  // the next group's channels
    }
  });
}

// The samples that y's pixels read: forward's pointers.
Indirection forward_indirection(const Conv2dGeometry& g, const float* x, const float* bias, float* y) {
  Indirection v{g.N, g.out_height, g.out_width, g.K, g.H, g.W, g.C, g.groups, {}, {}, g.stride_h, g.stride_w, 1, 1, x, bias, y};
  for (int64_t r = 0; r < g.R; ++r) v.rows.push_back(r * g.dilation_h - g.padding_h);
  for (int64_t s = 0; s < g.S; ++s) v.columns.push_back(s * g.dilation_w - g.padding_w);
  return v;
}

}  // namespace

void conv2d_forward(const Conv2dGeometry& g, const float* x, const float* w, const float* bias, float* y) {
  if (winograd_suits(g)) return winograd_forward(g, x, w, bias, y);
  const int64_t C = g.C / g.groups, K = g.K / g.groups, depth = g.R * g.S * C;
  float* packed = scratch(Slot::packed_a, g.groups * packed_size(K, depth));
  for (int64_t group = 0; group < g.groups; ++group)  // B[(r, s, c)][k] = w[k][r][s][c]
    pack_columns(K, depth, {w + group * K * depth, 1, depth}, packed + group * packed_size(K, depth));
  convolve(forward_indirection(g, x, bias, y), packed);
}

void conv2d_backward_data(const Conv2dGeometry& g, const float* dy, const float* w, const float* bias, float* dx) {
  if (winograd_suits(g)) return winograd_backward_data(g, dy, w, bias, dx);
  const int64_t C = g.C / g.groups, K = g.K / g.groups, taps = g.R * g.S, columns = simd_kernels().tile_columns;
  const int64_t depth = taps * K;
  float* packed = scratch(Slot::packed_a, g.groups * packed_size(C, depth));
  for (int64_t group = 0; group < g.groups; ++group)  // B[(r, s, k)][c] = w[k][r][s][c]
    for (int64_t c0 = 0; c0 < C; c0 += columns)
      for (int64_t tap = 0; tap < taps; ++tap)
        pack_columns(std::min(columns, C - c0), K, {w + (group * K * taps + tap) * C + c0, taps * C, 1},
                     packed + group * packed_size(C, depth) + c0 * depth + tap * K * columns);
  Indirection v{g.N, g.H, g.W, g.C, g.out_height, g.out_width, g.K, g.groups, {}, {}, 1, 1, g.stride_h, g.stride_w, dy, bias, dx};
  for (int64_t r = 0; r < g.R; ++r) v.rows.push_back(g.padding_h - r * g.dilation_h);
  for (int64_t s = 0; s < g.S; ++s) v.columns.push_back(g.padding_w - s * g.dilation_w);
  convolve(v, packed);
}

// dw (K, (r, s, c)) = dy^T (K, pixels) * samples (pixels, (r, s, c)). Pixels are summed in chunks, chunk after chunk. A
// piece of work owns the columns of one tap row; its B is the samples themselves, one pointer per (pixel, tap).
void conv2d_backward_weight(const Conv2dGeometry& g, const float* x, const float* dy, float* dw) {
  if (winograd_suits(g)) return winograd_backward_weight(g, x, dy, dw);
  constexpr int64_t kChunk = 256;
  const SimdKernels& simd = simd_kernels();
  const int64_t C = g.C / g.groups, K = g.K / g.groups, depth = g.R * g.S * C;
  const int64_t rows = simd.tile_rows, columns = simd.tile_columns, panels = (C + columns - 1) / columns;
  const int64_t pixels = g.out_height * g.out_width, total = g.N * pixels;
  float* zeros = scratch(Slot::rows, C + columns);
  std::fill_n(zeros, C + columns, 0.0f);
  const Indirection all = forward_indirection(g, x, nullptr, nullptr);
  parallel_for(g.groups * g.R * panels, [&](int64_t piece) {
    const int64_t group = piece / panels / g.R, r = piece / panels % g.R, c0 = piece % panels * columns;
    const int64_t width = std::min(columns, C - c0);
    Indirection one_row = all;
    one_row.rows = {all.rows[size_t(r)]};
    thread_local std::vector<const float*> pointers;  // [tap column][pixel of the chunk]
    pointers.resize(size_t(g.S * kChunk));
    float* narrow = scratch(Slot::sums, kChunk * columns);  // samples of a panel that C cuts short
    float* tile = scratch(Slot::tile, rows * columns);
    float* edge = scratch(Slot::packed_b, kChunk * rows);  // the last rows of dy^T, padded with zeros
    for (int64_t p0 = 0; p0 < total; p0 += kChunk) {
      const int64_t count = std::min(kChunk, total - p0);
      for (int64_t p = 0; p < count; ++p)
        fill_pointers(one_row, (p0 + p) / pixels, (p0 + p) % pixels, nullptr, pointers.data() + p, kChunk);
      const int64_t last = K - K % rows;
      for (int64_t p = 0; last < K && p < count; ++p)
        for (int64_t i = 0; i < rows; ++i)
          edge[p * rows + i] = last + i < K ? dy[(p0 + p) * g.K + group * K + last + i] : 0.0f;
      for (int64_t s = 0; s < g.S; ++s) {
        const float** samples = pointers.data() + s * kChunk;
        for (int64_t p = 0; p < count; ++p) samples[p] = samples[p] ? samples[p] + group * C + c0 : zeros;
        for (int64_t p = 0; width < columns && p < count; ++p) {
          std::copy_n(samples[p], width, narrow + p * columns);
          std::fill_n(narrow + p * columns + width, columns - width, 0.0f);
          samples[p] = narrow + p * columns;
        }
        for (int64_t k = 0; k < K; k += rows) {
          float* out = dw + (group * K + k) * depth + (r * g.S + s) * C + c0;
          const bool whole = k < last && width == columns;
          simd.gemm_samples(count, k < last ? dy + p0 * g.K + group * K + k : edge, k < last ? g.K : rows, samples, whole && p0 > 0,
                            whole ? out : tile, whole ? depth : columns);
          for (int64_t i = 0; !whole && i < std::min(rows, K - k); ++i)
            for (int64_t j = 0; j < width; ++j)
              out[i * depth + j] = p0 > 0 ? out[i * depth + j] + tile[i * columns + j] : tile[i * columns + j];
        }
      }
    }
  });
}

void conv2d_backward_bias(int64_t pixels, int64_t K, const float* dy, float* db) {
  constexpr int64_t kChunk = 1024;
  const int64_t chunks = (pixels + kChunk - 1) / kChunk;
  float* partial = scratch(Slot::sums, chunks * K);
  std::fill_n(partial, chunks * K, 0.0f);
  parallel_for(chunks, [&](int64_t chunk) {
    const int64_t p0 = chunk * kChunk;
    simd_kernels().column_sums(std::min(kChunk, pixels - p0), K, dy + p0 * K, partial + chunk * K);
  });
  for (int64_t k = 0; k < K; ++k) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += double(partial[chunk * K + k]);
    db[k] = float(sum);
  }
}

}  // namespace echodiff::cpu
