#include "kernels/cuda/cudnn_graph.h"

#include <algorithm>
#include <optional>

#include "kernels/error.h"

namespace echodiff::cuda {
namespace {

using Sizes = std::vector<int64_t>;

cudnnDataType_t data_type(Precision precision) {
  return precision == Precision::f32 ? CUDNN_DATA_FLOAT : CUDNN_DATA_BFLOAT16;
}

// sizes in the order N C H W, channels last in memory.
Descriptor tensor(int64_t id, const Sizes& sizes, cudnnDataType_t type, bool intermediate = false) {
  const int64_t C = sizes[1], H = sizes[2], W = sizes[3];
  Descriptor out(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  out.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {id})
      .set<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, {type})
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, sizes)
      .set(CUDNN_ATTR_TENSOR_STRIDES, {H * W * C, 1, W * C, C})
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {16})
      .set<char>(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, {char(intermediate)});
  out.finalize();
  return out;
}

// Where each pass keeps its attributes.
struct PassAttributes {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t alpha, beta, convolution, w, x, y;
};
PassAttributes attributes_of(ConvolutionPass pass) {
  switch (pass) {
    case ConvolutionPass::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y};
    case ConvolutionPass::backward_data:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY};
    case ConvolutionPass::backward_weight: break;
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY};
}

Descriptor operation_graph(const ConvolutionProblem& problem) {
  const Conv2dGeometry& g = problem.geo;
  const cudnnDataType_t type = data_type(problem.precision);
  const Sizes x_sizes{g.N, g.C, g.H, g.W}, y_sizes{g.N, g.K, g.out_height, g.out_width};
  const bool to_x = problem.pass == ConvolutionPass::backward_data, to_y = problem.pass == ConvolutionPass::forward;
  // With a bias the convolution's own result is an intermediate in float.
  const auto result = [&](int64_t id, const Sizes& sizes, bool is_result) {
    return is_result && problem.bias ? tensor(kTensorUnbiased, sizes, CUDNN_DATA_FLOAT, true) : tensor(id, sizes, type);
  };
  const Descriptor x = result(kTensorX, x_sizes, to_x), y = result(kTensorY, y_sizes, to_y);
  const Descriptor w = tensor(kTensorW, {g.K, g.C / g.groups, g.R, g.S}, type);

  Descriptor convolution(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  convolution.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, {2})
      .set<cudnnDataType_t>(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, {CUDNN_DATA_FLOAT})
      .set<cudnnConvolutionMode_t>(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
                                   {CUDNN_CROSS_CORRELATION})
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {g.padding_h, g.padding_w})
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {g.padding_h, g.padding_w})
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {g.dilation_h, g.dilation_w})
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {g.stride_h, g.stride_w})
      .finalize();
  const PassAttributes names = attributes_of(problem.pass);
  Descriptor operation(names.operation);
  operation.set(names.convolution, convolution).set(names.w, w).set(names.x, x).set(names.y, y);
  operation.set<float>(names.alpha, CUDNN_TYPE_FLOAT, {1.0f})
      .set<float>(names.beta, CUDNN_TYPE_FLOAT, {0.0f})
      .finalize();

  std::vector<cudnnBackendDescriptor_t> operations{operation.raw()};
  std::optional<Descriptor> pointwise, add, bias, biased;
  if (problem.bias) {
    bias = tensor(kTensorBias, {1, to_y ? g.K : g.C, 1, 1}, type);
    biased = to_y ? tensor(kTensorY, y_sizes, type) : tensor(kTensorX, x_sizes, type);
    pointwise.emplace(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    pointwise->set<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, {CUDNN_POINTWISE_ADD})
        .set<cudnnDataType_t>(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, {CUDNN_DATA_FLOAT})
        .finalize();
    add.emplace(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    add->set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, *pointwise)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, to_y ? y : x)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *bias)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, *biased)
        .finalize();
    operations.push_back(add->raw());
  }
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations).finalize();
  return graph;
}

bool is_out_of_memory(cudnnStatus_t status) {
  return status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ||
         status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
}

// False where cuDNN doesn't support what is described; throws where the failure is another one.
bool try_finalize(const Descriptor& descriptor) {
  const cudnnStatus_t status = cudnnBackendFinalize(descriptor.raw());
  if (is_out_of_memory(status) || CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_EXECUTION_FAILED)
    check_cudnn(status, "planning");
  return status == CUDNN_STATUS_SUCCESS;
}

// What a heuristic offers, best first. Empty where it doesn't know the graph.
std::vector<Descriptor> engine_configurations(const Descriptor& graph, const Descriptor& device,
                                              cudnnBackendHeurMode_t mode) {
  Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .set<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, {mode})
      .set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device);
  if (!try_finalize(heuristic)) return {};
  int64_t count = 0;
  check_cudnn(cudnnBackendGetAttribute(heuristic.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0,
                                       &count, nullptr),
              "counting engines");
  std::vector<Descriptor> configurations;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int64_t i = 0; i < count; ++i)
    raw.push_back(configurations.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).raw());
  check_cudnn(cudnnBackendGetAttribute(heuristic.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                       count, &count, raw.data()),
              "listing engines");
  configurations.erase(configurations.begin() + count, configurations.end());
  return configurations;
}

