#include "cuda/fake/cudnn_graph.h"

#include <cuda_bf16.h>

#include <cstring>
#include <optional>

#include "cuda/fake/device.h"

namespace fake_cuda {
namespace {

struct Pass {
  enum { forward, backward_data, backward_weight } kind;
  cudnnBackendAttributeName_t alpha, beta, convolution, x, w, y;
};
std::optional<Pass> pass_of(const Object& operation) {
  switch (operation.type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
      return Pass{Pass::forward,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y};
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
      return Pass{Pass::backward_data,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY};
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
      return Pass{Pass::backward_weight,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY};
    default: return std::nullopt;
  }
}

int64_t size_of(const Object& tensor, int i) { return tensor.value<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS, i); }
int64_t stride_of(const Object& tensor, int i) { return tensor.value<int64_t>(CUDNN_ATTR_TENSOR_STRIDES, i); }
cudnnDataType_t type_of(const Object& tensor) { return tensor.value<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE); }
bool is_virtual(const Object& tensor) { return tensor.value<char>(CUDNN_ATTR_TENSOR_IS_VIRTUAL) != 0; }
size_t element_bytes(const Object& tensor) { return type_of(tensor) == CUDNN_DATA_FLOAT ? 4 : 2; }

struct Shape {
  int64_t N, C, H, W, K, R, S, P, Q, groups;
  int64_t stride[2], padding[2], dilation[2];
};
Shape shape_of(const Object& operation, const Pass& pass) {
  const Object &x = operation.object(pass.x), &w = operation.object(pass.w), &y = operation.object(pass.y);
  const Object& convolution = operation.object(pass.convolution);
  Shape out{size_of(x, 0),
            size_of(x, 1),
            size_of(x, 2),
            size_of(x, 3),
            size_of(w, 0),
            size_of(w, 2),
            size_of(w, 3),
            size_of(y, 2),
            size_of(y, 3),
            size_of(x, 1) / size_of(w, 1),
            {},
            {},
            {}};
  for (int i = 0; i < 2; ++i) {
    out.stride[i] = convolution.value<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, i);
    out.padding[i] = convolution.value<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, i);
    out.dilation[i] = convolution.value<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS, i);
  }
  return out;
}

