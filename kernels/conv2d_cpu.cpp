// Direct convolution as matrix products without an im2col buffer: a register tile computes tile_rows pixels by
// tile_columns output channels, and reads its operand A through one pointer per (tap, pixel): the sample's channels, or
// a row of zeros outside the picture (the indirect convolution of Dukhan 2019, arXiv:1907.02129). Backward-data is the
// same loop with other pointers, once per phase of the stride. Backward-weight has pixels as its summation axis: A is
// dy by columns, B is gathered. With few input channels the taps of one kernel row are one long tap: see long_taps.
#include "kernels/conv2d.h"

#include <algorithm>
#include <cstring>

#include "kernels/conv2d_winograd.h"
#include "kernels/gemm.h"
#include "kernels/memory_pool.h"
#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/sum_chunks.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {
namespace {

// A picture in memory: (N, H, W) pixels of which each step to the right moves by `pixel` elements.
struct Picture {
  const float* data;
  int64_t H, W, pixel;
};

// Which samples an output pixel reads: output (i, j) reads, through tap (r, s), sample (i * step_h + rows[r], j *
// step_w + columns[s]), or zeros where that is outside the picture.
struct Taps {
  PoolVector<int64_t> rows, columns;
  int64_t step_h, step_w;
  int64_t count() const { return int64_t(rows.size() * columns.size()); }
};

// Where outputs go: pixel (i, j) of the (height, width) that are computed is pixel (first_h + i * step_h, first_w + j *
// step_w) of pictures (H, W, channels).
struct Output {
  float* data;
  int64_t height, width, H, W, channels, first_h = 0, first_w = 0, step_h = 1, step_w = 1;
  bool dense() const { return step_h == 1 && step_w == 1 && height == H && width == W; }
  float* at(int64_t n, int64_t p) const {
    return data + ((n * H + first_h + p / width * step_h) * W + first_w + p % width * step_w) * channels;
  }
};

// A piece of work: so many pixels (a multiple of every tile height; few, for a core's cache) by all output channels,
// so that memory is written in long lines, or where pieces are few by so many (a multiple of every tile width).
constexpr int64_t kPixelBlock = 24, kChannelBlock = 64, kFewPieces = 32;

// pointers[tap * stride] = the first channel that output pixel p (of `width` columns) of picture n reads, or `zeros`.
void fill_pointers(const Picture& in, const Taps& taps, int64_t width, int64_t n, int64_t p, const float* zeros,
                   const float** pointers, int64_t stride) {
  const int64_t i = p / width * taps.step_h, j = p % width * taps.step_w;
  for (int64_t dh : taps.rows) {
    const int64_t h = i + dh;
    const float* row = in.data + (n * in.H + h) * in.W * in.pixel;
    for (int64_t dw : taps.columns) {
      const int64_t w = j + dw;
      *pointers = h < 0 || h >= in.H || w < 0 || w >= in.W ? zeros : row + w * in.pixel;
      pointers += stride;
    }
  }
}

// packed: per group, per panel of output channels, [taps][depth][tile_columns], with `depth` input channels per group.
void convolve(int64_t N, const Picture& in, const Taps& taps, int64_t depth, int64_t groups, const float* packed,
              const float* bias, const Output& out) {
  const SimdKernels& simd = simd_kernels();
  const int64_t rows = simd.tile_rows, columns = simd.tile_columns, tap_count = taps.count();
  const int64_t out_group = out.channels / groups, pixels = out.height * out.width,
                blocks = (pixels + kPixelBlock - 1) / kPixelBlock;
  const int64_t channel_block = N * blocks < kFewPieces ? kChannelBlock : out_group;
  const int64_t splits = (out_group + channel_block - 1) / channel_block;
  float* zeros = scratch(Scratch::rows, depth * groups);
  std::fill_n(zeros, depth * groups, 0.0f);
  parallel_for(N * blocks * splits, [&](int64_t piece) {
    const int64_t n = piece / splits / blocks, p0 = piece / splits % blocks * kPixelBlock,
                  p1 = std::min(pixels, p0 + kPixelBlock);
    const int64_t first = piece % splits * channel_block, last = std::min(out_group, first + channel_block);
    const int64_t tiles = (p1 - p0 + rows - 1) / rows;
    thread_local PoolVector<const float*> pointers;  // [tile][tap][row]
    pointers.resize(size_t(tiles * tap_count * rows));
    for (int64_t i = 0; i < tiles * rows; ++i)
      fill_pointers(in, taps, out.width, n, std::min(p0 + i, p1 - 1), zeros,
                    pointers.data() + i / rows * tap_count * rows + i % rows, rows);
    float* tile = scratch(Scratch::tile, rows * columns);
    for (int64_t group = 0; group < groups; ++group) {
      for (int64_t k0 = first; k0 < last; k0 += columns) {
        const int64_t width = std::min(columns, out_group - k0), channel = group * out_group + k0;
        const float* panel = packed + group * packed_size(out_group, tap_count * depth) + k0 * tap_count * depth;
        float start[64] = {};
        if (bias) std::memcpy(start, bias + channel, size_t(width) * sizeof(float));
        for (int64_t t = 0; t < tiles; ++t) {
          const int64_t p = p0 + t * rows, height = std::min(rows, p1 - p);
          const bool whole = height == rows && width == columns && out.dense();
          simd.gemm_rows(tap_count, depth, pointers.data() + t * tap_count * rows, panel, start, false,
                         whole ? out.at(n, p) + channel : tile, whole ? out.channels : columns);
          for (int64_t i = 0; !whole && i < height; ++i)
            std::memcpy(out.at(n, p + i) + channel, tile + i * columns, size_t(width) * sizeof(float));
        }
      }
      for (const float*& pointer : pointers) pointer += pointer == zeros ? 0 : depth;  // the next group's channels
    }
  });
}

// A convolution of few channels seen as one with S times as many and kernels one column wide: in memory the samples of
// a kernel row are neighbours, once the picture has its padding.
struct LongTaps {
  Conv2dGeometry geometry;
  Picture samples;
};
bool has_long_taps(const Conv2dGeometry& g) { return g.groups == 1 && g.dilation_w == 1 && g.S > 1 && g.C < 16; }
LongTaps long_taps(const Conv2dGeometry& g, const float* x) {
  const int64_t width = g.W + 2 * g.padding_w;
  float* padded = scratch(Scratch::samples, g.N * g.H * width * g.C);
  parallel_for(g.N * g.H, [&](int64_t row) {
    float* into = padded + row * width * g.C;
    std::fill_n(into, g.padding_w * g.C, 0.0f);
    std::memcpy(into + g.padding_w * g.C, x + row * g.W * g.C, size_t(g.W * g.C) * sizeof(float));
    std::fill_n(into + (g.padding_w + g.W) * g.C, g.padding_w * g.C, 0.0f);
  });
  LongTaps wide{g, {padded, g.H, width, g.C}};
  wide.geometry.C = g.S * g.C;
  wide.geometry.S = 1;
  wide.geometry.padding_w = 0;
  return wide;
}

Taps forward_taps(const Conv2dGeometry& g) {
  Taps taps{{}, {}, g.stride_h, g.stride_w};
  for (int64_t r = 0; r < g.R; ++r) taps.rows.push_back(r * g.dilation_h - g.padding_h);
  for (int64_t s = 0; s < g.S; ++s) taps.columns.push_back(s * g.dilation_w - g.padding_w);
  return taps;
}

// Along one axis: the pixels of x that are `phase` modulo the stride, and through which kernel positions dy reaches
// them.
struct Phase {
  int64_t first, count;
  PoolVector<int64_t> kernel, offsets;  // position r reads dy at i + offset
};
Phase phase_of(int64_t phase, int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
  Phase made{phase, size > phase ? (size - phase + stride - 1) / stride : 0, {}, {}};
  for (int64_t r = 0; r < kernel; ++r) {
    const int64_t position = phase + padding - r * dilation;
    if (position % stride != 0) continue;
    made.kernel.push_back(r);
    made.offsets.push_back(position / stride);
  }
  return made;
}

void forward(const Conv2dGeometry& g, const Picture& x, const float* packed, const float* bias, float* y) {
  convolve(g.N, x, forward_taps(g), g.C / g.groups, g.groups, packed, bias,
           {y, g.out_height, g.out_width, g.out_height, g.out_width, g.K});
}

// Puts the leading height x width of a register tile into rows of `stride` elements, or adds it to what they hold.
void put_part(const float* tile, int64_t height, int64_t width, bool accumulate, float* out, int64_t stride) {
  const int64_t columns = simd_kernels().tile_columns;
  for (int64_t i = 0; i < height; ++i)
    for (int64_t j = 0; j < width; ++j)
      out[i * stride + j] = accumulate ? out[i * stride + j] + tile[i * columns + j] : tile[i * columns + j];
}

constexpr int64_t kChunk = 256;  // pixels whose products a weight gradient sums before it adds them to the others

// dw (K, (r, s, c)) = dy^T (K, pixels) * samples (pixels, (r, s, c)). Pixels are summed in chunks, chunk after chunk. A
// piece of work owns the columns of one tap row; its B is the samples themselves, one pointer per (pixel, tap).
void backward_weight(const Conv2dGeometry& g, const Picture& x, const float* dy, float* dw) {
  const SimdKernels& simd = simd_kernels();
  const int64_t C = g.C / g.groups, K = g.K / g.groups, depth = g.R * g.S * C;
  const int64_t rows = simd.tile_rows, columns = simd.tile_columns, panels = (C + columns - 1) / columns;
  const int64_t pixels = g.out_height * g.out_width, total = g.N * pixels;
  float* zeros = scratch(Scratch::rows, C + columns);
  std::fill_n(zeros, C + columns, 0.0f);
  const Taps all = forward_taps(g);
  parallel_for(g.groups * g.R * panels, [&](int64_t piece) {
    const int64_t group = piece / panels / g.R, r = piece / panels % g.R, c0 = piece % panels * columns;
    const int64_t width = std::min(columns, C - c0);
    Taps one_row = all;
    one_row.rows = {all.rows[size_t(r)]};
    thread_local PoolVector<const float*> pointers;  // [tap column][pixel of the chunk]
    pointers.resize(size_t(g.S * kChunk));
    float* narrow = scratch(Scratch::sums, kChunk * columns);  // samples of a panel that C cuts short
    float* tile = scratch(Scratch::tile, rows * columns);
    float* edge = scratch(Scratch::packed_b, kChunk * rows);  // the last rows of dy^T, padded with zeros
    for (int64_t p0 = 0; p0 < total; p0 += kChunk) {
      const int64_t count = std::min(kChunk, total - p0);
      for (int64_t p = 0; p < count; ++p)
        fill_pointers(x, one_row, g.out_width, (p0 + p) / pixels, (p0 + p) % pixels, nullptr, pointers.data() + p,
                      kChunk);
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
          simd.gemm_samples(count, k < last ? dy + p0 * g.K + group * K + k : edge, k < last ? g.K : rows, samples,
                            whole && p0 > 0, whole ? out : tile, whole ? depth : columns);
          if (!whole) put_part(tile, std::min(rows, K - k), width, p0 > 0, out, depth);
        }
      }
    }
  });
}

