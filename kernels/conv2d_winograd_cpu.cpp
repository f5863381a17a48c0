#include "kernels/conv2d_winograd.h"

#include <algorithm>
#include <cstring>

#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {
namespace {

constexpr int64_t kFrequencies = 36;
constexpr int64_t kTile = 4;  // outputs a side

int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// A stack of 36 matrices [rows][columns] in working memory. Strides are no multiple of 4 KiB: frequencies and rows would
// fall into one cache set otherwise.
struct Frequencies {
  float* data;
  int64_t row, frequency;  // strides
  static int64_t row_stride(int64_t columns) { return columns + 16; }
  static int64_t frequency_stride(int64_t rows, int64_t columns) { return rows * row_stride(columns) + 16; }
  static Frequencies make(Slot slot, int64_t rows, int64_t columns) {
    const int64_t frequency = frequency_stride(rows, columns);
    return {scratch(slot, kFrequencies * frequency), row_stride(columns), frequency};
  }
  float* at(int64_t f, int64_t i) const { return data + f * frequency + i * row; }
};

// Where tile number t lies in a stack of pictures (N, height, width).
struct Tiling {
  int64_t N, height, width, down, across;  // tiles per picture
  Tiling(int64_t n, int64_t h, int64_t w)
      : N(n), height(h), width(w), down((h + kTile - 1) / kTile), across((w + kTile - 1) / kTile) {}
  int64_t count() const { return N * down * across; }
  struct Place {
    int64_t n, h, w, rows, columns;  // the tile's first pixel, and how many of its pixels are in the picture
  };
  Place place(int64_t t) const {
    const int64_t h = t / across % down * kTile, w = t % across * kTile;
    return {t / across / down, h, w, std::min(kTile, height - h), std::min(kTile, width - w)};
  }
};

// The `size` x `size` pixels of C channels from (h, w) on of picture n in x (N, H, W, C): where they begin, and the
// stride of a row. A window that leaves the picture is copied, with zeros outside.
struct Window {
  const float* data;
  int64_t row;
};
Window window(const float* x, int64_t H, int64_t W, int64_t C, int64_t n, int64_t h, int64_t w, int64_t size) {
  const float* picture = x + n * H * W * C;
  if (h >= 0 && w >= 0 && h + size <= H && w + size <= W) return {picture + (h * W + w) * C, W * C};
  float* copy = scratch(Slot::rows, size * size * C);
  const int64_t w0 = std::max<int64_t>(w, 0), w1 = std::min(w + size, W);
  for (int64_t i = 0; i < size; ++i) {
    float* line = copy + i * size * C;
    if (h + i < 0 || h + i >= H || w0 >= w1) {
      std::fill_n(line, size * C, 0.0f);
      continue;
    }
    std::fill_n(line, (w0 - w) * C, 0.0f);
    std::memcpy(line + (w0 - w) * C, picture + ((h + i) * W + w0) * C, size_t((w1 - w0) * C) * sizeof(float));
    std::fill_n(line + (w1 - w) * C, (w + size - w1) * C, 0.0f);
  }
  return {copy, size * C};
}

// What forward and backward-data share: y (N, out_h, out_w, K) from x (N, H, W, C), output (i, j) reading the samples
// from (i - padding_h, j - padding_w) on.
struct Problem {
  int64_t N, H, W, C, out_h, out_w, K, padding_h, padding_w;
  const float* x;
  const float* bias;
  float* y;
};

// v = the transformed samples of tiles [t0, t1)
void transform_input(const Problem& p, const Tiling& tiles, int64_t t0, int64_t t1, const Frequencies& v, int64_t row0) {
  for (int64_t t = t0; t < t1; ++t) {
    const Tiling::Place at = tiles.place(t);
    const Window d = window(p.x, p.H, p.W, p.C, at.n, at.h - p.padding_h, at.w - p.padding_w, kTile + 2);
    simd_kernels().winograd_input(p.C, d.data, d.row, p.C, v.at(0, t - t0 + row0), v.frequency);
  }
}

// The outputs of tiles [t0, t0 + count), channels [k0, k0 + width): products with u [36][C][tile_columns], then the
// output transform.
void multiply_panel(const Problem& p, const Tiling& tiles, int64_t t0, int64_t count, int64_t k0, const Frequencies& v,
                    const float* u) {
  const SimdKernels& simd = simd_kernels();
  const int64_t R = simd.tile_rows, columns = simd.tile_columns, width = std::min(columns, p.K - k0);
  const Frequencies m = Frequencies::make(Slot::products, round_up(count, R), columns);
  for (int64_t f = 0; f < kFrequencies; ++f)
    for (int64_t i = 0; i < count; i += R) {
      const float* rows[32];
      for (int64_t r = 0; r < R; ++r) rows[r] = v.at(f, std::min(i + r, count - 1));
      simd.gemm_rows(1, p.C, rows, u + f * p.C * columns, nullptr, false, m.at(f, i), m.row);
    }
  for (int64_t i = 0; i < count; ++i) {
    const Tiling::Place at = tiles.place(t0 + i);
    float* y = p.y + ((at.n * p.out_h + at.h) * p.out_w + at.w) * p.K + k0;
    simd.winograd_output(width, m.at(0, i), m.frequency, p.bias != nullptr ? p.bias + k0 : nullptr, y, p.out_w * p.K, p.K,
                         at.rows, at.columns);
  }
}

// pack(k0, taps): taps [9][C][tile_columns] = the weights of output channels from k0 on, zeros beyond K.
template <class Pack>
void convolve(const Problem& p, const Pack& pack) {
  constexpr int64_t kBlock = 24;  // tiles a thread works on: their samples fit its cache; a multiple of every tile height
  const int64_t columns = simd_kernels().tile_columns, panels = (p.K + columns - 1) / columns;
  const int64_t panel_size = kFrequencies * p.C * columns;
  const Tiling tiles(p.N, p.out_h, p.out_w);
  const auto transform_weight = [&](int64_t panel, float* u) {
    float* taps = scratch(Slot::tile, 9 * p.C * columns);
    pack(panel * columns, taps);
    simd_kernels().winograd_weight(p.C * columns, taps, p.C * columns, u, p.C * columns);
  };
  if (tiles.count() <= 4 * kBlock) {  // few tiles: each thread transforms the weights of the channels it computes
    const Frequencies v = Frequencies::make(Slot::samples, tiles.count(), p.C);
    parallel_for(tiles.count(), [&](int64_t t) { transform_input(p, tiles, t, t + 1, v, t); });
    parallel_for(panels, [&](int64_t panel) {
      float* u = scratch(Slot::packed_b, panel_size);
      transform_weight(panel, u);
      multiply_panel(p, tiles, 0, tiles.count(), panel * columns, v, u);
    });
    return;
  }
  float* u = scratch(Slot::packed_a, panels * panel_size);
  parallel_for(panels, [&](int64_t panel) { transform_weight(panel, u + panel * panel_size); });
  parallel_ranges(tiles.count(), kBlock, [&](int64_t begin, int64_t end) {
    const Frequencies v = Frequencies::make(Slot::samples, kBlock, p.C);
    transform_input(p, tiles, begin, end, v, 0);
    for (int64_t panel = 0; panel < panels; ++panel)
      multiply_panel(p, tiles, begin, end - begin, panel * columns, v, u + panel * panel_size);
  });
}

}  // namespace