cudnnStatus_t check_convolution(const Object& operation, const Pass& pass, std::string& why) {
  const Object &x = operation.object(pass.x), &w = operation.object(pass.w), &y = operation.object(pass.y);
  const Shape s = shape_of(operation, pass);
  const int64_t input[2] = {s.H, s.W}, kernel[2] = {s.R, s.S}, output[2] = {s.P, s.Q};
  for (int i = 0; i < 2; ++i) {
    const int64_t post = operation.object(pass.convolution).value<int64_t>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, i);
    const int64_t room = input[i] + s.padding[i] + post - s.dilation[i] * (kernel[i] - 1) - 1;
    if (s.stride[i] < 1 || s.dilation[i] < 1 || room < 0 || room / s.stride[i] + 1 != output[i]) {
      why = "the output's size is not the convolution's";
      return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
    }
  }
  if (size_of(w, 1) * s.groups != s.C || s.K % s.groups != 0 || size_of(y, 0) != s.N || size_of(y, 1) != s.K) {
    why = "channels or batches that don't fit";
    return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
  }
  const Object& result = pass.kind == Pass::forward ? y : pass.kind == Pass::backward_data ? x : w;
  if (is_virtual(result) && type_of(result) != CUDNN_DATA_FLOAT) {
    why = "a virtual tensor that isn't float";
    return CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN;
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t check_addition(const Object& add, std::string& why) {
  const Object& pointwise = add.object(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
  if (pointwise.value<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE) != CUDNN_POINTWISE_ADD) {
    why = "a pointwise operation that isn't an addition";
    return CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN;
  }
  for (int i = 0; i < 4; ++i) {
    const int64_t size = size_of(add.object(CUDNN_ATTR_OPERATION_POINTWISE_YDESC), i);
    const int64_t summand = size_of(add.object(CUDNN_ATTR_OPERATION_POINTWISE_BDESC), i);
    if (size_of(add.object(CUDNN_ATTR_OPERATION_POINTWISE_XDESC), i) != size || (summand != 1 && summand != size)) {
      why = "an addition of shapes that don't fit";
      return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
    }
  }
  return CUDNN_STATUS_SUCCESS;
}

// A tensor's values, dense, in the order of `axes`; and back.
using Values = std::vector<float>;
struct Walk {
  int64_t size[4], stride[4];
  Walk(const Object& tensor, const int (&axes)[4]) {
    for (int i = 0; i < 4; ++i) size[i] = size_of(tensor, axes[i]), stride[i] = stride_of(tensor, axes[i]);
  }
  template <class Body> void each(Body body) const {
    size_t at = 0;
    for (int64_t a = 0; a < size[0]; ++a)
      for (int64_t b = 0; b < size[1]; ++b)
        for (int64_t c = 0; c < size[2]; ++c)
          for (int64_t d = 0; d < size[3]; ++d)
            body(at++, size_t(a * stride[0] + b * stride[1] + c * stride[2] + d * stride[3]));
  }
};
size_t count_of(const Object& tensor) {
  return size_t(size_of(tensor, 0) * size_of(tensor, 1) * size_of(tensor, 2) * size_of(tensor, 3));
}
Values load(const Object& tensor, const void* data, const int (&axes)[4], bool rounds) {
  Values out(count_of(tensor));
  Walk(tensor, axes).each([&](size_t at, size_t from) {
    out[at] = type_of(tensor) == CUDNN_DATA_FLOAT ? static_cast<const float*>(data)[from]
                                                  : float(static_cast<const __nv_bfloat16*>(data)[from]);
    if (!rounds) return;
    uint32_t bits = 0;  // TF32 keeps 10 bits of the mantissa
    std::memcpy(&bits, &out[at], 4);
    bits &= ~0x1fffu;
    std::memcpy(&out[at], &bits, 4);
  });
  return out;
}
void store(const Object& tensor, void* data, const int (&axes)[4], const Values& values) {
  Walk(tensor, axes).each([&](size_t at, size_t to) {
    if (type_of(tensor) == CUDNN_DATA_FLOAT)
      static_cast<float*>(data)[to] = values[at];
    else
      static_cast<__nv_bfloat16*>(data)[to] = __nv_bfloat16(values[at]);
  });
}

constexpr int kImage[4] = {0, 2, 3, 1};      // N H W C
constexpr int kWeightByK[4] = {2, 3, 0, 1};  // R S K C
constexpr int kWeightByC[4] = {2, 3, 1, 0};  // R S C K

// body(pixel of x, pixel of y, tap of w) for every product of a convolution.
template <class Body> void each_tap(const Shape& s, Body body) {
  for (int64_t n = 0; n < s.N; ++n)
    for (int64_t p = 0; p < s.P; ++p)
      for (int64_t q = 0; q < s.Q; ++q)
        for (int64_t r = 0; r < s.R; ++r)
          for (int64_t t = 0; t < s.S; ++t) {
            const int64_t h = p * s.stride[0] - s.padding[0] + r * s.dilation[0];
            const int64_t w = q * s.stride[1] - s.padding[1] + t * s.dilation[1];
            if (h >= 0 && h < s.H && w >= 0 && w < s.W)
              body((n * s.H + h) * s.W + w, (n * s.P + p) * s.Q + q, r * s.S + t);
          }
}

// a[i] * b[j] added to c[i][j] or, transposed, c[j] += a[i] * b[i][j]: the two forms of all three passes.
void add_outer(const float* a, int64_t rows, const float* b, int64_t columns, float* c, int64_t c_stride) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) c[i * c_stride + j] += a[i] * b[j];
}
void add_product(const float* a, int64_t rows, const float* b, int64_t b_stride, int64_t columns, float* c) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) c[j] += a[i] * b[i * b_stride + j];
}

Values convolve(const Object& operation, const Pass& pass, const std::map<int64_t, void*>& data, bool rounds) {
  const Object &x = operation.object(pass.x), &w = operation.object(pass.w), &y = operation.object(pass.y);
  const Shape s = shape_of(operation, pass);
  const int64_t Cg = s.C / s.groups, Kg = s.K / s.groups;
  const auto input = [&](const Object& tensor, const int(&axes)[4]) {
    return load(tensor, data.at(tensor.value<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID)), axes, rounds);
  };
  if (pass.kind == Pass::forward) {
    const Values image = input(x, kImage), weight = input(w, kWeightByC);
    Values out(count_of(y));
    each_tap(s, [&](int64_t from, int64_t to, int64_t tap) {
      for (int64_t g = 0; g < s.groups; ++g)
        add_product(&image[size_t(from * s.C + g * Cg)], Cg, &weight[size_t(tap * Cg * s.K + g * Kg)], s.K, Kg,
                    &out[size_t(to * s.K + g * Kg)]);
    });
    return out;
  }
  const Values gradient = input(y, kImage);
  if (pass.kind == Pass::backward_data) {
    const Values weight = input(w, kWeightByK);
    Values out(count_of(x));
    each_tap(s, [&](int64_t to, int64_t from, int64_t tap) {
      for (int64_t g = 0; g < s.groups; ++g)
        add_product(&gradient[size_t(from * s.K + g * Kg)], Kg, &weight[size_t((tap * s.K + g * Kg) * Cg)], Cg, Cg,
                    &out[size_t(to * s.C + g * Cg)]);
    });
    return out;
  }
  const Values image = input(x, kImage);
  Values out(count_of(w));
  each_tap(s, [&](int64_t from, int64_t at, int64_t tap) {
    for (int64_t g = 0; g < s.groups; ++g)
      add_outer(&image[size_t(from * s.C + g * Cg)], Cg, &gradient[size_t(at * s.K + g * Kg)], Kg,
                &out[size_t(tap * Cg * s.K + g * Kg)], s.K);
  });
  return out;
}

