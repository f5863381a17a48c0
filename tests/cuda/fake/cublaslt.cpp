// cuBLASLt: D = epilogue(alpha op(A) op(B) + beta C), column-major, with leading dimensions and strided batches, sums
// in double. What its documentation asks for is checked; what kernels/ doesn't use is CUBLAS_STATUS_NOT_SUPPORTED.
#include <cublasLt.h>
#include <cuda_bf16.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "cuda/fake/device.h"

using namespace fake_cuda;

namespace {

struct MatmulDesc {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  cublasOperation_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
  cudaDataType_t bias_type = CUDA_R_32F;
};
struct Layout {
  cudaDataType type;
  uint64_t rows, columns;
  int64_t ld;
  int32_t batch = 1;
  int64_t batch_stride = 0;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t alignment[4] = {256, 256, 256, 256};  // A, B, C, D
};
// What the heuristic promised, in the algorithm's own bytes.
struct Algorithm {
  size_t workspace;
  uint32_t alignment[4];
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

cublasStatus_t refuse(const std::string& why) {
  misuse("cublasLt: " + why);
  return CUBLAS_STATUS_INVALID_VALUE;
}

// The failure that a call is told to have: out of memory, or the device is lost.
std::optional<cublasStatus_t> told_to_fail(const char* call) {
  const auto failure = next_call(call);
  if (!failure) return std::nullopt;
  if (*failure == Failure::memory) return CUBLAS_STATUS_ALLOC_FAILED;
  device().last_error = cudaErrorIllegalAddress;
  return CUBLAS_STATUS_EXECUTION_FAILED;
}

template <class T, class Opaque> T& of(Opaque* opaque) { return *reinterpret_cast<T*>(opaque); }

template <class V> cublasStatus_t take(V& value, const void* bytes, size_t size) {
  if (!bytes || size != sizeof value) return refuse("an attribute of " + std::to_string(size) + " bytes");
  std::memcpy(&value, bytes, size);
  return CUBLAS_STATUS_SUCCESS;
}

size_t bytes_of(cudaDataType type) { return type == CUDA_R_32F ? 4 : 2; }
double load(const void* data, int64_t i, cudaDataType type) {
  if (type == CUDA_R_32F) return double(static_cast<const float*>(data)[i]);
  return double(float(static_cast<const __nv_bfloat16*>(data)[i]));
}
void store(void* data, int64_t i, cudaDataType type, double value) {
  if (type == CUDA_R_32F)
    static_cast<float*>(data)[i] = float(value);
  else
    static_cast<__nv_bfloat16*>(data)[i] = __nv_bfloat16(float(value));
}

// Shapes, types and leading dimensions of a product.
cublasStatus_t check_product(const MatmulDesc& desc, const Layout& a, const Layout& b, const Layout& c,
                             const Layout& d) {
  const bool ta = desc.transpose_a != CUBLAS_OP_N, tb = desc.transpose_b != CUBLAS_OP_N;
  const uint64_t m = ta ? a.columns : a.rows, k = ta ? a.rows : a.columns;
  const uint64_t k_of_b = tb ? b.columns : b.rows, n = tb ? b.rows : b.columns;
  for (const Layout* each : {&a, &b, &c, &d}) {
    if (each->rows == 0 || each->columns == 0) return refuse("a matrix without elements");
    if (each->ld < int64_t(each->rows)) return refuse("a leading dimension below the number of rows");
    if (each->batch != a.batch) return refuse("batch counts that differ");
    if (each->type != a.type) return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (k != k_of_b || c.rows != m || c.columns != n || d.rows != m || d.columns != n)
    return refuse("shapes that don't fit: (" + std::to_string(m) + ", " + std::to_string(k) + ") (" +
                  std::to_string(k_of_b) + ", " + std::to_string(n) + ")");
  if (a.type != CUDA_R_32F && a.type != CUDA_R_16BF) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (desc.compute != CUBLAS_COMPUTE_32F && desc.compute != CUBLAS_COMPUTE_32F_FAST_TF32)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (desc.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && a.type != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (desc.scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (desc.epilogue != CUBLASLT_EPILOGUE_DEFAULT && desc.epilogue != CUBLASLT_EPILOGUE_BIAS)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  return CUBLAS_STATUS_SUCCESS;
}

// The memory from the first to the last element, and its alignment.
bool check_matrix(const void* data, const Layout& layout, uint32_t alignment, const char* name) {
  const int64_t last =
      (layout.batch - 1) * layout.batch_stride + int64_t(layout.columns - 1) * layout.ld + int64_t(layout.rows);
  bool sound = check_range(data, size_t(last) * bytes_of(layout.type), "cublasLtMatmul");
  if (reinterpret_cast<uintptr_t>(data) % alignment != 0) {
    misuse(std::string("cublasLtMatmul: ") + name + " is aligned less than the algorithm was chosen for");
    sound = false;
  }
  return sound;
}

// Element (i, j) at i * i_step + j * j_step, in rows.
std::vector<double> rows_of(const void* data, int64_t at, cudaDataType type, int64_t rows, int64_t columns,
                            int64_t i_step, int64_t j_step) {
  std::vector<double> out(size_t(rows * columns));
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) out[size_t(i * columns + j)] = load(data, at + i * i_step + j * j_step, type);
  return out;
}

void multiply(const MatmulDesc& desc, double alpha, const void* A, const Layout& a, const void* B, const Layout& b,
              double beta, const void* C, const Layout& c, void* D, const Layout& d) {
  const bool ta = desc.transpose_a != CUBLAS_OP_N, tb = desc.transpose_b != CUBLAS_OP_N;
  const int64_t m = int64_t(d.rows), n = int64_t(d.columns), k = int64_t(ta ? a.rows : a.columns);
  for (int32_t batch = 0; batch < d.batch; ++batch) {
    const std::vector<double> left = rows_of(A, batch * a.batch_stride, a.type, m, k, ta ? a.ld : 1, ta ? 1 : a.ld);
    const std::vector<double> right = rows_of(B, batch * b.batch_stride, b.type, n, k, tb ? 1 : b.ld, tb ? b.ld : 1);
    for (int64_t j = 0; j < n; ++j)
      for (int64_t i = 0; i < m; ++i) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l) sum += left[size_t(i * k + l)] * right[size_t(j * k + l)];
        double value = alpha * sum;
        if (beta != 0) value += beta * load(C, batch * c.batch_stride + i + j * c.ld, c.type);
        if (desc.epilogue == CUBLASLT_EPILOGUE_BIAS) value += load(desc.bias, i, desc.bias_type);
        store(D, batch * d.batch_stride + i + j * d.ld, d.type, value);
      }
  }
}

}  // namespace

extern "C" {

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    default: return "another cublasStatus_t";
  }
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* out) {
  if (const auto status = told_to_fail("cublasLtCreate")) return *status;
  *out = reinterpret_cast<cublasLtHandle_t>(new char);
  add_object(*out, "cublasLt handle");
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  if (!remove_object(handle, "cublasLt handle", "cublasLtDestroy")) return CUBLAS_STATUS_INVALID_VALUE;
  delete reinterpret_cast<char*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* out, cublasComputeType_t compute, cudaDataType_t scale) {
  if (const auto status = told_to_fail("cublasLtMatmulDescCreate")) return *status;
  *out = reinterpret_cast<cublasLtMatmulDesc_t>(new MatmulDesc{.compute = compute, .scale = scale, .bias_type = scale});
  add_object(*out, "product");
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  if (!remove_object(desc, "product", "cublasLtMatmulDescDestroy")) return CUBLAS_STATUS_INVALID_VALUE;
  delete &of<MatmulDesc>(desc);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t raw, cublasLtMatmulDescAttributes_t name,
                                              const void* bytes, size_t size) {
  if (const auto status = told_to_fail("cublasLtMatmulDescSetAttribute")) return *status;
  if (!is_object(raw, "product", "cublasLtMatmulDescSetAttribute")) return CUBLAS_STATUS_INVALID_VALUE;
  MatmulDesc& desc = of<MatmulDesc>(raw);
  switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return take(desc.transpose_a, bytes, size);
    case CUBLASLT_MATMUL_DESC_TRANSB: return take(desc.transpose_b, bytes, size);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return take(desc.epilogue, bytes, size);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return take(desc.bias, bytes, size);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return take(desc.bias_type, bytes, size);
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* out, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t ld) {
  if (const auto status = told_to_fail("cublasLtMatrixLayoutCreate")) return *status;
  *out = reinterpret_cast<cublasLtMatrixLayout_t>(new Layout{type, rows, columns, ld});
  add_object(*out, "matrix layout");
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  if (!remove_object(layout, "matrix layout", "cublasLtMatrixLayoutDestroy")) return CUBLAS_STATUS_INVALID_VALUE;
  delete &of<Layout>(layout);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t raw, cublasLtMatrixLayoutAttribute_t name,
                                                const void* bytes, size_t size) {
  if (const auto status = told_to_fail("cublasLtMatrixLayoutSetAttribute")) return *status;
  if (!is_object(raw, "matrix layout", "cublasLtMatrixLayoutSetAttribute")) return CUBLAS_STATUS_INVALID_VALUE;
  if (name == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT) return take(of<Layout>(raw).batch, bytes, size);
  if (name == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET) return take(of<Layout>(raw).batch_stride, bytes, size);
  return CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* out) {
  if (const auto status = told_to_fail("cublasLtMatmulPreferenceCreate")) return *status;
  *out = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
  add_object(*out, "preference");
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  if (!remove_object(preference, "preference", "cublasLtMatmulPreferenceDestroy")) return CUBLAS_STATUS_INVALID_VALUE;
  delete &of<Preference>(preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t raw,
                                                    cublasLtMatmulPreferenceAttributes_t name, const void* bytes,
                                                    size_t size) {
  if (const auto status = told_to_fail("cublasLtMatmulPreferenceSetAttribute")) return *status;
  if (!is_object(raw, "preference", "cublasLtMatmulPreferenceSetAttribute")) return CUBLAS_STATUS_INVALID_VALUE;
  Preference& preference = of<Preference>(raw);
  switch (name) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return take(preference.workspace, bytes, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return take(preference.alignment[0], bytes, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return take(preference.alignment[1], bytes, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return take(preference.alignment[2], bytes, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return take(preference.alignment[3], bytes, size);
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t raw_preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int* found) {
  if (const auto status = told_to_fail("cublasLtMatmulAlgoGetHeuristic")) return *status;
  if (!is_object(handle, "cublasLt handle", "cublasLtMatmulAlgoGetHeuristic") || wanted < 1)
    return CUBLAS_STATUS_INVALID_VALUE;
  *found = 0;
  const cublasStatus_t status =
      check_product(of<MatmulDesc>(desc), of<Layout>(a), of<Layout>(b), of<Layout>(c), of<Layout>(d));
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const Preference& preference = of<Preference>(raw_preference);
  const size_t workspace = preference.workspace < 4096 ? 0 : 4096;
  Algorithm algorithm{workspace, {}};
  std::memcpy(algorithm.alignment, preference.alignment, sizeof preference.alignment);
  results[0] = {};
  std::memcpy(&results[0].algo, &algorithm, sizeof algorithm);
  results[0].workspaceSize = workspace;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t raw_desc, const void* alpha, const void* A,
                              cublasLtMatrixLayout_t raw_a, const void* B, cublasLtMatrixLayout_t raw_b,
                              const void* beta, const void* C, cublasLtMatrixLayout_t raw_c, void* D,
                              cublasLtMatrixLayout_t raw_d, const cublasLtMatmulAlgo_t* algo, void* workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
  if (const auto status = told_to_fail("cublasLtMatmul")) return *status;
  if (!is_object(handle, "cublasLt handle", "cublasLtMatmul") || !is_object(stream, "stream", "cublasLtMatmul"))
    return CUBLAS_STATUS_INVALID_VALUE;
  const MatmulDesc desc = of<MatmulDesc>(raw_desc);
  const Layout a = of<Layout>(raw_a), b = of<Layout>(raw_b), c = of<Layout>(raw_c), d = of<Layout>(raw_d);
  const cublasStatus_t status = check_product(desc, a, b, c, d);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  if (!algo) return CUBLAS_STATUS_NOT_SUPPORTED;
  Algorithm algorithm{};
  std::memcpy(&algorithm, algo, sizeof algorithm);
  bool sound = check_matrix(A, a, algorithm.alignment[0], "A") && check_matrix(B, b, algorithm.alignment[1], "B") &&
               check_matrix(C, c, algorithm.alignment[2], "C") && check_matrix(D, d, algorithm.alignment[3], "D");
  if (algorithm.workspace > 0)
    sound =
        workspace_bytes >= algorithm.workspace && check_range(workspace, workspace_bytes, "cublasLtMatmul") && sound;
  if (desc.epilogue == CUBLASLT_EPILOGUE_BIAS)
    sound = check_range(desc.bias, d.rows * bytes_of(desc.bias_type), "cublasLtMatmul") && sound;
  if (!sound) return refuse("a product of operands that aren't sound");
  if (device().idle) return CUBLAS_STATUS_SUCCESS;
  const double factor = double(*static_cast<const float*>(alpha)), kept = double(*static_cast<const float*>(beta));
  submit(stream, [=] {
    const DeviceAccess access;
    if (algorithm.workspace > 0) std::memset(workspace, 0xFF, algorithm.workspace);
    multiply(desc, factor, A, a, B, b, kept, C, c, D, d);
  });
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
