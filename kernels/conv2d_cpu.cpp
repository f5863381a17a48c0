// Direct convolution as matrix products without an im2col buffer: a register tile computes tile_rows pixels by
// tile_columns output channels, and reads its operand A through one pointer per (tap, pixel): the sample's channels, or
// a row of zeros outside the picture (the indirect convolution of Dukhan 2019, arXiv:1907.02129). Backward-data is the
// same loop with other pointers. Backward-weight has pixels as its summation axis: A is dy by columns, B is gathered.
#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/gemm.h"
#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {
namespace {

// What forward and backward-data share: out (N, out_h, out_w, out_channels) from in (N, in_h, in_w, in_channels).
struct Indirection {
  int64_t N, out_h, out_w, out_channels, in_h, in_w, in_channels;
  int64_t taps, groups;
  const float* in;
  const float* bias;
  float* out;
};

constexpr int64_t kPixelBlock = 96;  // pixels a piece of work covers; a multiple of every tile height

// source(tap, i, j): offset in pixels of the sample that output pixel (i, j) reads through `tap`, or -1.
// packed: per group, per panel of output channels, [taps][in_channels/groups][tile_columns].
template <class Source>
void convolve(const Indirection& v, const float* packed, Source&& source) {
  const SimdKernels& simd = simd_kernels();
  const int64_t rows = simd.tile_rows, columns = simd.tile_columns;
  const int64_t in_group = v.in_channels / v.groups, out_group = v.out_channels / v.groups, depth = v.taps * in_group;
  const int64_t pixels = v.out_h * v.out_w, blocks = (pixels + kPixelBlock - 1) / kPixelBlock;
  float* zeros = scratch(Slot::rows, in_group);
  std::fill_n(zeros, in_group, 0.0f);
  parallel_for(v.N * blocks, [&](int64_t piece) {
    const int64_t n = piece / blocks, p0 = piece % blocks * kPixelBlock, p1 = std::min(pixels, p0 + kPixelBlock);
    const int64_t tiles = (p1 - p0 + rows - 1) / rows;
    thread_local std::vector<const float*> pointers;  // [tile][tap][row]
    pointers.resize(size_t(tiles * v.taps * rows));
    float* tile = scratch(Slot::tile, rows * columns);
    for (int64_t group = 0; group < v.groups; ++group) {
      for (int64_t t = 0; t < tiles; ++t)
        for (int64_t i = 0; i < rows; ++i) {
          const int64_t p = std::min(p0 + t * rows + i, p1 - 1), h = p / v.out_w, w = p % v.out_w;
          for (int64_t tap = 0; tap < v.taps; ++tap) {
            const int64_t from = source(tap, h, w);
            pointers[size_t((t * v.taps + tap) * rows + i)] =
                from < 0 ? zeros : v.in + (n * v.in_h * v.in_w + from) * v.in_channels + group * in_group;
          }
        }
      for (int64_t k0 = 0; k0 < out_group; k0 += columns) {
        const int64_t width = std::min(columns, out_group - k0);
        const float* panel = packed + group * packed_size(out_group, depth) + k0 * depth;
        float bias[64] = {};
        if (v.bias) std::memcpy(bias, v.bias + group * out_group + k0, size_t(width) * sizeof(float));
        for (int64_t t = 0; t < tiles; ++t) {
          const int64_t height = std::min(rows, p1 - p0 - t * rows);
          float* out = v.out + (n * pixels + p0 + t * rows) * v.out_channels + group * out_group + k0;
          const bool whole = height == rows && width == columns;
          simd.gemm_rows(v.taps, in_group, &pointers[size_t(t * v.taps * rows)], panel, bias, false, whole ? out : tile,
                         whole ? v.out_channels : columns);
          if (!whole)
            for (int64_t i = 0; i < height; ++i)
              std::memcpy(out + i * v.out_channels, tile + i * columns, size_t(width) * sizeof(float));
        }
      }
    }
  });
}

}  // namespace

void conv2d_forward(const Conv2dGeometry& g, const float* x, const float* w, const float* bias, float* y) {
  const int64_t C = g.C / g.groups, K = g.K / g.groups, depth = g.R * g.S * C;
  float* packed = scratch(Slot::packed_a, g.groups * packed_size(K, depth));
  for (int64_t group = 0; group < g.groups; ++group)  // B[(r, s, c)][k] = w[k][r][s][c]
    pack_columns(K, depth, {w + group * K * depth, 1, depth}, packed + group * packed_size(K, depth));
  const Indirection v{g.N, g.out_height, g.out_width, g.K, g.H, g.W, g.C, g.R * g.S, g.groups, x, bias, y};
  convolve(v, packed, [&](int64_t tap, int64_t i, int64_t j) -> int64_t {
    const int64_t h = i * g.stride_h - g.padding_h + tap / g.S * g.dilation_h;
    const int64_t w_at = j * g.stride_w - g.padding_w + tap % g.S * g.dilation_w;
    return h < 0 || h >= g.H || w_at < 0 || w_at >= g.W ? -1 : h * g.W + w_at;
  });
}

