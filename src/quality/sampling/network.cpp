#include "quality/sampling/network.h"

#include <memory>

#include "kernels/cuda/backend.h"
#include "kernels/cuda/captured_work.h"
#include "tensor/ops.h"
#include "train/model_run.h"

namespace echodiff {
namespace {

Tensor called(const LoadedDenoiser& run, const Tensor& x, const Tensor& t, const Tensor& condition,
              Tensor* deep = nullptr) {
  return run.network(x, t, run.options.planes > 0 ? condition : Tensor(), deep);
}

// The call with operands of one shape, in places of their own that a graph can keep to.
class CapturedCall {
 public:
  CapturedCall(const LoadedDenoiser& run, const Tensor& x, const Tensor& t, const Tensor& condition)
      : run_(run), x_(empty_like(x)), t_(empty(t.shape(), DType::i64, x.device())), condition_(empty_like(condition)) {}

  bool fits(const Tensor& x) const { return x.shape() == x_.shape(); }
  Tensor operator()(const Tensor& x, const Tensor& t, const Tensor& condition) {
    x_.copy_from(x);
    t_.copy_from(t);
    condition_.copy_from(condition);
    work_.run([this] { output_ = called(run_, x_, t_, condition_); });
    return output_.clone();  // the next call writes over it
  }

 private:
  const LoadedDenoiser& run_;
  Tensor x_, t_, condition_, output_;
  cuda::CapturedWork work_;  // goes before the memory it works in
};

}  // namespace

Network network_of(const LoadedDenoiser& run, Device device) {
  if constexpr (cuda::kBuiltWithCuda) {
    if (device == Device::kCuda)
      return [&run, call = std::shared_ptr<CapturedCall>()](const Tensor& x, const Tensor& t,
                                                            const Tensor& condition) mutable {
        if (!call || !call->fits(x)) {
          call.reset();  // its memory is free before the next asks for some
          call = std::make_shared<CapturedCall>(run, x, t, condition);
        }
        return (*call)(x, t, condition);
      };
  }
  return [&run](const Tensor& x, const Tensor& t, const Tensor& condition) { return called(run, x, t, condition); };
}

CachingNetwork caching_network_of(const LoadedDenoiser& run) {
  run.network.check_has_deep_levels();
  return [&run](const Tensor& x, const Tensor& t, const Tensor& condition, Tensor& deep) {
    return called(run, x, t, condition, &deep);
  };
}

Tensor picture_half(const Tensor& answer) { return answer.dim(1) == 2 ? slice(answer, 1, 0, 1) : answer; }

}  // namespace echodiff
