// What each *_simd.cpp defines, per instruction set; table_simd.cpp joins them into one SimdKernels.
#pragma once

#include "kernels/adam.h"
#include "kernels/ema.h"
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

void gemm_rows(int64_t taps, int64_t depth, const float* const* rows, const float* b, const float* bias,
               bool accumulate, float* c, int64_t ldc);
void gemm_columns(int64_t depth, const float* a, int64_t lda, const float* b, int64_t ldb, bool accumulate, float* c,
                  int64_t ldc);
void gemm_samples(int64_t depth, const float* a, int64_t lda, const float* const* b, bool accumulate, float* c,
                  int64_t ldc);
void copy_rows(int64_t rows, int64_t columns, const float* from, int64_t from_stride, float* into, int64_t into_stride);
void transpose(int64_t rows, int64_t columns, const float* from, int64_t from_stride, float* into, int64_t into_stride);

void winograd_input(int64_t n, const float* x, int64_t row, int64_t column, float* v, int64_t frequency);
void winograd_products(int64_t tiles, int64_t depth, const float* v, int64_t v_row, int64_t v_frequency, const float* u,
                       int64_t u_frequency, bool accumulate, float* m, int64_t m_row, int64_t m_frequency);
void winograd_output(int64_t n, const float* m, int64_t frequency, const float* bias, float* y, int64_t row,
                     int64_t column, int64_t height, int64_t width);
void winograd_output_gradient(int64_t n, const float* dy, int64_t row, int64_t column, float* z, int64_t frequency);
void winograd_weight(int64_t n, const float* w, int64_t tap, float* u, int64_t frequency);
void winograd_weight_gradient(int64_t n, const float* u, int64_t frequency, float* dw, int64_t tap);

bool adam_update(const AdamCoefficients& by, const AdamTensor& tensor, int64_t begin, int64_t end);
void ema_update(float share, const EmaTensor& tensor, int64_t begin, int64_t end);

void silu_forward(int64_t n, const float* x, float* y);
void silu_backward(int64_t n, const float* x, const float* dy, float* dx);
void relu_forward(int64_t n, const float* x, float* y);
void relu_backward(int64_t n, const float* x, const float* dy, float* dx);

void max_of_pixels(int64_t count, int64_t n, const float* const* pixels, const int64_t* positions, float* y,
                   int64_t* index);

float dot(int64_t n, const float* a, const float* b);
void softmax_row(int64_t n, float scale, float factor, const float* x, float* y);
void softmax_row_backward(int64_t n, const float* y, const float* dy, float weight, float factor, float* dx);
void column_max(int64_t rows, int64_t n, int64_t stride, const float* x, float* largest);
void column_exp(int64_t rows, int64_t n, int64_t stride, const float* x, const float* largest, const float* factor,
                float* y);
void product_of_difference(int64_t n, const float* a, const float* b, const float* mean, float* y);
void column_sums(int64_t rows, int64_t n, const float* x, float* sums);
void column_squares(int64_t rows, int64_t n, const float* x, const float* mean, float* squares);
void column_products(int64_t rows, int64_t n, const float* dy, const float* x, const float* mean, float* sum_dy,
                     float* sum_dy_x);
void column_affine(int64_t rows, int64_t n, const float* x, const float* scale, const float* offset, float* y);
void column_affine_exact(int64_t rows, int64_t n, const float* x, const double* scale, const double* offset, float* y);
void column_affine_relu(int64_t rows, int64_t n, const float* x, const double* scale, const double* offset,
                        const float* residual, float* y);
void column_combine(int64_t rows, int64_t n, const float* a, const float* b, const float* p, const float* q,
                    const float* r, float* y);
void column_silu(int64_t rows, int64_t n, const float* x, const float* scale, const float* offset, float* y);
void column_silu_backward(int64_t rows, int64_t n, const float* x, const float* dy, const float* scale,
                          const float* offset, const float* mean, float* dz, float* sum_dz, float* sum_dz_x);
float rms_silu(int64_t n, const float* x, const float* scale, const float* offset, float* y);
void rms_silu_backward(int64_t n, const float* x, const float* dy, const float* scale, const float* offset, float u,
                       float* dx, float* sum_dz, float* sum_dz_x);
void scaled_product(int64_t n, const float* x, const float* w, float factor, float* y);
void rms_pixel_backward(int64_t n, const float* x, const float* dy, const float* w, float p, float q, float s,
                        float* dx, float* dw);

}  // namespace echodiff::simd::ECHODIFF_ISA
