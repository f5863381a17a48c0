#include "kernels/time_embedding.h"

#include "tensor/dispatch.h"
#include "tensor/ops.h"

namespace echodiff {

Tensor time_embedding(const Tensor& t, int64_t dim, const TimeEmbeddingOptions& options) {
  check(t.rank() == 1 && t.dtype() == DType::i64, "time_embedding: t must be (N) i64, got ", t.shape(), " ",
        name_of(t.dtype()));
  check(dim >= 2 && double(dim / 2) > options.freq_shift, "time_embedding: dim ", dim,
        " is too small; half of it must ", "exceed freq_shift = ", options.freq_shift);
  const TimeEmbeddingGeometry geo{t.dim(0),           dim, options.max_period, options.freq_shift, options.cos_first,
                                  options.divide_last};
  Tensor y = empty({geo.N, dim}, DType::f32, t.device());
  on_device_of(
      t, "time_embedding", [&] { reference::time_embedding(geo, t.data<int64_t>(), y.mutable_data<float>()); },
      [&](DeviceCall& gpu) { cuda::time_embedding(geo, gpu.in<int64_t>(t), gpu.out(y), gpu.stream()); });
  return record("time_embedding", y, {t}, [](const Tensor&) -> Gradients { return {Tensor()}; });
}

}  // namespace echodiff