bool winograd_suits(const Conv2dGeometry& g) {
  const bool is_3x3 = g.R == 3 && g.S == 3 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 && g.dilation_w == 1 &&
                      g.groups == 1 && g.padding_h <= 2 && g.padding_w <= 2;
  const int64_t tiles = Tiling(1, g.out_height, g.out_width).count();
  return is_3x3 && g.C >= 32 && g.K >= 32 && g.C % 16 == 0 && g.K % 16 == 0 && tiles >= 4 &&
         tiles * kFrequencies <= g.out_height * g.out_width * 9 * 3 / 4;
}

void winograd_forward(const Conv2dGeometry& g, const float* x, const float* w, const float* bias, float* y) {
  const int64_t C = g.C, columns = simd_kernels().tile_columns;
  const Problem problem{g.N, g.H, g.W, C, g.out_height, g.out_width, g.K, g.padding_h, g.padding_w, x, bias, y};
  convolve(problem, [&](int64_t k0, float* taps) {
    const int64_t width = std::min(columns, g.K - k0);
    if (width < columns) std::fill_n(taps, 9 * C * columns, 0.0f);
    for (int64_t tap = 0; tap < 9; ++tap)
      simd_kernels().transpose(width, C, w + (k0 * 9 + tap) * C, 9 * C, taps + tap * C * columns, columns);
  });
}