// The operands' memory: what isn't virtual has an aligned pointer into one allocation.
cudnnStatus_t check_operand(const Object& tensor, const std::map<int64_t, void*>& data, std::string& why) {
  if (is_virtual(tensor)) return CUDNN_STATUS_SUCCESS;
  const auto found = data.find(tensor.value<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID));
  if (found == data.end()) {
    why = "a tensor without a pointer in the variant pack";
    return CUDNN_STATUS_BAD_PARAM;
  }
  int64_t last = 0;
  for (int i = 0; i < 4; ++i) last += (size_of(tensor, i) - 1) * stride_of(tensor, i);
  if (reinterpret_cast<uintptr_t>(found->second) % size_t(tensor.value<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT))) {
    why = "a pointer that isn't aligned as its tensor says";
    return CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
  }
  if (!check_range(found->second, size_t(last + 1) * element_bytes(tensor), "cudnnBackendExecute")) {
    why = "a tensor outside of device memory";
    return CUDNN_STATUS_BAD_PARAM;
  }
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

int64_t workspace_of(int engine) { return engine == kPlain ? 4096 : engine == kNondeterministic ? 1 << 16 : 0; }
double milliseconds_of(int engine) { return engine == kNondeterministic ? 2 : engine == kPlain ? 1 : 3; }

cudnnStatus_t check_graph(const Object& graph, std::string& why) {
  const std::vector<std::shared_ptr<Object>>& operations = graph.attributes.at(CUDNN_ATTR_OPERATIONGRAPH_OPS).objects;
  const std::optional<Pass> pass = pass_of(*operations[0]);
  if (!pass || operations.size() > 2) {
    why = "a graph that the fake doesn't know";
    return CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN;
  }
  const cudnnStatus_t status = check_convolution(*operations[0], *pass, why);
  if (status != CUDNN_STATUS_SUCCESS || operations.size() == 1) return status;
  return check_addition(*operations[1], why);
}

cudnnStatus_t run_graph(const Object& graph, int engine, const Object& pack, std::string& why) {
  std::map<int64_t, void*> data;
  const Attribute& ids = pack.attributes.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  if (ids.count != pack.attributes.at(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).count) return CUDNN_STATUS_BAD_PARAM;
  for (int64_t i = 0; i < ids.count; ++i)
    data[pack.value<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i)] =
        pack.value<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);
  const Object& convolution = graph.object(CUDNN_ATTR_OPERATIONGRAPH_OPS, 0);
  const Pass pass = *pass_of(convolution);
  std::vector<const Object*> operands{&convolution.object(pass.x), &convolution.object(pass.w),
                                      &convolution.object(pass.y)};
  const bool adds = graph.attributes.at(CUDNN_ATTR_OPERATIONGRAPH_OPS).count == 2;
  const Object* add = adds ? &graph.object(CUDNN_ATTR_OPERATIONGRAPH_OPS, 1) : nullptr;
  if (add)
    for (const auto name : {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_ATTR_OPERATION_POINTWISE_YDESC})
      operands.push_back(&add->object(name));
  for (const Object* each : operands) {
    const cudnnStatus_t status = check_operand(*each, data, why);
    if (status != CUDNN_STATUS_SUCCESS) return status;
  }
  if (device().idle) return CUDNN_STATUS_SUCCESS;
  const DeviceAccess access;
  if (workspace_of(engine) > 0) {
    void* workspace = pack.value<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
    if (!check_range(workspace, size_t(workspace_of(engine)), "cudnnBackendExecute")) return CUDNN_STATUS_BAD_PARAM;
    std::memset(workspace, 0xFF, size_t(workspace_of(engine)));
  }
  Values result = convolve(convolution, pass, data, engine == kRoundsInputs);
  const Object* target = operands[pass.kind == Pass::forward ? 2 : pass.kind == Pass::backward_data ? 0 : 1];
  if (add) {
    const Object& bias = *operands[3];
    target = operands[4];
    const char* summands = static_cast<const char*>(data.at(bias.value<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID)));
    const Values values = load(bias, summands, kImage, false);  // (1, 1, 1, C)
    for (size_t i = 0; i < result.size(); ++i) result[i] += values[i % values.size()];
  }
  store(*target, data.at(target->value<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID)),
        pass.kind == Pass::backward_weight ? kWeightByC : kImage, result);
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace fake_cuda
