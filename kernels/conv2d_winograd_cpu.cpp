#include "kernels/conv2d_winograd.h"

#include <algorithm>
#include <cstring>

#include "kernels/gemm.h"
#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {
namespace {

constexpr int64_t kFrequencies = 36;
constexpr int64_t kTile = 4;  // outputs a side

int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// A stack of 36 matrices [rows][columns] in working memory. Strides are no multiple of 4 KiB: frequencies and rows
// would fall into one cache set otherwise.
struct Frequencies {
  float* data;
  int64_t row, frequency;  // strides
  static int64_t row_stride(int64_t columns) { return columns + 16; }
  static int64_t frequency_stride(int64_t rows, int64_t columns) { return rows * row_stride(columns) + 16; }
  static Frequencies make(Scratch part, int64_t rows, int64_t columns) {
    const int64_t frequency = frequency_stride(rows, columns);
    return {scratch(part, kFrequencies * frequency), row_stride(columns), frequency};
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
  float* copy = scratch(Scratch::rows, size * size * C);
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
  const float* w;  // packed as by conv2d_pack: from C to K channels
  const float* bias;
  float* y;
};

// v = the transformed samples of tiles [t0, t1)
void transform_input(const Problem& p, const Tiling& tiles, int64_t t0, int64_t t1, const Frequencies& v,
                     int64_t row0) {
  for (int64_t t = t0; t < t1; ++t) {
    const Tiling::Place at = tiles.place(t);
    const Window d = window(p.x, p.H, p.W, p.C, at.n, at.h - p.padding_h, at.w - p.padding_w, kTile + 2);
    simd_kernels().winograd_input(p.C, d.data, d.row, p.C, v.at(0, t - t0 + row0), v.frequency);
  }
}

// Input channels are summed in chunks: the transformed weights of one chunk and one panel of outputs fit a core's
// cache.
constexpr int64_t kDepth = 64;

// One frequency of such weights: [depth][tile_columns] and 64 bytes, as in Frequencies.
int64_t weight_stride(int64_t depth) { return depth * simd_kernels().tile_columns + 16; }

// m (+)= the products of tiles [0, count) with the channels [c0, c0 + depth) of u, 36 times weight_stride(depth).
void multiply(int64_t count, int64_t c0, int64_t depth, const Frequencies& v, const float* u, const Frequencies& m) {
  simd_kernels().winograd_products(count, depth, v.data + c0, v.row, v.frequency, u, weight_stride(depth), c0 > 0,
                                   m.data, m.row, m.frequency);
}

// The outputs of tiles [t0, t0 + count), channels [k0, ..) of one panel, from the sums m.
void transform_output(const Problem& p, const Tiling& tiles, int64_t t0, int64_t count, int64_t k0,
                      const Frequencies& m) {
  const SimdKernels& simd = simd_kernels();
  const int64_t width = std::min(simd.tile_columns, p.K - k0);
  for (int64_t i = 0; i < count; ++i) {
    const Tiling::Place at = tiles.place(t0 + i);
    float* y = p.y + ((at.n * p.out_h + at.h) * p.out_w + at.w) * p.K + k0;
    simd.winograd_output(width, m.at(0, i), m.frequency, p.bias != nullptr ? p.bias + k0 : nullptr, y, p.out_w * p.K,
                         p.K, at.rows, at.columns);
  }
}

void convolve(const Problem& p) {
  // Tiles a thread works on: their samples fit its cache. A multiple of every tile height.
  const int64_t block = p.C > 64 ? 12 : 24;
  const int64_t R = simd_kernels().tile_rows, columns = simd_kernels().tile_columns,
                panels = (p.K + columns - 1) / columns;
  const int64_t chunks = (p.C + kDepth - 1) / kDepth, chunk_size = kFrequencies * weight_stride(std::min(kDepth, p.C));
  const Tiling tiles(p.N, p.out_h, p.out_w);
  const auto transform_weight = [&](int64_t panel, int64_t c0, int64_t depth, float* u) {
    const float* taps = p.w + (panel * 9 * p.C + c0) * columns;
    simd_kernels().winograd_weight(depth * columns, taps, p.C * columns, u, weight_stride(depth));
  };
  const auto for_chunks = [&](const auto& body) {
    for (int64_t c0 = 0; c0 < p.C; c0 += kDepth) body(c0, std::min(kDepth, p.C - c0));
  };
  if (tiles.count() <= 96) {  // few tiles: each thread transforms the weights of the channels it computes
    const Frequencies v = Frequencies::make(Scratch::packed_a, tiles.count(), p.C);  // of all threads, as u below
    parallel_for(tiles.count(), [&](int64_t t) { transform_input(p, tiles, t, t + 1, v, t); });
    parallel_for(panels, [&](int64_t panel) {
      const Frequencies m = Frequencies::make(Scratch::products, round_up(tiles.count(), R), columns);
      float* u = scratch(Scratch::packed_b, chunk_size);
      for_chunks([&](int64_t c0, int64_t depth) {
        transform_weight(panel, c0, depth, u);
        multiply(tiles.count(), c0, depth, v, u, m);
      });
      transform_output(p, tiles, 0, tiles.count(), panel * columns, m);
    });
    return;
  }
  float* u = scratch(Scratch::packed_a, panels * chunks * chunk_size);
  parallel_for(panels, [&](int64_t panel) {
    for_chunks([&](int64_t c0, int64_t depth) {
      transform_weight(panel, c0, depth, u + (panel * chunks + c0 / kDepth) * chunk_size);
    });
  });
  parallel_ranges(tiles.count(), block, [&](int64_t begin, int64_t end) {
    const Frequencies v = Frequencies::make(Scratch::samples, block, p.C),
                      m = Frequencies::make(Scratch::products, block, columns);
    transform_input(p, tiles, begin, end, v, 0);
    for (int64_t panel = 0; panel < panels; ++panel) {
      for_chunks([&](int64_t c0, int64_t depth) {
        multiply(end - begin, c0, depth, v, u + (panel * chunks + c0 / kDepth) * chunk_size, m);
      });
      transform_output(p, tiles, begin, end - begin, panel * columns, m);
    }
  });
}

}  // namespace

bool winograd_suits(const Conv2dGeometry& g) {
  const bool is_3x3 = g.R == 3 && g.S == 3 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 &&
                      g.dilation_w == 1 && g.groups == 1 && g.padding_h <= 2 && g.padding_w <= 2;
  const int64_t tiles = Tiling(1, g.out_height, g.out_width).count();
  return is_3x3 && g.C >= 32 && g.K >= 32 && g.C % 16 == 0 && g.K % 16 == 0 && tiles >= 4 &&
         tiles * kFrequencies * 5 <= g.out_height * g.out_width * 9 * 2;
}

void winograd_forward(const Conv2dGeometry& g, const float* x, const float* packed, const float* bias, float* y) {
  convolve({g.N, g.H, g.W, g.C, g.out_height, g.out_width, g.K, g.padding_h, g.padding_w, x, packed, bias, y});
}

// dx is the convolution of dy with the weights turned by 180 degrees, C and K exchanged.
void winograd_backward_data(const Conv2dGeometry& g, const float* dy, const float* w, const float* bias, float* dx) {
  const int64_t columns = simd_kernels().tile_columns, panels = (g.C + columns - 1) / columns;
  float* packed = scratch(Scratch::weights, panels * 9 * g.K * columns);
  parallel_for(panels * 9, [&](int64_t piece) {
    const int64_t c0 = piece / 9 * columns, tap = piece % 9;
    pack_columns(std::min(columns, g.C - c0), g.K, {w + (8 - tap) * g.C + c0, 9 * g.C, 1},
                 packed + piece * g.K * columns);
  });
  convolve(
      {g.N, g.out_height, g.out_width, g.K, g.H, g.W, g.C, 2 - g.padding_h, 2 - g.padding_w, dy, packed, bias, dx});
}

// Tiles are summed in chunks, and the chunks added in order: one running sum over all tiles would lose digits.
void winograd_backward_weight(const Conv2dGeometry& g, const float* x, const float* dy, float* dw) {
  constexpr int64_t kChunk = 96;  // tiles
  const SimdKernels& simd = simd_kernels();
  const int64_t R = simd.tile_rows, columns = simd.tile_columns, K = round_up(g.K, R), C = round_up(g.C, columns);
  const Tiling tiles(g.N, g.out_height, g.out_width);
  const Problem problem{g.N,         g.H,         g.W, g.C,     g.out_height, g.out_width, g.K,
                        g.padding_h, g.padding_w, x,   nullptr, nullptr,      nullptr};
  const Frequencies v = Frequencies::make(Scratch::samples, kChunk, C),
                    z = Frequencies::make(Scratch::products, kChunk, K);
  const int64_t size = K * C + 16;  // of one frequency's sums
  float* sums = scratch(Scratch::sums, kFrequencies * size);
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
