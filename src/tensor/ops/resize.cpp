#include "kernels/resize.h"

#include "tensor/dispatch.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

AxisTaps make_taps(int64_t in, int64_t out, const ResizeOptions& options) {
  if (options.mode == ResizeMode::nearest) return nearest_taps(in, out);
  if (options.antialias) return antialias_taps(in, out, options.mode == ResizeMode::bicubic);
  return options.mode == ResizeMode::bilinear ? bilinear_taps(in, out, options.align_corners)
                                              : bicubic_taps(in, out, options.align_corners);
}

cuda::AxisTapsView view(DeviceCall& gpu, const AxisTaps& taps) {
  const std::vector<float> weight(taps.weight.begin(), taps.weight.end());
  return {taps.in, taps.out, gpu.table(taps.begin), gpu.table(taps.index), gpu.table(weight)};
}

// x (N, C, rows.in, columns.in) -> (N, C, rows.out, columns.out)
Tensor apply(const AxisTaps& rows, const AxisTaps& columns, const Tensor& x) {
  const int64_t N = x.dim(0), C = x.dim(1);
  Tensor wide = empty({N, C, rows.in, columns.out}, x), y = empty({N, C, rows.out, columns.out}, x);
  dispatch(
      x, "resize",
      [&]<class T>(T) {
        reference::resize_axis(columns, N * rows.in, C, x.data<T>(), wide.mutable_data<T>());
        reference::resize_axis(rows, N, columns.out * C, wide.data<T>(), y.mutable_data<T>());
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::resize_axis(view(gpu, columns), N * rows.in, C, gpu.in<T>(x), gpu.out<T>(wide), gpu.stream());
        cuda::resize_axis(view(gpu, rows), N, columns.out * C, gpu.in<T>(wide), gpu.out<T>(y), gpu.stream());
      });
  return y;
}

}  // namespace

Tensor resize(const Tensor& x, int64_t height, int64_t width, const ResizeOptions& options) {
  check(x.rank() == 4 && x.dim(2) > 0 && x.dim(3) > 0, "resize: x must be (N, C, H, W) with pixels, got ", x.shape());
  check(height > 0 && width > 0, "resize: x ", x.shape(), " to ", height, " x ", width, "; sizes must be positive");
  check(options.mode != ResizeMode::nearest || (!options.align_corners && !options.antialias),
        "resize: nearest has neither align_corners nor antialias");
  check(!options.align_corners || !options.antialias, "resize: align_corners and antialias exclude each other");
  const AxisTaps rows = make_taps(x.dim(2), height, options), columns = make_taps(x.dim(3), width, options);
  return record("resize", apply(rows, columns, x), {x},
                [=](const Tensor& dy) -> Gradients { return {apply(transpose(rows), transpose(columns), dy)}; });
}

Tensor upsample_nearest2(const Tensor& x) {
  check(x.rank() == 4, "upsample_nearest2: x must be (N, C, H, W), got ", x.shape());
  const Upsample2Geometry geo{x.dim(0), x.dim(1), x.dim(2), x.dim(3)};
  Tensor y = empty({geo.N, geo.C, 2 * geo.H, 2 * geo.W}, x);
  dispatch(
      x, "upsample_nearest2",
      [&]<class T>(T) { reference::upsample_nearest2_forward(geo, x.data<T>(), y.mutable_data<T>()); },
      [&]<class T>(DeviceCall& gpu) {
        cuda::upsample_nearest2_forward(geo, gpu.in<T>(x), gpu.out<T>(y), gpu.stream());
      });
  return record("upsample_nearest2", y, {x}, [geo](const Tensor& dy) -> Gradients {
    Tensor dx = empty({geo.N, geo.C, geo.H, geo.W}, dy);
    dispatch(
        dy, "upsample_nearest2",
        [&]<class T>(T) { reference::upsample_nearest2_backward(geo, dy.data<T>(), dx.mutable_data<T>()); },
        [&]<class T>(DeviceCall& gpu) {
          cuda::upsample_nearest2_backward(geo, gpu.in<T>(dy), gpu.out<T>(dx), gpu.stream());
        });
    return {dx};
  });
}

}  // namespace echodiff
