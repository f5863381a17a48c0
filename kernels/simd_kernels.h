// The inner loops that exist once per instruction set, behind one table that is chosen at the first use. A loop stands
// here with its contract, in a *_simd.h with its code, and in table_simd.cpp by its name.
#pragma once

#include <cstdint>

#include "kernels/adam.h"
#include "kernels/ema.h"

namespace echodiff {

struct SimdKernels {
  const char* name;  // "baseline", "avx2", "avx512"

  // ---- gemm_simd.h: one register tile of C, tile_rows x tile_columns (row stride ldc).
  // b is packed: [depth][tile_columns]. bias (tile_columns) or null starts the sum; accumulate adds to what C holds.
  int64_t tile_rows, tile_columns;
  // A by rows: for each of `taps` taps, row i begins at rows[tap * tile_rows + i] and has `depth` elements.
  void (*gemm_rows)(int64_t taps, int64_t depth, const float* const* rows, const float* b, const float* bias,
                    bool accumulate, float* c, int64_t ldc);
  // A by columns: element (i, k) is a[k * lda + i]; row k of b begins at b + k * ldb.
  void (*gemm_columns)(int64_t depth, const float* a, int64_t lda, const float* b, int64_t ldb, bool accumulate,
                       float* c, int64_t ldc);
  // The same, with row k of b at b[k] instead of packed.
  void (*gemm_samples)(int64_t depth, const float* a, int64_t lda, const float* const* b, bool accumulate, float* c,
                       int64_t ldc);

  // into[r * into_stride + c] = from[r * from_stride + c]
  void (*copy_rows)(int64_t rows, int64_t columns, const float* from, int64_t from_stride, float* into,
                    int64_t into_stride);
  // into[c * into_stride + r] = from[r * from_stride + c]
  void (*transpose)(int64_t rows, int64_t columns, const float* from, int64_t from_stride, float* into,
                    int64_t into_stride);

  // ---- conv2d_winograd_simd.h: transforms of one tile; n channels, a multiple of 16. Element (i, j) of a picture is
  // at x + i * row + j * column; frequency f at v + f * frequency; weight tap (r, s) at w + (3 r + s) * tap.
  // winograd_input reads 6x6 elements, winograd_output_gradient 4x4.
  void (*winograd_input)(int64_t n, const float* x, int64_t row, int64_t column, float* v, int64_t frequency);
  // m (+)= v u, for each of the 36 frequencies a product as gemm_rows has it (gemm_simd.h). Whole tiles are written:
  // rows of m beyond `tiles`, to a multiple of tile_rows, hold the last one's.
  void (*winograd_products)(int64_t tiles, int64_t depth, const float* v, int64_t v_row, int64_t v_frequency,
                            const float* u, int64_t u_frequency, bool accumulate, float* m, int64_t m_row,
                            int64_t m_frequency);
  // y = the leading height x width of the 4x4 outputs, plus bias (n) or null
  void (*winograd_output)(int64_t n, const float* m, int64_t frequency, const float* bias, float* y, int64_t row,
                          int64_t column, int64_t height, int64_t width);
  void (*winograd_output_gradient)(int64_t n, const float* dy, int64_t row, int64_t column, float* z,
                                   int64_t frequency);
  void (*winograd_weight)(int64_t n, const float* w, int64_t tap, float* u, int64_t frequency);
  void (*winograd_weight_gradient)(int64_t n, const float* u, int64_t frequency, float* dw, int64_t tap);

  // ---- adam_simd.h, ema_simd.h: as the references
  bool (*adam_update)(const AdamCoefficients& by, const AdamTensor& tensor, int64_t begin, int64_t end);
  void (*ema_update)(float share, const EmaTensor& tensor, int64_t begin, int64_t end);

  // ---- activation_simd.h, n elements
  void (*silu_forward)(int64_t n, const float* x, float* y);
  void (*silu_backward)(int64_t n, const float* x, const float* dy, float* dx);
  void (*relu_forward)(int64_t n, const float* x, float* y);
  void (*relu_backward)(int64_t n, const float* x, const float* dy, float* dx);

  // ---- pool_simd.h: y = the largest of `count` pixels of n channels, a NaN if there is one; index, where not null,
  // the position of the first of the largest
  void (*max_of_pixels)(int64_t count, int64_t n, const float* const* pixels, const int64_t* positions, float* y,
                        int64_t* index);

