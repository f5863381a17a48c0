// cuDNN's calls: handles, and descriptors that are made, filled, finalized and executed.
#include <cudnn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>

#include "cuda/fake/cudnn_graph.h"
#include "cuda/fake/device.h"

using namespace fake_cuda;

namespace {

std::string last_message;

struct Handle {
  cudaStream_t stream = nullptr;
};
// What a cudnnBackendDescriptor_t points to: other descriptors may keep the object longer.
struct Reference {
  std::shared_ptr<Object> object;
};

std::optional<cudnnStatus_t> told_to_fail(const char* call) {
  const auto failure = next_call(call);
  if (!failure) return std::nullopt;
  last_message = "told to fail";
  if (*failure == Failure::memory) return CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
  device().last_error = cudaErrorIllegalAddress;
  return CUDNN_STATUS_EXECUTION_FAILED;
}

cudnnStatus_t refuse(cudnnStatus_t status, const std::string& why) {
  last_message = why;
  return status;
}

Object* object_of(cudnnBackendDescriptor_t descriptor, const char* call) {
  return is_object(descriptor, "descriptor", call) ? static_cast<Reference*>(descriptor)->object.get() : nullptr;
}

size_t element_size(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR: return 8;
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR: return 1;
    default: return 4;  // float and the enumerations
  }
}