// The same for long taps (one group, S = 1): a pixel's R rows of few channels become one line of columns. Lines are
// gathered for some chunks at once; then a piece of work owns a tile of dw.
void backward_weight_long_taps(const Conv2dGeometry& g, const Picture& x, const float* dy, float* dw) {
  constexpr int64_t kGathered = 4 * kChunk;
  const SimdKernels& simd = simd_kernels();
  const int64_t K = g.K, C = g.C, depth = g.R * C, rows = simd.tile_rows, columns = simd.tile_columns;
  const int64_t panels = (depth + columns - 1) / columns, line = panels * columns, strips = (K + rows - 1) / rows;
  const int64_t pixels = g.out_height * g.out_width, total = g.N * pixels;
  const Taps taps = forward_taps(g);
  float* zeros = scratch(Scratch::rows, C);
  std::fill_n(zeros, C, 0.0f);
  float* samples = scratch(Scratch::products, kGathered * line);
  float* edge = scratch(Scratch::packed_b, kGathered * rows);  // the last rows of dy^T, padded with zeros
  for (int64_t p0 = 0; p0 < total; p0 += kGathered) {
    const int64_t count = std::min(kGathered, total - p0);
    parallel_ranges(count, 64, [&](int64_t begin, int64_t end) {
      thread_local PoolVector<const float*> pointers;  // of one pixel: [tap row]
      pointers.resize(size_t(g.R));
      for (int64_t p = begin; p < end; ++p) {
        fill_pointers(x, taps, g.out_width, (p0 + p) / pixels, (p0 + p) % pixels, zeros, pointers.data(), 1);
        for (int64_t r = 0; r < g.R; ++r) std::copy_n(pointers[size_t(r)], C, samples + p * line + r * C);
        std::fill_n(samples + p * line + depth, line - depth, 0.0f);
        for (int64_t i = 0, k = (strips - 1) * rows; i < rows; ++i, ++k)
          edge[p * rows + i] = k < K ? dy[(p0 + p) * K + k] : 0.0f;
      }
    });
    parallel_for(strips * panels, [&](int64_t piece) {
      const int64_t k = piece / panels * rows, j0 = piece % panels * columns, height = std::min(rows, K - k),
                    width = std::min(columns, depth - j0);
      const bool whole = height == rows && width == columns;
      float* out = dw + k * depth + j0;
      float* tile = scratch(Scratch::tile, rows * columns);
      for (int64_t at = 0; at < count; at += kChunk) {
        const bool begun = p0 + at > 0;
        simd.gemm_columns(std::min(kChunk, count - at), height < rows ? edge + at * rows : dy + (p0 + at) * K + k,
                          height < rows ? rows : K, samples + at * line + j0, line, whole && begun, whole ? out : tile,
                          whole ? depth : columns);
        if (!whole) put_part(tile, height, width, begun, out, depth);
      }
    });
  }
}

}  // namespace

