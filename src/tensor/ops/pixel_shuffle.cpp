#include "kernels/pixel_shuffle.h"

#include "tensor/dispatch.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

Tensor to_large(const PixelShuffleGeometry& geo, const Tensor& small) {
  Tensor large = empty({geo.N, geo.C, geo.H * geo.f, geo.W * geo.f}, small);
  dispatch(
      small, "pixel_shuffle",
      [&]<class T>(T) { reference::pixel_shuffle(geo, small.data<T>(), large.mutable_data<T>()); },
      [&]<class T>(DeviceCall& gpu) { cuda::pixel_shuffle(geo, gpu.in<T>(small), gpu.out<T>(large), gpu.stream()); });
  return large;
}

Tensor to_small(const PixelShuffleGeometry& geo, const Tensor& large) {
  Tensor small = empty({geo.N, geo.C * geo.f * geo.f, geo.H, geo.W}, large);
  dispatch(
      large, "pixel_unshuffle",
      [&]<class T>(T) { reference::pixel_unshuffle(geo, large.data<T>(), small.mutable_data<T>()); },
      [&]<class T>(DeviceCall& gpu) { cuda::pixel_unshuffle(geo, gpu.in<T>(large), gpu.out<T>(small), gpu.stream()); });
  return small;
}

}  // namespace

Tensor pixel_shuffle(const Tensor& x, int64_t factor) {
  check(x.rank() == 4 && factor >= 1 && x.dim(1) % (factor * factor) == 0,
        "pixel_shuffle: x must be (N, C, H, W) with C a ", "multiple of ", factor * factor, ", got ", x.shape());
  const PixelShuffleGeometry geo{x.dim(0), x.dim(1) / (factor * factor), x.dim(2), x.dim(3), factor};
  return record("pixel_shuffle", to_large(geo, x), {x},
                [geo](const Tensor& dy) -> Gradients { return {to_small(geo, dy)}; });
}

Tensor pixel_unshuffle(const Tensor& x, int64_t factor) {
  check(x.rank() == 4 && factor >= 1 && x.dim(2) % factor == 0 && x.dim(3) % factor == 0,
        "pixel_unshuffle: x must be (N, C, H, W) with H and W multiples of ", factor, ", got ", x.shape());
  const PixelShuffleGeometry geo{x.dim(0), x.dim(1), x.dim(2) / factor, x.dim(3) / factor, factor};
  return record("pixel_unshuffle", to_small(geo, x), {x},
                [geo](const Tensor& dy) -> Gradients { return {to_large(geo, dy)}; });
}

}  // namespace echodiff