// The attributes without which a descriptor can't be finalized.
std::initializer_list<cudnnBackendAttributeName_t> required(cudnnBackendDescriptorType_t type) {
  static const std::initializer_list<cudnnBackendAttributeName_t> none{},
      tensor{CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_ATTR_TENSOR_DIMENSIONS,
             CUDNN_ATTR_TENSOR_STRIDES, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT},
      convolution{CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS,  CUDNN_ATTR_CONVOLUTION_COMP_TYPE,
                  CUDNN_ATTR_CONVOLUTION_CONV_MODE,     CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS,
                  CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_ATTR_CONVOLUTION_DILATIONS,
                  CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES},
      graph{CUDNN_ATTR_OPERATIONGRAPH_OPS},
      heuristics{CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_ATTR_ENGINEHEUR_MODE},
      plan{CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG},
      pack{CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
           CUDNN_ATTR_VARIANT_PACK_WORKSPACE},
      add{CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
          CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_ATTR_OPERATION_POINTWISE_YDESC},
      forward{CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
      backward_data{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
      backward_weight{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY};
  switch (type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR: return tensor;
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR: return convolution;
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR: return graph;
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR: return heuristics;
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: return plan;
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR: return pack;
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: return add;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR: return forward;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR: return backward_data;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR: return backward_weight;
    default: return none;
  }
}

void fill(Object& configuration, int engine, const std::shared_ptr<Object>& graph) {
  configuration.engine = engine;
  configuration.graph = graph;
  configuration.finalized = true;
}

bool is_f32(const Object& graph) {
  const Object& operation = graph.object(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  for (const auto& [name, attribute] : operation.attributes)
    for (const auto& each : attribute.objects)
      if (each->type == CUDNN_BACKEND_TENSOR_DESCRIPTOR &&
          each->value<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE) != CUDNN_DATA_FLOAT)
        return false;
  return true;
}

template <class V> cudnnStatus_t give(V value, int64_t wanted, int64_t* count, void* out) {
  if (wanted < 1 || !out) return CUDNN_STATUS_BAD_PARAM;
  std::memcpy(out, &value, sizeof value);
  if (count) *count = 1;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t give_configurations(const Object& heuristics, int64_t wanted, int64_t* count, void* out) {
  const bool all = heuristics.value<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE) != CUDNN_HEUR_MODE_FALLBACK;
  if (heuristics.object(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).refused) {
    *count = 0;
    return CUDNN_STATUS_SUCCESS;
  }
  std::vector<int> engines;
  if (all && is_f32(heuristics.object(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH))) engines.push_back(kRoundsInputs);
  if (all) engines.push_back(kNondeterministic);
  engines.push_back(kPlain);
  *count = wanted == 0 ? int64_t(engines.size()) : std::min(wanted, int64_t(engines.size()));
  for (int64_t i = 0; wanted > 0 && i < *count; ++i) {
    Object* each = object_of(static_cast<cudnnBackendDescriptor_t*>(out)[i], "cudnnBackendGetAttribute");
    if (!each || each->type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR) return CUDNN_STATUS_BAD_PARAM;
    fill(*each, engines[size_t(i)], heuristics.attributes.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).objects[0]);
  }
  return CUDNN_STATUS_SUCCESS;
}

// Of a device that is none: an empty object.
cudnnStatus_t give_properties(int64_t wanted, int64_t* count, void* out) {
  const std::string json = "{}";
  *count = int64_t(json.size()) + 1;
  if (wanted >= *count) std::memcpy(out, json.c_str(), size_t(*count));
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t give_notes(const Object& engine, int64_t wanted, int64_t* count, void* out) {
  *count = engine.engine == kPlain ? 0 : 1;
  if (wanted < *count) return CUDNN_STATUS_BAD_PARAM;
  if (*count == 1)
    *static_cast<cudnnBackendNumericalNote_t*>(out) = engine.engine == kRoundsInputs
                                                          ? CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS
                                                          : CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

size_t cudnnGetVersion() { return CUDNN_VERSION; }
const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED: return "CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED";
    case CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH: return "CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH";
    case CUDNN_STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    case CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED:
      return "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED";
    default: return "another cudnnStatus_t";
  }
}
void cudnnGetLastErrorString(char* message, size_t size) { std::snprintf(message, size, "%s", last_message.c_str()); }

cudnnStatus_t cudnnCreate(cudnnHandle_t* out) {
  if (const auto status = told_to_fail("cudnnCreate")) return *status;
  *out = reinterpret_cast<cudnnHandle_t>(new Handle);
  add_object(*out, "cudnn handle");
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  if (!remove_object(handle, "cudnn handle", "cudnnDestroy")) return CUDNN_STATUS_BAD_PARAM;
  delete reinterpret_cast<Handle*>(handle);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  if (const auto status = told_to_fail("cudnnSetStream")) return *status;
  if (!is_object(handle, "cudnn handle", "cudnnSetStream") || !is_object(stream, "stream", "cudnnSetStream"))
    return CUDNN_STATUS_BAD_PARAM;
  reinterpret_cast<Handle*>(handle)->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* out) {
  if (const auto status = told_to_fail("cudnnBackendCreateDescriptor")) return *status;
  const auto object = std::make_shared<Object>();
  object->type = type;
  *out = new Reference{object};
  add_object(*out, "descriptor");
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  if (!remove_object(descriptor, "descriptor", "cudnnBackendDestroyDescriptor")) return CUDNN_STATUS_BAD_PARAM;
  delete static_cast<Reference*>(descriptor);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* elements) {
  if (const auto status = told_to_fail("cudnnBackendSetAttribute")) return *status;
  Object* object = object_of(descriptor, "cudnnBackendSetAttribute");
  if (!object || count < 1 || !elements) return refuse(CUDNN_STATUS_BAD_PARAM, "an attribute without elements");
  if (object->finalized) return refuse(CUDNN_STATUS_BAD_PARAM, "the descriptor is finalized already");
  Attribute attribute{type, count, {}, {}};
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    for (int64_t i = 0; i < count; ++i) {
      const cudnnBackendDescriptor_t each = static_cast<const cudnnBackendDescriptor_t*>(elements)[i];
      if (!object_of(each, "cudnnBackendSetAttribute")) return CUDNN_STATUS_BAD_PARAM;
      attribute.objects.push_back(static_cast<Reference*>(each)->object);
      if (!attribute.objects.back()->finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "a descriptor as attribute that isn't finalized");
    }
  } else {
    const char* bytes = static_cast<const char*>(elements);
    attribute.bytes.assign(bytes, bytes + size_t(count) * element_size(type));
  }
  object->attributes[name] = std::move(attribute);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  if (const auto status = told_to_fail("cudnnBackendFinalize")) return *status;
  Object* object = object_of(descriptor, "cudnnBackendFinalize");
  if (!object) return CUDNN_STATUS_BAD_PARAM;
  for (const cudnnBackendAttributeName_t name : required(object->type))
    if (!object->has(name)) return refuse(CUDNN_STATUS_BAD_PARAM, "attribute " + std::to_string(name) + " is missing");
  std::string why;
  if (object->type == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)
    if (const cudnnStatus_t status = check_graph(*object, why); status != CUDNN_STATUS_SUCCESS)
      return refuse(status, why);
  if (object->type == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)
    object->refused = ++device().graph_count == device().refused_graph;
  object->finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, int64_t wanted, int64_t* count, void* out) {
  if (const auto status = told_to_fail("cudnnBackendGetAttribute")) return *status;
  const Object* object = object_of(descriptor, "cudnnBackendGetAttribute");
  if (!object || !object->finalized) return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "reading an attribute");
  switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS: return give_configurations(*object, wanted, count, out);
    case CUDNN_ATTR_ENGINECFG_ENGINE: {
      Object* engine = object_of(*static_cast<cudnnBackendDescriptor_t*>(out), "cudnnBackendGetAttribute");
      if (!engine || engine->type != CUDNN_BACKEND_ENGINE_DESCRIPTOR) return CUDNN_STATUS_BAD_PARAM;
      fill(*engine, object->engine, object->graph);
      *count = 1;
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION: return give_properties(wanted, count, out);
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE: return give_notes(*object, wanted, count, out);
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX: return give(int64_t(object->engine), wanted, count, out);
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      return give(workspace_of(object->object(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).engine), wanted, count, out);
    default: return refuse(CUDNN_STATUS_NOT_SUPPORTED, "attribute " + std::to_string(name) + " of the fake");
  }
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t raw_plan,
                                  cudnnBackendDescriptor_t raw_pack) {
  if (const auto status = told_to_fail("cudnnBackendExecute")) return *status;
  if (!is_object(handle, "cudnn handle", "cudnnBackendExecute") ||
      !is_object(reinterpret_cast<Handle*>(handle)->stream, "stream", "cudnnBackendExecute"))
    return CUDNN_STATUS_BAD_PARAM;
  const Object *plan = object_of(raw_plan, "cudnnBackendExecute"), *pack = object_of(raw_pack, "cudnnBackendExecute");
  if (!plan || !pack || !plan->finalized || !pack->finalized) return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
  const Object& configuration = plan->object(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  const int engine = configuration.engine;
  const cudaStream_t stream = reinterpret_cast<Handle*>(handle)->stream;
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
  std::string why;
  if (device().capturing == stream)
    submit(stream, [graph = configuration.graph, engine, kept = *pack] {
      std::string problem;
      if (run_graph(*graph, engine, kept, problem) != CUDNN_STATUS_SUCCESS) misuse("cuDNN in a graph: " + problem);
    });
  else
    status = run_graph(*configuration.graph, engine, *pack, why);
  device().clock += milliseconds_of(engine);
  return status == CUDNN_STATUS_SUCCESS ? status : refuse(status, why);
}

}  // extern "C"