int64_t conv2d_packed_size(const Conv2dGeometry& g) {
  return g.groups * packed_size(g.K / g.groups, g.R * g.S * (g.C / g.groups));
}

void conv2d_pack(const Conv2dGeometry& g, const float* w, float* packed) {
  const int64_t K = g.K / g.groups, depth = g.R * g.S * (g.C / g.groups);
  const int64_t columns = simd_kernels().tile_columns, panels = (K + columns - 1) / columns;
  parallel_for(g.groups * panels, [&](int64_t piece) {  // B[(r, s, c)][k] = w[k][r][s][c]
    const int64_t group = piece / panels, k0 = piece % panels * columns;
    pack_columns(std::min(columns, K - k0), depth, {w + (group * K + k0) * depth, 1, depth},
                 packed + group * packed_size(K, depth) + k0 * depth);
  });
}

void conv2d_forward_packed(const Conv2dGeometry& g, const float* x, const float* packed, const float* bias, float* y) {
  if (winograd_suits(g)) return winograd_forward(g, x, packed, bias, y);
  if (!has_long_taps(g)) return forward(g, {x, g.H, g.W, g.C}, packed, bias, y);
  const LongTaps wide = long_taps(g, x);
  forward(wide.geometry, wide.samples, packed, bias, y);
}

