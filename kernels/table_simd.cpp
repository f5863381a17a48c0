#include "kernels/simd_kernels.h"
#include "kernels/simd_tables.h"

namespace echodiff::simd::ECHODIFF_ISA {

extern const SimdKernels kernels = {
    .name = ECHODIFF_ISA_NAME,
    .tile_rows = kTileRows,
    .tile_columns = kTileColumns,
    .gemm_rows = gemm_rows,
    .gemm_columns = gemm_columns,
    .gemm_samples = gemm_samples,
    .winograd_input = winograd_input,
    .winograd_output = winograd_output,
    .winograd_output_gradient = winograd_output_gradient,
    .winograd_weight = winograd_weight,
    .winograd_weight_gradient = winograd_weight_gradient,
    .silu_forward = silu_forward,
    .silu_backward = silu_backward,
    .dot = dot,
    .softmax_row = softmax_row,
    .column_softmax = column_softmax,
    .column_sums = column_sums,
    .column_squares = column_squares,
    .column_products = column_products,
    .column_affine = column_affine,
    .column_combine = column_combine,
    .scaled_product = scaled_product,
    .rms_pixel_backward = rms_pixel_backward,
};

}  // namespace echodiff::simd::ECHODIFF_ISA
