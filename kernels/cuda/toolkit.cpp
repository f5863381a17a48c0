#include "kernels/cuda/toolkit.h"

#include <cublasLt.h>
#include <cudnn.h>
#include <dlfcn.h>

#include <string>

#include "kernels/cuda/library_search.h"
#include "kernels/error.h"

namespace echodiff::cuda {
namespace {

// The major version that the headers of this build describe: another one's structures may differ.
const std::string kCublas = "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);
const std::string kCudnn = "libcudnn.so." + std::to_string(CUDNN_MAJOR);
const std::string kCompiler = "libnvrtc.so." + std::to_string(CUBLAS_VER_MAJOR);

struct Library {
  void* handle;
  std::string path;
};

// Stays open until the process ends: its threads and its device memory can't be taken back.
Library open_library(const std::string& name) {
  const std::vector<std::string> folders = library_folders();
  std::string path = find_library(folders, name);
  // The loader's own places last: what the search names is what a person can change.
  void* const handle = dlopen(path.empty() ? name.c_str() : path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle != nullptr) return {handle, path.empty() ? name : path};
  const char* const why = dlerror();
  std::string places;
  for (const std::string& each : folders) places += (places.empty() ? "" : ", ") + each;
  throw Error(Fault::kNoDevice,
              concat_message("cuda: ", name, " can't be opened (", why ? why : "no reason given", "); looked in ",
                             places.empty() ? "no folder, for there is none" : places,
                             "; set ECHODIFF_CUDA_LIBRARIES to its folder, or use --device cpu"));
}

const Library& cublas() {
  static const Library library = open_library(kCublas);
  return library;
}
// cuDNN opens both of these by their names alone when it needs them: they are there then, wherever they were found.
const Library& cudnn() {
  static const Library library = [] {
    cublas();
    if (const std::string path = find_library(library_folders(), kCompiler); !path.empty())
      dlopen(path.c_str(), RTLD_LAZY | RTLD_GLOBAL);
    return open_library(kCudnn);
  }();
  return library;
}

template <class Function> Function* symbol(const Library& library, const char* name) {
  void* const found = dlsym(library.handle, name);
  check(found != nullptr, "cuda: ", library.path, " has no ", name);
  return reinterpret_cast<Function*>(found);
}

}  // namespace

std::vector<ToolkitLibrary> toolkit_libraries() { return {{kCublas, cublas().path}, {kCudnn, cudnn().path}}; }

}  // namespace echodiff::cuda

// ---- what kernels/ calls of them

using namespace echodiff::cuda;

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  static auto* const call = symbol<decltype(cublasLtCreate)>(cublas(), "cublasLtCreate");
  return call(handle);
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  static auto* const call = symbol<decltype(cublasLtDestroy)>(cublas(), "cublasLtDestroy");
  return call(handle);
}
const char* cublasLtGetStatusString(cublasStatus_t status) {
  static auto* const call = symbol<decltype(cublasLtGetStatusString)>(cublas(), "cublasLtGetStatusString");
  return call(status);
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* out, cublasComputeType_t compute, cudaDataType_t scale) {
  static auto* const call = symbol<decltype(cublasLtMatmulDescCreate)>(cublas(), "cublasLtMatmulDescCreate");
  return call(out, compute, scale);
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
  static auto* const call = symbol<decltype(cublasLtMatmulDescDestroy)>(cublas(), "cublasLtMatmulDescDestroy");
  return call(description);
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t name,
                                              const void* value, size_t bytes) {
  static auto* const call =
      symbol<decltype(cublasLtMatmulDescSetAttribute)>(cublas(), "cublasLtMatmulDescSetAttribute");
  return call(description, name, value, bytes);
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* out, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t stride) {
  static auto* const call = symbol<decltype(cublasLtMatrixLayoutCreate)>(cublas(), "cublasLtMatrixLayoutCreate");
  return call(out, type, rows, columns, stride);
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  static auto* const call = symbol<decltype(cublasLtMatrixLayoutDestroy)>(cublas(), "cublasLtMatrixLayoutDestroy");
  return call(layout);
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* out) {
  static auto* const call =
      symbol<decltype(cublasLtMatmulPreferenceCreate)>(cublas(), "cublasLtMatmulPreferenceCreate");
  return call(out);
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  static auto* const call =
      symbol<decltype(cublasLtMatmulPreferenceDestroy)>(cublas(), "cublasLtMatmulPreferenceDestroy");
  return call(preference);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t name, const void* value,
                                                    size_t bytes) {
  static auto* const call =
      symbol<decltype(cublasLtMatmulPreferenceSetAttribute)>(cublas(), "cublasLtMatmulPreferenceSetAttribute");
  return call(preference, name, value, bytes);
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t* results, int* count) {
  static auto* const call =
      symbol<decltype(cublasLtMatmulAlgoGetHeuristic)>(cublas(), "cublasLtMatmulAlgoGetHeuristic");
  return call(handle, description, a, b, c, d, preference, wanted, results, count);
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t description, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
  static auto* const call = symbol<decltype(cublasLtMatmul)>(cublas(), "cublasLtMatmul");
  return call(handle, description, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout, algorithm,
              workspace, workspace_bytes, stream);
}

size_t cudnnGetVersion() {
  static auto* const call = symbol<decltype(cudnnGetVersion)>(cudnn(), "cudnnGetVersion");
  return call();
}
const char* cudnnGetErrorString(cudnnStatus_t status) {
  static auto* const call = symbol<decltype(cudnnGetErrorString)>(cudnn(), "cudnnGetErrorString");
  return call(status);
}
void cudnnGetLastErrorString(char* message, size_t size) {
  static auto* const call = symbol<decltype(cudnnGetLastErrorString)>(cudnn(), "cudnnGetLastErrorString");
  call(message, size);
}
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  static auto* const call = symbol<decltype(cudnnCreate)>(cudnn(), "cudnnCreate");
  return call(handle);
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  static auto* const call = symbol<decltype(cudnnDestroy)>(cudnn(), "cudnnDestroy");
  return call(handle);
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  static auto* const call = symbol<decltype(cudnnSetStream)>(cudnn(), "cudnnSetStream");
  return call(handle, stream);
}
cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* out) {
  static auto* const call = symbol<decltype(cudnnBackendCreateDescriptor)>(cudnn(), "cudnnBackendCreateDescriptor");
  return call(type, out);
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  static auto* const call = symbol<decltype(cudnnBackendDestroyDescriptor)>(cudnn(), "cudnnBackendDestroyDescriptor");
  return call(descriptor);
}
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  static auto* const call = symbol<decltype(cudnnBackendFinalize)>(cudnn(), "cudnnBackendFinalize");
  return call(descriptor);
}
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* elements) {
  static auto* const call = symbol<decltype(cudnnBackendSetAttribute)>(cudnn(), "cudnnBackendSetAttribute");
  return call(descriptor, name, type, count, elements);
}
cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t wanted, int64_t* count,
                                       void* elements) {
  static auto* const call = symbol<decltype(cudnnBackendGetAttribute)>(cudnn(), "cudnnBackendGetAttribute");
  return call(descriptor, name, type, wanted, count, elements);
}
cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
  static auto* const call = symbol<decltype(cudnnBackendExecute)>(cudnn(), "cudnnBackendExecute");
  return call(handle, plan, pack);
}

}  // extern "C"