// dx is the convolution of dy with the weights turned by 180 degrees, C and K exchanged.
void winograd_backward_data(const Conv2dGeometry& g, const float* dy, const float* w, const float* bias, float* dx) {
  const int64_t columns = simd_kernels().tile_columns;
  const Problem problem{g.N, g.out_height, g.out_width, g.K, g.H, g.W, g.C, 2 - g.padding_h, 2 - g.padding_w, dy, bias, dx};
  convolve(problem, [&](int64_t c0, float* taps) {
    const int64_t width = std::min(columns, g.C - c0);
    for (int64_t tap = 0; tap < 9; ++tap)
      for (int64_t k = 0; k < g.K; ++k) {
        float* into = taps + (tap * g.K + k) * columns;
        std::memcpy(into, w + (k * 9 + 8 - tap) * g.C + c0, size_t(width) * sizeof(float));
        std::fill(into + width, into + columns, 0.0f);
      }
  });
}

// Tiles are summed in chunks, and the chunks added in order: one running sum over all tiles would lose digits.
void winograd_backward_weight(const Conv2dGeometry& g, const float* x, const float* dy, float* dw) {
  constexpr int64_t kChunk = 96;  // tiles
  const SimdKernels& simd = simd_kernels();
  const int64_t R = simd.tile_rows, columns = simd.tile_columns, K = round_up(g.K, R), C = round_up(g.C, columns);
  const Tiling tiles(g.N, g.out_height, g.out_width);
  const Problem problem{g.N, g.H, g.W, g.C, g.out_height, g.out_width, g.K, g.padding_h, g.padding_w, x, nullptr, nullptr};
  const Frequencies v = Frequencies::make(Slot::samples, kChunk, C), z = Frequencies::make(Slot::products, kChunk, K);
  const int64_t size = K * C;  // of one frequency's sums
  float* sums = scratch(Slot::sums, kFrequencies * size);
  for (int64_t t0 = 0; t0 < tiles.count(); t0 += kChunk) {
    const int64_t count = std::min(kChunk, tiles.count() - t0);
    parallel_for(count, [&](int64_t i) {
      transform_input(problem, tiles, t0 + i, t0 + i + 1, v, i);
      const Tiling::Place at = tiles.place(t0 + i);
      const Window d = window(dy, g.out_height, g.out_width, g.K, at.n, at.h, at.w, kTile);
      simd.winograd_output_gradient(g.K, d.data, d.row, g.K, z.at(0, i), z.frequency);
      for (int64_t f = 0; f < kFrequencies; ++f) {
        std::fill(v.at(f, i) + g.C, v.at(f, i) + C, 0.0f);
        std::fill(z.at(f, i) + g.K, z.at(f, i) + K, 0.0f);
      }
    });
    parallel_for(kFrequencies * (C / columns), [&](int64_t piece) {
      const int64_t f = piece / (C / columns), c = piece % (C / columns) * columns;
      for (int64_t k = 0; k < K; k += R)
        simd.gemm_columns(count, z.at(f, 0) + k, z.row, v.at(f, 0) + c, v.row, t0 > 0, sums + f * size + k * C + c, C);
    });
  }
  parallel_for(g.K, [&](int64_t k) { simd.winograd_weight_gradient(g.C, sums + k * C, size, dw + k * 9 * g.C, g.C); });
}

}  // namespace echodiff::cpu
