#include <algorithm>

#include "kernels/gemm.h"
#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {
namespace {

// One panel of B: columns [n0, n0 + width) as [K][tile_columns].
void pack_panel(int64_t width, int64_t K, MatrixView<float> b, float* packed) {
  const SimdKernels& simd = simd_kernels();
  const int64_t columns = simd.tile_columns;
  if (width < columns) std::fill_n(packed, K * columns, 0.0f);
  if (b.column_stride == 1) return simd.copy_rows(K, width, b.data, b.row_stride, packed, columns);
  if (b.row_stride == 1) return simd.transpose(width, K, b.data, b.column_stride, packed, columns);
  for (int64_t k = 0; k < K; ++k)
    for (int64_t n = 0; n < width; ++n) packed[k * columns + n] = b.data[k * b.row_stride + n * b.column_stride];
}

// A strided both ways would need packing; no op has such a view.
bool by_rows(const MatrixView<float>& a) { return a.column_stride == 1; }

// C for one panel of `width` columns of B, whose rows are `ldb` apart (tile_columns where it is packed).
void multiply_panel(int64_t M, int64_t width, int64_t K, const MatrixView<float>& a, const float* panel, int64_t ldb,
                    float* c, int64_t ldc, bool accumulate) {
  const SimdKernels& simd = simd_kernels();
  const int64_t R = simd.tile_rows, W = simd.tile_columns;
  float* tile = scratch(Scratch::tile, R * W);
  for (int64_t m = 0; m < M; m += R) {
    const int64_t height = std::min(R, M - m);
    const bool whole = height == R && width == W;
    float* out = whole ? c + m * ldc : tile;
    const int64_t ld = whole ? ldc : W;
    const bool add = whole && accumulate;
    int64_t skipped = 0;  // rows of the tile that belong to the one before
    if (by_rows(a)) {
      const float* rows[32];
      for (int64_t i = 0; i < R; ++i) rows[i] = a.data + std::min(m + i, M - 1) * a.row_stride;
      simd.gemm_rows(1, K, rows, panel, nullptr, add, out, ld);
    } else if (M >= R) {
      skipped = R - height;
      simd.gemm_columns(K, a.data + m - skipped, a.column_stride, panel, ldb, add, out, ld);
    } else {  // less than a tile: A padded with zeros
      float* edge = scratch(Scratch::edge, K * R);
      for (int64_t k = 0; k < K; ++k)
        for (int64_t i = 0; i < R; ++i) edge[k * R + i] = i < height ? a.data[k * a.column_stride + m + i] : 0.0f;
      simd.gemm_columns(K, edge, R, panel, ldb, add, out, ld);
    }
    if (!whole)
      for (int64_t i = 0; i < height; ++i)
        for (int64_t j = 0; j < width; ++j) {
          float& at = c[(m + i) * ldc + j];
          const float value = tile[(skipped + i) * W + j];
          at = accumulate ? at + value : value;
        }
  }
}

}  // namespace

int64_t packed_size(int64_t N, int64_t K) {
  const int64_t columns = simd_kernels().tile_columns;
  return (N + columns - 1) / columns * columns * K;
}

void pack_columns(int64_t N, int64_t K, MatrixView<float> b, float* packed) {
  const int64_t columns = simd_kernels().tile_columns;
  for (int64_t n = 0; n < N; n += columns)
    pack_panel(std::min(columns, N - n), K, {b.data + n * b.column_stride, b.row_stride, b.column_stride},
               packed + n * K);
}

void gemm_packed(int64_t M, int64_t N, int64_t K, MatrixView<float> a, const float* packed, float* c, int64_t ldc,
                 bool accumulate) {
  const int64_t columns = simd_kernels().tile_columns;
  for (int64_t n = 0; n < N; n += columns)
    multiply_panel(M, std::min(columns, N - n), K, a, packed + n * K, columns, c + n, ldc, accumulate);
}

void gemm(int64_t M, int64_t N, int64_t K, MatrixView<float> a, MatrixView<float> b, float* c, int64_t ldc,
          bool accumulate) {
  const int64_t columns = simd_kernels().tile_columns;
  float* panel = scratch(Scratch::packed_b, K * columns);
  for (int64_t n = 0; n < N; n += columns) {
    const int64_t width = std::min(columns, N - n);
    if (!by_rows(a) && b.column_stride == 1 && width == columns) {  // this kernel reads B where it lies
      multiply_panel(M, width, K, a, b.data + n, b.row_stride, c + n, ldc, accumulate);
      continue;
    }
    pack_panel(width, K, {b.data + n * b.column_stride, b.row_stride, b.column_stride}, panel);
    multiply_panel(M, width, K, a, panel, columns, c + n, ldc, accumulate);
  }
}

void parallel_gemm(int64_t M, int64_t N, int64_t K, MatrixView<float> a, MatrixView<float> b, float* c, int64_t ldc,
                   bool accumulate) {
  constexpr int64_t kRows = 96, kColumns = 128;  // a block of C
  const int64_t row_blocks = (M + kRows - 1) / kRows, column_blocks = (N + kColumns - 1) / kColumns;
  parallel_for(row_blocks * column_blocks, [&](int64_t block) {
    const int64_t m0 = block / column_blocks * kRows, n0 = block % column_blocks * kColumns;
    const int64_t rows = std::min(kRows, M - m0), columns = std::min(kColumns, N - n0);
    gemm(rows, columns, K, {a.data + m0 * a.row_stride, a.row_stride, a.column_stride},
         {b.data + n0 * b.column_stride, b.row_stride, b.column_stride}, c + m0 * ldc + n0, ldc, accumulate);
  });
}

}  // namespace echodiff::cpu
