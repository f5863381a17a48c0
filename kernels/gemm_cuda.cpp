// Matrix products by cuBLASLt. It counts in columns: our row-major C (M, N) is its C^T (N, M) = B^T A^T.
#include <cuda_bf16.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/cuda/context.h"
#include "kernels/error.h"
#include "kernels/gemm.h"

namespace echodiff::cuda {
namespace {

constexpr size_t kWorkspace = size_t(32) << 20;  // what cuBLAS recommends on Hopper

using Operation = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

// An operand as cuBLAS sees it: the rows of our view are its columns, or the view is transposed.
struct Operand {
  cublasOperation_t transpose;
  Layout layout;
};
template <class T>
Operand operand(const char* name, MatrixView<T> view, int64_t rows, int64_t columns, cudaDataType_t type) {
  check(view.column_stride == 1 || view.row_stride == 1, "cuda gemm: one stride of ", name, " must be 1, got ",
        view.row_stride, " and ", view.column_stride);
  cublasLtMatrixLayout_t layout = nullptr;
  const bool by_rows = view.column_stride == 1;
  const int64_t length = by_rows ? columns : rows, count = by_rows ? rows : columns;
  const int64_t step = by_rows ? view.row_stride : view.column_stride;  // of no meaning for a single one
  check_cublas(cublasLtMatrixLayoutCreate(&layout, type, uint64_t(length), uint64_t(count),
                                          count == 1 ? std::max(step, length) : step),
               "describing an operand");
  return {by_rows ? CUBLAS_OP_N : CUBLAS_OP_T, Layout(layout)};
}

template <class V> void set(const Operation& operation, cublasLtMatmulDescAttributes_t name, const V& value) {
  check_cublas(cublasLtMatmulDescSetAttribute(operation.get(), name, &value, sizeof value), "setting an attribute");
}

// Algorithms are chosen for the alignment there is: a view may start anywhere in its tensor.
void set_alignment(const Preference& preference, cublasLtMatmulPreferenceAttributes_t name, const void* data) {
  constexpr uintptr_t kMost = 256;
  const uintptr_t address = reinterpret_cast<uintptr_t>(data) | kMost;
  const uint32_t alignment = uint32_t(address & -address);
  check_cublas(cublasLtMatmulPreferenceSetAttribute(preference.get(), name, &alignment, sizeof alignment),
               "setting an alignment");
}

}  // namespace

template <class T>
void gemm(int64_t M, int64_t N, int64_t K, MatrixView<T> a, MatrixView<T> b, const T* bias, T* c, int64_t ldc,
          bool accumulate, Context& context) {
  if (M == 0 || N == 0) return;
  check(K > 0, "cuda gemm: a product of (", M, ", 0) and (0, ", N, ") has no terms");
  constexpr cudaDataType_t kType = std::is_same_v<T, float> ? CUDA_R_32F : CUDA_R_16BF;
  const bool tf32 = kType == CUDA_R_32F && context.options().tf32;
  cublasLtMatmulDesc_t raw_operation = nullptr;
  check_cublas(
      cublasLtMatmulDescCreate(&raw_operation, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
      "describing the product");
  const Operation operation(raw_operation);
  const Operand left = operand("B", b, K, N, kType), right = operand("A", a, M, K, kType);
  set(operation, CUBLASLT_MATMUL_DESC_TRANSA, left.transpose);
  set(operation, CUBLASLT_MATMUL_DESC_TRANSB, right.transpose);
  if (bias) {
    set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    set(operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, kType);
  }
  cublasLtMatrixLayout_t raw_result = nullptr;
  check_cublas(cublasLtMatrixLayoutCreate(&raw_result, kType, uint64_t(N), uint64_t(M), ldc), "describing the result");
  const Layout result(raw_result);
  cublasLtMatmulPreference_t raw_preference = nullptr;
  check_cublas(cublasLtMatmulPreferenceCreate(&raw_preference), "creating a preference");
  const Preference preference(raw_preference);
  check_cublas(cublasLtMatmulPreferenceSetAttribute(raw_preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                    &kWorkspace, sizeof kWorkspace),
               "limiting the workspace");
  set_alignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, b.data);
  set_alignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, a.data);
  set_alignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, c);
  set_alignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, c);
  cublasLtMatmulHeuristicResult_t chosen{};
  int found = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(context.cublas(), raw_operation, left.layout.get(), right.layout.get(), raw_result,
                                     raw_result, raw_preference, 1, &chosen, &found);
  if (status != CUBLAS_STATUS_NOT_SUPPORTED) check_cublas(status, "choosing an algorithm");
  check(found > 0, "cublasLt: no algorithm for (", M, ", ", K, ") x (", K, ", ", N, ") in ",
        kType == CUDA_R_32F ? "f32" : "bf16", ": ", cublasLtGetStatusString(status));
  const DeviceBuffer workspace = context.memory().allocate(chosen.workspaceSize, "the workspace of a matrix product");
  const float one = 1, kept = accumulate ? 1.0f : 0.0f;
  check_cublas(cublasLtMatmul(context.cublas(), raw_operation, &one, b.data, left.layout.get(), a.data,
                              right.layout.get(), &kept, c, raw_result, c, raw_result, &chosen.algo, workspace.data(),
                              chosen.workspaceSize, context.stream()),
               "running a matrix product");
}

template decltype(gemm<float>) gemm<float>;
template decltype(gemm<Bfloat16>) gemm<Bfloat16>;

}  // namespace echodiff::cuda
