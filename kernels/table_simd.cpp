#include "kernels/activation_simd.h"
#include "kernels/adam_simd.h"
#include "kernels/conv2d_winograd_simd.h"
#include "kernels/ema_simd.h"
#include "kernels/gemm_simd.h"
#include "kernels/norm_silu_simd.h"
#include "kernels/pool_simd.h"
#include "kernels/rows_simd.h"
#include "kernels/simd_kernels.h"

namespace echodiff::simd::ECHODIFF_ISA {

extern const SimdKernels kernels = {
    .name = ECHODIFF_ISA_NAME,
    .tile_rows = kTileRows,
    .tile_columns = kTileColumns,
    .gemm_rows = gemm_rows,
    .gemm_columns = gemm_columns,
    .gemm_samples = gemm_samples,
    .copy_rows = copy_rows,
    .transpose = transpose,
    .winograd_input = winograd_input,
    .winograd_products = winograd_products,
    .winograd_output = winograd_output,
    .winograd_output_gradient = winograd_output_gradient,
    .winograd_weight = winograd_weight,
    .winograd_weight_gradient = winograd_weight_gradient,
    .adam_update = adam_update,
    .ema_update = ema_update,
    .silu_forward = silu_forward,
    .silu_backward = silu_backward,
    .relu_forward = relu_forward,
    .relu_backward = relu_backward,
    .max_of_pixels = max_of_pixels,
    .dot = dot,
    .softmax_row = softmax_row,
    .softmax_row_backward = softmax_row_backward,
    .column_max = column_max,
    .column_exp = column_exp,
    .product_of_difference = product_of_difference,
    .column_sums = column_sums,
    .column_squares = column_squares,
    .column_products = column_products,
    .column_affine = column_affine,
    .column_affine_exact = column_affine_exact,
    .column_affine_relu = column_affine_relu,
    .column_combine = column_combine,
    .scaled_product = scaled_product,
    .rms_pixel_backward = rms_pixel_backward,
    .column_silu = column_silu,
    .column_silu_backward = column_silu_backward,
    .rms_silu = rms_silu,
    .rms_silu_backward = rms_silu_backward,
};

}  // namespace echodiff::simd::ECHODIFF_ISA