void conv2d_forward(const Conv2dGeometry& g, const float* x, const float* w, const float* bias, float* y) {
  float* packed = scratch(Scratch::weights, conv2d_packed_size(g));
  conv2d_pack(g, w, packed);
  conv2d_forward_packed(g, x, packed, bias, y);
}

void conv2d_backward_weight(const Conv2dGeometry& g, const float* x, const float* dy, float* dw) {
  if (winograd_suits(g)) return winograd_backward_weight(g, x, dy, dw);
  if (!has_long_taps(g)) return backward_weight(g, {x, g.H, g.W, g.C}, dy, dw);
  const LongTaps wide = long_taps(g, x);
  backward_weight_long_taps(wide.geometry, wide.samples, dy, dw);
}

void conv2d_backward_data(const Conv2dGeometry& g, const float* dy, const float* w, const float* bias, float* dx) {
  if (winograd_suits(g)) return winograd_backward_data(g, dy, w, bias, dx);
  const int64_t C = g.C / g.groups, K = g.K / g.groups, taps = g.R * g.S, columns = simd_kernels().tile_columns;
  for (int64_t i = 0; i < g.stride_h; ++i) {
    const Phase down = phase_of(i, g.H, g.R, g.stride_h, g.padding_h, g.dilation_h);
    for (int64_t j = 0; j < g.stride_w; ++j) {
      const Phase across = phase_of(j, g.W, g.S, g.stride_w, g.padding_w, g.dilation_w);
      if (down.count * across.count == 0) continue;
      const int64_t depth = int64_t(down.kernel.size() * across.kernel.size()) * K;
      float* packed = scratch(Scratch::weights, g.groups * packed_size(C, depth) + columns);
      for (int64_t group = 0; group < g.groups; ++group)  // B[(r, s, k)][c] = w[k][r][s][c]
        for (int64_t c0 = 0; c0 < C; c0 += columns) {
          float* into = packed + group * packed_size(C, depth) + c0 * depth;
          for (int64_t r : down.kernel)
            for (int64_t s : across.kernel) {
              pack_columns(std::min(columns, C - c0), K, {w + (group * K * taps + r * g.S + s) * C + c0, taps * C, 1},
                           into);
              into += K * columns;
            }
        }
      convolve(g.N, {dy, g.out_height, g.out_width, g.K}, {down.offsets, across.offsets, 1, 1}, K, g.groups, packed,
               bias, {dx, down.count, across.count, g.H, g.W, g.C, i, j, g.stride_h, g.stride_w});
    }
  }
}

void conv2d_backward_bias(int64_t pixels, int64_t K, const float* dy, float* db) {
  double* totals = reinterpret_cast<double*>(scratch(Scratch::rows, 2 * K));
  sum_chunks(pixels, 1024, K, totals,
             [&](int64_t p, int64_t count, float* sums) { simd_kernels().column_sums(count, K, dy + p * K, sums); });
  for (int64_t k = 0; k < K; ++k) db[k] = float(totals[k]);
}

}  // namespace echodiff::cpu
