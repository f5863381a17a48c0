// Register tiles of matrix products. Each element of C is one running sum over k in order, whatever tile it sits in:
// results don't depend on how a caller cuts M and N.
#include "kernels/simd_tables.h"

namespace echodiff::simd::ECHODIFF_ISA {
namespace {

constexpr int kColumns = kTileColumns / kLanes;

struct Tile {
  Vec sum[kTileRows][kColumns];
};

__attribute__((always_inline)) inline void start(Tile& tile, const float* bias) {
  for (int i = 0; i < kTileRows; ++i)
    for (int j = 0; j < kColumns; ++j) tile.sum[i][j] = bias != nullptr ? load(bias + j * kLanes) : Vec{};
}

__attribute__((always_inline)) inline void finish(const Tile& tile, bool accumulate, float* c, int64_t ldc) {
  for (int i = 0; i < kTileRows; ++i)
    for (int j = 0; j < kColumns; ++j) {
      float* at = c + i * ldc + j * kLanes;
      store(at, accumulate ? load(at) + tile.sum[i][j] : tile.sum[i][j]);
    }
}

}  // namespace

void gemm_rows(int64_t taps, int64_t depth, const float* const* rows, const float* b, const float* bias, bool accumulate,
               float* c, int64_t ldc) {
  Tile tile;
  start(tile, bias);
  for (int64_t tap = 0; tap < taps; ++tap) {
    const float* row[kTileRows];
    for (int i = 0; i < kTileRows; ++i) row[i] = rows[tap * kTileRows + i];
    for (int64_t k = 0; k < depth; ++k) {
      Vec column[kColumns];
      for (int j = 0; j < kColumns; ++j) column[j] = load(b + j * kLanes);
      for (int i = 0; i < kTileRows; ++i) {
        const Vec a = broadcast(row[i][k]);
        for (int j = 0; j < kColumns; ++j) tile.sum[i][j] += a * column[j];
      }
      b += kTileColumns;
    }
  }
  finish(tile, accumulate, c, ldc);
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

void gemm_samples(int64_t depth, const float* a, int64_t lda, const float* const* b, bool accumulate, float* c, int64_t ldc) {
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

}  // namespace echodiff::simd::ECHODIFF_ISA