Descriptor engine_of(const Descriptor& configuration) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  int64_t count = 0;
  cudnnBackendDescriptor_t raw = engine.raw();
  check_cudnn(cudnnBackendGetAttribute(configuration.raw(), CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                       1, &count, &raw),
              "reading an engine");
  return engine;
}

bool allowed(const Descriptor& engine, const ConvolutionProblem& problem, const PlanOptions& options) {
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  int64_t count = 0;
  check_cudnn(cudnnBackendGetAttribute(engine.raw(), CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                       CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes),
              "reading an engine's numerical notes");
  return std::none_of(notes, notes + count, [&](cudnnBackendNumericalNote_t note) {
    return (options.deterministic && note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) ||
           (problem.precision == Precision::f32 && !options.tf32 && note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
  });
}

int64_t number(const Descriptor& from, cudnnBackendAttributeName_t name) {
  int64_t value = 0, count = 0;
  check_cudnn(cudnnBackendGetAttribute(from.raw(), name, CUDNN_TYPE_INT64, 1, &count, &value), "reading a number");
  return value;
}

std::string last_message() {
  char text[1024] = "";
  cudnnGetLastErrorString(text, sizeof text);
  return text;
}

}  // namespace

void check_cudnn(cudnnStatus_t status, const std::string& doing, std::source_location where) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw Error(
      is_out_of_memory(status) ? Fault::kOutOfMemory : Fault::kInternal,
      concat_message("cudnn ", CUDNN_VERSION, ": ", doing, ": ", cudnnGetErrorString(status), " ", last_message()),
      where);
}

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) {
  check_cudnn(cudnnBackendCreateDescriptor(type, &raw_), "creating a descriptor");
}
Descriptor::~Descriptor() {
  if (raw_) cudnnBackendDestroyDescriptor(raw_);
}
Descriptor& Descriptor::set_raw(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                                const void* values) {
  check_cudnn(cudnnBackendSetAttribute(raw_, name, type, count, values), "setting attribute " + std::to_string(name));
  return *this;
}
Descriptor& Descriptor::finalize() {
  check_cudnn(cudnnBackendFinalize(raw_), "finalizing a descriptor");
  return *this;
}

Descriptor device_properties(cudnnHandle_t handle) {
  Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device.set<cudnnHandle_t>(CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, {handle}).finalize();
  return device;
}

Descriptor device_properties(const std::string& json) {
  Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  std::vector<char> text(json.begin(), json.end());
  text.push_back('\0');
  device.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, text).finalize();
  return device;
}

std::string describe(const ConvolutionProblem& problem) {
  const Conv2dGeometry& g = problem.geo;
  const char* pass = problem.pass == ConvolutionPass::forward         ? "forward "
                     : problem.pass == ConvolutionPass::backward_data ? "backward_data "
                                                                      : "backward_weight ";
  return concat_message(pass, problem.precision == Precision::f32 ? "f32" : "bf16", " x (", g.N, ", ", g.C, ", ", g.H,
                        ", ", g.W, ") w (", g.K, ", ", g.C / g.groups, ", ", g.R, ", ", g.S, ") stride ", g.stride_h,
                        " padding ", g.padding_h, problem.bias ? ", bias" : "");
}

std::string key_of(const ConvolutionProblem& problem, const PlanOptions& options) {
  const Conv2dGeometry& g = problem.geo;
  return concat_message(describe(problem), ", y (", g.out_height, ", ", g.out_width, ") stride_w ", g.stride_w,
                        " padding_w ", g.padding_w, " dilation ", g.dilation_h, " ", g.dilation_w, " groups ", g.groups,
                        options.deterministic ? ", deterministic" : "", options.tf32 ? ", tf32" : "", ", workspace ",
                        options.workspace_limit);
}

std::vector<ConvolutionPlan> plan_candidates(const ConvolutionProblem& problem, const Descriptor& device,
                                             const PlanOptions& options, size_t most) {
  std::vector<ConvolutionPlan> candidates;
  const Descriptor graph = operation_graph(problem);
  std::string reason = "no engine is offered";
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (const Descriptor& configuration : engine_configurations(graph, device, mode)) {
      const Descriptor engine = engine_of(configuration);
      if (!allowed(engine, problem, options)) {
        reason = "engines are offered, and none that the precision and determinism asked for allow";
        continue;
      }
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration)
          .set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device);
      if (!try_finalize(plan)) {
        reason = last_message();
        continue;
      }
      const int64_t workspace = number(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
      if (workspace > options.workspace_limit) {
        reason = "the workspace exceeds the limit";
        continue;
      }
      candidates.push_back({std::move(plan), workspace, number(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX)});
      if (candidates.size() == most) return candidates;
    }
  }
  check(!candidates.empty(), "cudnn ", CUDNN_VERSION, ": no plan for ", describe(problem), ": ", reason);
  return candidates;
}

}  // namespace echodiff::cuda
