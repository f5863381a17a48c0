#include "kernels/pool.h"

#include "tensor/dispatch.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

void check_options(const char* op, const Tensor& x, const PoolOptions& options) {
  check(x.rank() == 4, op, ": x must be (N, C, H, W), got ", x.shape());
  check(options.kernel >= 1 && options.stride >= 1 && options.dilation >= 1 && options.padding >= 0 &&
            2 * options.padding <= options.kernel,
        op, ": kernel ", options.kernel, ", stride ", options.stride, ", dilation ", options.dilation, ", padding ",
        options.padding, "; padding must be at most half the kernel, the others positive");
}

int64_t output_size(const char* op, const Tensor& x, int64_t dim, const PoolOptions& options) {
  const int64_t out =
      pooled_size(x.dim(dim), options.kernel, options.stride, options.padding, options.dilation, options.ceil_mode);
  check(out > 0, op, ": x ", x.shape(), " is smaller than the window: kernel ", options.kernel, ", dilation ",
        options.dilation, ", padding ", options.padding);
  return out;
}

cuda::PoolAxisView view(DeviceCall& gpu, const PoolAxis& axis) {
  return {axis.in, axis.out, gpu.table(axis.begin), gpu.table(axis.end), gpu.table(axis.divisor)};
}

Tensor average(const char* op, const AvgPoolGeometry& geo, const Tensor& x) {
  Tensor y = empty({geo.N, geo.C, geo.rows.out, geo.columns.out}, x);
  dispatch(
      x, op, [&]<class T>(T) { reference::avg_pool2d_forward(geo, x.data<T>(), y.mutable_data<T>()); },
      [&]<class T>(DeviceCall& gpu) {
        cuda::avg_pool2d_forward(geo.N, geo.C, view(gpu, geo.rows), view(gpu, geo.columns), gpu.in<T>(x), gpu.out<T>(y),
                                 gpu.stream());
      });
  return record(op, y, {x}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = empty({geo.N, geo.C, geo.rows.in, geo.columns.in}, dy);
    dispatch(
        dy, op, [&]<class T>(T) { reference::avg_pool2d_backward(geo, dy.data<T>(), dx.mutable_data<T>()); },
        [&]<class T>(DeviceCall& gpu) {
          cuda::avg_pool2d_backward(geo.N, geo.C, view(gpu, geo.rows), view(gpu, geo.columns), gpu.in<T>(dy),
                                    gpu.out<T>(dx), gpu.stream());
        });
    return {dx};
  });
}

}  // namespace

Tensor max_pool2d(const Tensor& x, const PoolOptions& options) {
  check_options("max_pool2d", x, options);
  const MaxPoolGeometry geo{.N = x.dim(0),
                            .C = x.dim(1),
                            .H = x.dim(2),
                            .W = x.dim(3),
                            .P = output_size("max_pool2d", x, 2, options),
                            .Q = output_size("max_pool2d", x, 3, options),
                            .kernel = options.kernel,
                            .stride = options.stride,
                            .padding = options.padding,
                            .dilation = options.dilation};
  Tensor y = empty({geo.N, geo.C, geo.P, geo.Q}, x), index;
  if (needs_backward({x})) index = empty(y.shape(), DType::i64, x.device());
  dispatch(
      x, "max_pool2d",
      [&]<class T>(T) {
        cpu::max_pool2d_forward(geo, x.data<T>(), y.mutable_data<T>(), index ? index.mutable_data<int64_t>() : nullptr);
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::max_pool2d_forward(geo, gpu.in<T>(x), gpu.out<T>(y), gpu.out<int64_t>(index), gpu.stream());
      });
  return record("max_pool2d", y, {x}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = empty({geo.N, geo.C, geo.H, geo.W}, dy);
    dispatch(
        dy, "max_pool2d",
        [&]<class T>(T) {
          reference::max_pool2d_backward(geo, dy.data<T>(), index.data<int64_t>(), dx.mutable_data<T>());
        },
        [&]<class T>(DeviceCall& gpu) {
          cuda::max_pool2d_backward(geo, gpu.in<T>(dy), gpu.in<int64_t>(index), gpu.out<T>(dx), gpu.stream());
        });
    return {dx};
  });
}

Tensor avg_pool2d(const Tensor& x, const PoolOptions& options) {
  check_options("avg_pool2d", x, options);
  check(options.dilation == 1, "avg_pool2d: has no dilation, got ", options.dilation);
  const auto axis = [&](int64_t dim) -> PoolAxis {
    return window_axis(x.dim(dim), output_size("avg_pool2d", x, dim, options), options.kernel, options.stride,
                       options.padding, options.count_include_pad);
  };
  return average("avg_pool2d", {x.dim(0), x.dim(1), axis(2), axis(3)}, x);
}

Tensor adaptive_avg_pool2d(const Tensor& x, int64_t height, int64_t width) {
  check(x.rank() == 4 && x.dim(2) > 0 && x.dim(3) > 0 && height > 0 && width > 0, "adaptive_avg_pool2d: x ", x.shape(),
        " to ", height, " x ", width, "; x must be (N, C, H, W), all sizes positive");
  return average("adaptive_avg_pool2d",
                 {x.dim(0), x.dim(1), adaptive_axis(x.dim(2), height), adaptive_axis(x.dim(3), width)}, x);
}

}  // namespace echodiff