  // ---- rows_simd.h
  float (*dot)(int64_t n, const float* a, const float* b);
  // y = factor * softmax(scale * x). x and y may be the same memory.
  void (*softmax_row)(int64_t n, float scale, float factor, const float* x, float* y);
  // dx = factor * y * (dy - weight * sum(y * dy)). dx and dy may be the same memory.
  void (*softmax_row_backward)(int64_t n, const float* y, const float* dy, float weight, float factor, float* dx);
  // x (rows, n), rows `stride` apart, per column: largest[j] = max(largest[j], x[i][j])
  void (*column_max)(int64_t rows, int64_t n, int64_t stride, const float* x, float* largest);
  // y (rows, n) = factor[j] * exp(x[i][j] - largest[j]), rows of x `stride` apart
  void (*column_exp)(int64_t rows, int64_t n, int64_t stride, const float* x, const float* largest, const float* factor,
                     float* y);
  // y = a * (b - mean) elementwise
  void (*product_of_difference)(int64_t n, const float* a, const float* b, const float* mean, float* y);
  // x (rows, n), per column: sums[j] += x[i][j];  squares[j] += (x[i][j] - mean[j])^2
  void (*column_sums)(int64_t rows, int64_t n, const float* x, float* sums);
  void (*column_squares)(int64_t rows, int64_t n, const float* x, const float* mean, float* squares);
  // sum_dy[j] += dy[i][j];  sum_dy_x[j] += dy[i][j] * (x[i][j] - mean[j])
  void (*column_products)(int64_t rows, int64_t n, const float* dy, const float* x, const float* mean, float* sum_dy,
                          float* sum_dy_x);
  // y[i][j] = scale[j] * x[i][j] + offset[j]
  void (*column_affine)(int64_t rows, int64_t n, const float* x, const float* scale, const float* offset, float* y);
  // The same, with the arithmetic in double: no digit is lost where scale * x and offset cancel.
  void (*column_affine_exact)(int64_t rows, int64_t n, const float* x, const double* scale, const double* offset,
                              float* y);
  // y[i][j] = relu(the same + residual[i][j]); residual may be null
  void (*column_affine_relu)(int64_t rows, int64_t n, const float* x, const double* scale, const double* offset,
                             const float* residual, float* y);
  // y[i][j] = p[j] * a[i][j] + q[j] * b[i][j] + r[j]; y may be a or b
  void (*column_combine)(int64_t rows, int64_t n, const float* a, const float* b, const float* p, const float* q,
                         const float* r, float* y);
  // y = factor * x * w elementwise
  void (*scaled_product)(int64_t n, const float* x, const float* w, float factor, float* y);
  // dx = p * dy * w + q * x; dw += s * dy * x  (one pixel of RMSNorm's backward)
  void (*rms_pixel_backward)(int64_t n, const float* x, const float* dy, const float* w, float p, float q, float s,
                             float* dx, float* dw);

  // ---- norm_silu_simd.h
  // y[i][j] = silu(scale[j] * x[i][j] + offset[j])
  void (*column_silu)(int64_t rows, int64_t n, const float* x, const float* scale, const float* offset, float* y);
  // dz = dy silu'(scale x + offset);  sum_dz[j] += dz[i][j];  sum_dz_x[j] += dz[i][j] * (x[i][j] - mean[j])
  void (*column_silu_backward)(int64_t rows, int64_t n, const float* x, const float* dy, const float* scale,
                               const float* offset, const float* mean, float* dz, float* sum_dz, float* sum_dz_x);
  // y = silu(u scale x + offset) for u = 1 / max(||x||, 1e-12), which is returned: one pixel of RMSNorm and SiLU
  float (*rms_silu)(int64_t n, const float* x, const float* scale, const float* offset, float* y);
  // dz = dy silu'(u scale x + offset);  sum_dz += dz;  sum_dz_x += dz u x;  dx through scale and norm
  void (*rms_silu_backward)(int64_t n, const float* x, const float* dy, const float* scale, const float* offset,
                            float u, float* dx, float* sum_dz, float* sum_dz_x);
};

// The best table this machine can run. ECHODIFF_ISA=baseline|avx2|avx512 in the environment asks for a lesser one.
const SimdKernels& simd_kernels();

}  // namespace echodiff
