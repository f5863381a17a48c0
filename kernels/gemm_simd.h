// Register tiles of matrix products. Each element of C is one running sum over k in order, whatever tile it sits in:
// results don't depend on how a caller cuts M and N.
#pragma once

#include "kernels/simd.h"

namespace echodiff::simd::ECHODIFF_ISA {

// Rows x columns of a tile: as many accumulators as the register file holds beside one row of b and one broadcast.
#if defined(__AVX512F__)
inline constexpr int kTileRows = 12, kTileColumns = 2 * kLanes;
#elif defined(__AVX2__)
inline constexpr int kTileRows = 6, kTileColumns = 2 * kLanes;
#else
inline constexpr int kTileRows = 4, kTileColumns = 2 * kLanes;
#endif

namespace {

constexpr int kColumns = kTileColumns / kLanes;

// Lives in registers only where every loop over it is unrolled early, as the pragmas ask; else the sums go to the stack
// and back around the loop over k, a tenth of the time at a depth of 64.
struct Tile {
  Vec sum[kTileRows][kColumns];
};

__attribute__((always_inline)) inline void start(Tile& tile, const float* bias) {
#pragma GCC unroll 16
  for (int i = 0; i < kTileRows; ++i)
    for (int j = 0; j < kColumns; ++j) tile.sum[i][j] = bias != nullptr ? load(bias + j * kLanes) : Vec{};
}

__attribute__((always_inline)) inline void finish(const Tile& tile, bool accumulate, float* c, int64_t ldc) {
#pragma GCC unroll 16
  for (int i = 0; i < kTileRows; ++i)
    for (int j = 0; j < kColumns; ++j) {
      float* at = c + i * ldc + j * kLanes;
      store(at, accumulate ? load(at) + tile.sum[i][j] : tile.sum[i][j]);
    }
}

// Adds the products of `depth` elements of each row with b, and returns where b ends.
__attribute__((always_inline)) inline const float* add_rows(Tile& tile, int64_t depth, const float* const* row,
                                                            const float* b) {
  for (int64_t k = 0; k < depth; ++k) {
    Vec column[kColumns];
    for (int j = 0; j < kColumns; ++j) column[j] = load(b + j * kLanes);
    for (int i = 0; i < kTileRows; ++i) {
      const Vec a = broadcast(row[i][k]);
      for (int j = 0; j < kColumns; ++j) tile.sum[i][j] += a * column[j];
    }
    b += kTileColumns;
  }
  return b;
}

}  // namespace

void gemm_rows(int64_t taps, int64_t depth, const float* const* rows, const float* b, const float* bias,
               bool accumulate, float* c, int64_t ldc) {
  Tile tile;
  start(tile, bias);
  for (int64_t tap = 0; tap < taps; ++tap) {
    const float* row[kTileRows];
    for (int i = 0; i < kTileRows; ++i) row[i] = rows[tap * kTileRows + i];
    b = add_rows(tile, depth, row, b);
  }
  finish(tile, accumulate, c, ldc);
}

void winograd_products(int64_t tiles, int64_t depth, const float* v, int64_t v_row, int64_t v_frequency, const float* u,
                       int64_t u_frequency, bool accumulate, float* m, int64_t m_row, int64_t m_frequency) {
  for (int f = 0; f < 36; ++f, v += v_frequency, u += u_frequency, m += m_frequency)
    for (int64_t t = 0; t < tiles; t += kTileRows) {
      Tile tile;
      start(tile, nullptr);
      const float* row[kTileRows];
      const int64_t last = tiles - 1 - t;
      for (int64_t i = 0; i < kTileRows; ++i) row[i] = v + (t + (i < last ? i : last)) * v_row;
      add_rows(tile, depth, row, u);
      finish(tile, accumulate, m + t * m_row, m_row);
    }
}

void gemm_columns(int64_t depth, const float* a, int64_t lda, const float* b, int64_t ldb, bool accumulate, float* c,
                  int64_t ldc) {
  Tile tile;
  start(tile, nullptr);
  for (int64_t k = 0; k < depth; ++k) {
    Vec column[kColumns];
    for (int j = 0; j < kColumns; ++j) column[j] = load(b + j * kLanes);
    for (int i = 0; i < kTileRows; ++i) {
      const Vec x = broadcast(a[i]);
      for (int j = 0; j < kColumns; ++j) tile.sum[i][j] += x * column[j];
    }
    a += lda;
    b += ldb;
  }
  finish(tile, accumulate, c, ldc);
}

void gemm_samples(int64_t depth, const float* a, int64_t lda, const float* const* b, bool accumulate, float* c,
                  int64_t ldc) {
  Tile tile;
  start(tile, nullptr);
  for (int64_t k = 0; k < depth; ++k) {
    Vec column[kColumns];
    for (int j = 0; j < kColumns; ++j) column[j] = load(b[k] + j * kLanes);
    for (int i = 0; i < kTileRows; ++i) {
      const Vec x = broadcast(a[i]);
      for (int j = 0; j < kColumns; ++j) tile.sum[i][j] += x * column[j];
    }
    a += lda;
  }
  finish(tile, accumulate, c, ldc);
}

void copy_rows(int64_t rows, int64_t columns, const float* from, int64_t from_stride, float* into,
               int64_t into_stride) {
  for (int64_t r = 0; r < rows; ++r, from += from_stride, into += into_stride) {
    int64_t c = 0;
    for (; c + kLanes <= columns; c += kLanes) store(into + c, load(from + c));
    for (; c < columns; ++c) into[c] = from[c];
  }
}

void transpose(int64_t rows, int64_t columns, const float* from, int64_t from_stride, float* into,
               int64_t into_stride) {
  int64_t r = 0;
  for (; r + kLanes <= rows; r += kLanes) {
    int64_t c = 0;
    for (; c + kLanes <= columns; c += kLanes) {
      Vec block[kLanes];
      for (int i = 0; i < kLanes; ++i) block[i] = load(from + (r + i) * from_stride + c);
      transpose(block);
      for (int i = 0; i < kLanes; ++i) store(into + (c + i) * into_stride + r, block[i]);
    }
    for (; c < columns; ++c)
      for (int i = 0; i < kLanes; ++i) into[c * into_stride + r + i] = from[(r + i) * from_stride + c];
  }
  for (; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) into[c * into_stride + r] = from[r * from_stride + c];
}

}  // namespace echodiff::simd::ECHODIFF_ISA
