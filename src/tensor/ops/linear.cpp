#include <algorithm>

#include "kernels/conv2d.h"
#include "kernels/gemm.h"
#include "tensor/dispatch.h"
#include "tensor/ops.h"
#include "tensor/ops/broadcast.h"
#include "tensor/ops/precision.h"

namespace echodiff {

Tensor linear(const Tensor& x, const Tensor& master, const Tensor& master_bias) {
  const Tensor weight = rounded_like(x, master), bias = rounded_like(x, master_bias);
  check(x.rank() >= 1 && x.rank() != 4, "linear: x must be (.., in) of rank 1 to 3, got ", x.shape());
  check(weight.rank() == 2 && weight.dim(1) == x.dim(-1), "linear: weight must be (out, ", x.dim(-1), "), got ",
        weight.shape());
  const int64_t in = weight.dim(1), out = weight.dim(0), rows = x.count() / std::max<int64_t>(1, in);
  check(!bias || bias.shape() == Shape({out}), "linear: bias must be (", out, "), got ", bias ? bias.shape() : Shape());
  Shape shape = x.shape();
  shape[x.rank() - 1] = out;
  Tensor y = empty(shape, x);
  dispatch(
      x, "linear",
      [&]<class T>(T) {
        T* into = y.mutable_data<T>();
        if (bias)
          for (int64_t i = 0; i < rows; ++i) std::copy_n(bias.data<T>(), out, into + i * out);
        cpu::parallel_gemm(rows, out, in, MatrixView<T>{x.data<T>(), in, 1}, MatrixView<T>{weight.data<T>(), 1, in},
                           into, out, bias.defined());
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::gemm<T>(rows, out, in, {gpu.in<T>(x), in, 1}, {gpu.in<T>(weight), 1, in}, gpu.in<T>(bias), gpu.out<T>(y),
                      out, false, gpu.context());
      });
  return record("linear", y, {x, weight, bias},
                [=](const Tensor& dy) -> Gradients {  // dx = dy W, dW = dy^T x, db = sum dy
                  Tensor dx = gradient_for(x), dweight = gradient_for(weight), dbias = gradient_for(bias);
                  dispatch(
                      x, "linear",
                      [&]<class T>(T) {
                        if (dx)
                          cpu::parallel_gemm(rows, in, out, MatrixView<T>{dy.data<T>(), out, 1},
                                             MatrixView<T>{weight.data<T>(), in, 1}, dx.mutable_data<T>(), in, false);
                        if (dweight)
                          cpu::parallel_gemm(out, in, rows, MatrixView<T>{dy.data<T>(), 1, out},
                                             MatrixView<T>{x.data<T>(), in, 1}, dweight.mutable_data<T>(), in, false);
                        if (dbias) cpu::conv2d_backward_bias(rows, out, dy.data<T>(), dbias.mutable_data<T>());
                      },
                      [&]<class T>(DeviceCall& gpu) {
                        if (dx)
                          cuda::gemm<T>(rows, in, out, {gpu.in<T>(dy), out, 1}, {gpu.in<T>(weight), in, 1}, nullptr,
                                        gpu.out<T>(dx), in, false, gpu.context());
                        if (dweight)
                          cuda::gemm<T>(out, in, rows, {gpu.in<T>(dy), 1, out}, {gpu.in<T>(x), in, 1}, nullptr,
                                        gpu.out<T>(dweight), in, false, gpu.context());
                        if (dbias) dbias = sum_to(dy.alias({rows, out}), {1, out}).alias({out});
                      });
                  return {dx, dweight, dbias};
                });
}

}  // namespace echodiff
