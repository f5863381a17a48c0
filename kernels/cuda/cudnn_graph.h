// Convolutions as cuDNN operation graphs, through the backend C API. A plan is chosen for device properties, which come
// from a GPU or, without one, from a JSON text: what production builds is what the tests build.
//
// Storage is NHWC and KRSC, float or bfloat16, accumulation float. Forward and backward-data can add a bias, in
// float, before the result is rounded (an intermediate in bfloat16 is rejected by cuDNN).
#pragma once

#include <cudnn.h>

#include <compare>
#include <cstdint>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "kernels/conv2d.h"

namespace echodiff::cuda {

void check_cudnn(cudnnStatus_t status, const std::string& doing,
                 std::source_location where = std::source_location::current());

// Owns a backend descriptor.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type);
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~Descriptor();

  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const std::vector<T>& values) {
    return set_raw(name, type, int64_t(values.size()), values.data());
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values) {
    return set(name, CUDNN_TYPE_INT64, values);
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    return set_raw(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.raw_);
  }
  Descriptor& finalize();
  cudnnBackendDescriptor_t raw() const { return raw_; }

 private:
  Descriptor& set_raw(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                      const void* values);
  cudnnBackendDescriptor_t raw_ = nullptr;
};

// Of a real device, or of one described by cuDNN's JSON.
Descriptor device_properties(cudnnHandle_t handle);
Descriptor device_properties(const std::string& json);

enum class ConvolutionPass { forward, backward_data, backward_weight };
enum class Precision { f32, bf16 };

struct ConvolutionProblem {
  Conv2dGeometry geo;
  ConvolutionPass pass;
  Precision precision;
  bool bias;  // forward and backward_data
  auto operator<=>(const ConvolutionProblem&) const = default;
};
// "forward bf16 x (8, 64, 32, 32) w (128, 64, 3, 3) stride 1 padding 1, bias"
std::string describe(const ConvolutionProblem&);

struct PlanOptions {
  bool deterministic = false;           // only engines that give the same bits in each run
  bool tf32 = false;                    // f32: engines may round inputs to fewer bits
  int64_t workspace_limit = 1ll << 30;  // bytes
};

struct ConvolutionPlan {
  Descriptor plan;
  int64_t workspace;  // bytes
  int64_t engine;     // cuDNN's number of it
};

// Tensors of the graph, for the variant pack.
enum ConvolutionTensor : int64_t { kTensorX = 1, kTensorW, kTensorY, kTensorBias, kTensorUnbiased };

// What tells a problem from every other, with the options that decide which plans are offered.
std::string key_of(const ConvolutionProblem&, const PlanOptions&);

// The plans that cuDNN's heuristics offer and accept within the options, its best guess first, at most `most`. Throws
// Error(kInternal) with the shapes, cuDNN's version and its reason where there is none; never another way of computing
// it.
std::vector<ConvolutionPlan> plan_candidates(const ConvolutionProblem&, const Descriptor& device, const PlanOptions&,
                                             size_t most);

}  // namespace echodiff::cuda
