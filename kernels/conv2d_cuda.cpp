// Convolutions on cuDNN's plans (cuda/cudnn_graph.h). The gradient of the bias is reduce_sum over pixels (reduce.h).
#include <cuda_bf16.h>

#include <string>
#include <type_traits>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/cuda/context.h"

namespace echodiff::cuda {
namespace {

template <class T> constexpr Precision kPrecision = std::is_same_v<T, float> ? Precision::f32 : Precision::bf16;

void execute_plan(Context& context, const ConvolutionProblem& problem, const ConvolutionPlan& plan, const void* x,
                  const void* w, const void* y, const void* bias) {
  const DeviceBuffer workspace =
      context.memory().allocate(size_t(plan.workspace), "the workspace of " + describe(problem));
  std::vector<int64_t> ids{kTensorX, kTensorW, kTensorY};
  std::vector<const void*> pointers{x, w, y};
  if (bias) {
    ids.push_back(kTensorBias);
    pointers.push_back(bias);
  }
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers)
      .set<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, {workspace.data()})
      .finalize();
  check_cudnn(cudnnBackendExecute(context.cudnn(), plan.plan.raw(), pack.raw()), "running " + describe(problem));
}

// By the problem's own plan; bias may be null.
void execute(Context& context, const ConvolutionProblem& problem, const void* x, const void* w, const void* y,
             const void* bias) {
  const auto run = [&](const ConvolutionPlan& plan) { execute_plan(context, problem, plan, x, w, y, bias); };
  run(context.plan(problem, run));
}

}  // namespace

template <class T>
void conv2d_forward(const Conv2dGeometry& geo, const T* x, const T* w, const T* bias, T* y, Context& context) {
  execute(context, {geo, ConvolutionPass::forward, kPrecision<T>, bias != nullptr}, x, w, y, bias);
}
template <class T>
void conv2d_backward_data(const Conv2dGeometry& geo, const T* dy, const T* w, const T* bias, T* dx, Context& context) {
  execute(context, {geo, ConvolutionPass::backward_data, kPrecision<T>, bias != nullptr}, dx, w, dy, bias);
}
template <class T>
void conv2d_backward_weight(const Conv2dGeometry& geo, const T* x, const T* dy, T* dw, Context& context) {
  execute(context, {geo, ConvolutionPass::backward_weight, kPrecision<T>, false}, x, dw, dy, nullptr);
}

template decltype(conv2d_forward<float>) conv2d_forward<float>;
template decltype(conv2d_forward<Bfloat16>) conv2d_forward<Bfloat16>;
template decltype(conv2d_backward_data<float>) conv2d_backward_data<float>;
template decltype(conv2d_backward_data<Bfloat16>) conv2d_backward_data<Bfloat16>;
template decltype(conv2d_backward_weight<float>) conv2d_backward_weight<float>;
template decltype(conv2d_backward_weight<Bfloat16>) conv2d_backward_weight<Bfloat16>;

}  // namespace echodiff::cuda