void conv2d_backward_data(const Conv2dGeometry& g, const float* dy, const float* w, const float* bias, float* dx) {
  const int64_t C = g.C / g.groups, K = g.K / g.groups, taps = g.R * g.S, columns = simd_kernels().tile_columns;
  const int64_t depth = taps * K;
  float* packed = scratch(Slot::packed_a, g.groups * packed_size(C, depth));
  for (int64_t group = 0; group < g.groups; ++group)  // B[(r, s, k)][c] = w[k][r][s][c]
    for (int64_t c0 = 0; c0 < C; c0 += columns)
      for (int64_t tap = 0; tap < taps; ++tap)
        pack_columns(std::min(columns, C - c0), K, {w + (group * K * taps + tap) * C + c0, taps * C, 1},
                     packed + group * packed_size(C, depth) + c0 * depth + tap * K * columns);
  const Indirection v{g.N, g.H, g.W, g.C, g.out_height, g.out_width, g.K, taps, g.groups, dy, bias, dx};
  convolve(v, packed, [&](int64_t tap, int64_t h, int64_t w_at) -> int64_t {
    const int64_t i = h + g.padding_h - tap / g.S * g.dilation_h, j = w_at + g.padding_w - tap % g.S * g.dilation_w;
    if (i < 0 || j < 0 || i % g.stride_h != 0 || j % g.stride_w != 0) return -1;
    const int64_t row = i / g.stride_h, column = j / g.stride_w;
    return row >= g.out_height || column >= g.out_width ? -1 : row * g.out_width + column;
  });
}

// dw (K, (r, s, c)) = dy^T (K, pixels) * samples (pixels, (r, s, c)). Pixels are summed in chunks, chunk after chunk.
void conv2d_backward_weight(const Conv2dGeometry& g, const float* x, const float* dy, float* dw) {
  constexpr int64_t kChunk = 512;
  const int64_t C = g.C / g.groups, K = g.K / g.groups, depth = g.R * g.S * C, columns = simd_kernels().tile_columns;
  const int64_t panels = (depth + columns - 1) / columns;
  const int64_t pixels = g.out_height * g.out_width, total = g.N * pixels;
  parallel_for(g.groups * panels, [&](int64_t piece) {
    const int64_t group = piece / panels, d0 = piece % panels * columns, width = std::min(columns, depth - d0);
    float* gathered = scratch(Slot::sums, kChunk * columns);
    for (int64_t p0 = 0; p0 < total; p0 += kChunk) {
      const int64_t count = std::min(kChunk, total - p0);
      for (int64_t d = 0; d < width;) {  // runs of channels under one tap
        const int64_t tap = (d0 + d) / C, c = (d0 + d) % C, run = std::min(width - d, C - c);
        const int64_t dh = tap / g.S * g.dilation_h - g.padding_h, dwid = tap % g.S * g.dilation_w - g.padding_w;
        int64_t n = p0 / pixels, i = p0 % pixels / g.out_width, j = p0 % pixels % g.out_width;
        for (int64_t p = 0; p < count; ++p) {
          const int64_t h = i * g.stride_h + dh, w_at = j * g.stride_w + dwid;
          float* into = gathered + p * columns + d;
          if (h < 0 || h >= g.H || w_at < 0 || w_at >= g.W) std::fill_n(into, run, 0.0f);
          else std::copy_n(x + ((n * g.H + h) * g.W + w_at) * g.C + group * C + c, run, into);
          if (++j == g.out_width) {
            j = 0;
            if (++i == g.out_height) i = 0, ++n;
          }
        }
        d += run;
      }
      // gathered is (count, columns): already a packed panel when zero beyond `width`, which the tile ignores anyway
      for (int64_t p = 0; width < columns && p < count; ++p) std::fill_n(gathered + p * columns + width, columns - width, 0.0f);
      gemm(K, width, count, {dy + p0 * g.K + group * K, 1, g.K}, {gathered, columns, 1}, dw + group * K * depth + d0, depth, p0 > 0);
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
