#include "kernels/loss.h"

#include "tensor/dispatch.h"
#include "tensor/ops.h"
#include "tensor/ops/broadcast.h"

namespace echodiff {
namespace {

Tensor reduced(const Tensor& elements, Reduction reduction) {
  if (reduction == Reduction::none) return elements;
  return sum_to(elements, {}, reduction == Reduction::mean ? 1 / double(elements.count()) : 1);
}

template <class T> LossGradient<T> gradient_of(const T* dy, Reduction reduction, int64_t count) {
  return {dy, reduction != Reduction::none, reduction == Reduction::mean ? 1 / double(count) : 1};
}

void check_target(const char* op, const Tensor& x, const Tensor& target) {
  check(x.shape() == target.shape() && x.dtype() == target.dtype(), op, ": x is ", x.shape(), " ", name_of(x.dtype()),
        ", target is ", target.shape(), " ", name_of(target.dtype()));
}

Tensor difference_loss(const char* op, Loss kind, double beta, const Tensor& x, const Tensor& target,
                       Reduction reduction) {
  check_target(op, x, target);
  Tensor elements = empty_like(x);
  dispatch(
      x, op,
      [&]<class T>(T) {
        reference::loss_forward(kind, beta, x.count(), x.data<T>(), target.data<T>(), elements.mutable_data<T>());
      },
      [&](DeviceCall& gpu) {
        cuda::loss_forward(kind, beta, x.count(), gpu.in(x), gpu.in(target), gpu.out(elements), gpu.stream());
      });
  return record(op, reduced(elements, reduction), {x, target}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = empty_like(x);
    dispatch(
        x, op,
        [&]<class T>(T) {
          reference::loss_backward(kind, beta, x.count(), x.data<T>(), target.data<T>(),
                                   gradient_of(dy.data<T>(), reduction, x.count()), dx.mutable_data<T>());
        },
        [&](DeviceCall& gpu) {
          cuda::loss_backward(kind, beta, x.count(), gpu.in(x), gpu.in(target),
                              gradient_of(gpu.in(dy), reduction, x.count()), gpu.out(dx), gpu.stream());
        });
    return {dx, target.requires_grad() ? sum_to(dx, dx.shape(), -1) : Tensor()};
  });
}

template <class T> BceGeometry<T> bce_geometry(const Tensor& x, const Tensor& weight, const Tensor& pos_weight) {
  const int64_t last = x.rank() - 1, K = last < 0 ? 1 : x.dim(last);
  return {x.count(), K, last < 0 ? 1 : x.shape().strides()[size_t(last)], weight ? weight.data<T>(x.device()) : nullptr,
          pos_weight ? pos_weight.data<T>(x.device()) : nullptr};
}

}  // namespace

Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  return difference_loss("mse_loss", Loss::mse, 0, x, target, reduction);
}
Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  return difference_loss("l1_loss", Loss::l1, 0, x, target, reduction);
}
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, Reduction reduction, double beta) {
  check(beta >= 0, "smooth_l1_loss: beta must not be negative, got ", beta);
  return difference_loss("smooth_l1_loss", Loss::smooth_l1, beta, x, target, reduction);
}

Tensor bce_with_logits(const Tensor& x, const Tensor& target, Reduction reduction, const Tensor& weight,
                       const Tensor& pos_weight) {
  check_target("bce_with_logits", x, target);
  if (weight) check_target("bce_with_logits (weight)", x, weight);
  check(!pos_weight || (pos_weight.dtype() == x.dtype() && x.rank() > 0 && pos_weight.shape() == Shape{x.dim(-1)}),
        "bce_with_logits: pos_weight must have the last dimension of x ", x.shape(), ", got ",
        pos_weight ? pos_weight.shape() : Shape{});
  check(!target.requires_grad() && !weight.requires_grad() && !pos_weight.requires_grad(),
        "bce_with_logits: only x has a gradient; detach target, weight and pos_weight");
  Tensor elements = empty_like(x);
  dispatch(
      x, "bce_with_logits",
      [&]<class T>(T) {
        reference::bce_forward(bce_geometry<T>(x, weight, pos_weight), x.data<T>(), target.data<T>(),
                               elements.mutable_data<T>());
      },
      [&](DeviceCall& gpu) {
        cuda::bce_forward(bce_geometry<float>(x, weight, pos_weight), gpu.in(x), gpu.in(target), gpu.out(elements),
                          gpu.stream());
      });
  return record("bce_with_logits", reduced(elements, reduction), {x}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = empty_like(x);
    dispatch(
        x, "bce_with_logits",
        [&]<class T>(T) {
          reference::bce_backward(bce_geometry<T>(x, weight, pos_weight), x.data<T>(), target.data<T>(),
                                  gradient_of(dy.data<T>(), reduction, x.count()), dx.mutable_data<T>());
        },
        [&](DeviceCall& gpu) {
          cuda::bce_backward(bce_geometry<float>(x, weight, pos_weight), gpu.in(x), gpu.in(target),
                             gradient_of(gpu.in(dy), reduction, x.count()), gpu.out(dx), gpu.stream());
        });
    return {dx};
  });
}

Tensor cross_entropy(const Tensor& x, const Tensor& classes) {
  check(x.rank() == 2 && x.dim(1) > 0 && classes.shape() == Shape{x.dim(0)} && classes.dtype() == DType::i64,
        "cross_entropy: x must be (N, K) and classes (N) i64, got ", x.shape(), " and ", classes.shape(), " ",
        name_of(classes.dtype()));
  const int64_t N = x.dim(0), K = x.dim(1);
  const Tensor labels = classes.to(Device::kCpu);  // the host waits: a class out of range would read beyond x
  for (int64_t n = 0; n < N; ++n) {
    const int64_t label = labels.data<int64_t>()[n];
    check(label >= 0 && label < K, "cross_entropy: class ", label, " of sample ", n, " is not in [0, ", K, ")");
  }
  Tensor elements = empty({N}, x);
  dispatch(
      x, "cross_entropy",
      [&]<class T>(T) {
        reference::cross_entropy_forward(N, K, x.data<T>(), classes.data<int64_t>(), elements.mutable_data<T>());
      },
      [&](DeviceCall& gpu) {
        cuda::cross_entropy_forward(N, K, gpu.in(x), gpu.in<int64_t>(classes), gpu.out(elements), gpu.stream());
      });
  return record("cross_entropy", reduced(elements, Reduction::mean), {x, classes}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = empty_like(x);
    dispatch(
        x, "cross_entropy",
        [&]<class T>(T) {
          reference::cross_entropy_backward(N, K, x.data<T>(), classes.data<int64_t>(),
                                            gradient_of(dy.data<T>(), Reduction::mean, N), dx.mutable_data<T>());
        },
        [&](DeviceCall& gpu) {
          cuda::cross_entropy_backward(N, K, gpu.in(x), gpu.in<int64_t>(classes),
                                       gradient_of(gpu.in(dy), Reduction::mean, N), gpu.out(dx), gpu.stream());
        });
    return {dx, Tensor()};
  });
}

}  // namespace echodiff
