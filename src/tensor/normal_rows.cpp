#include "kernels/philox.h"

#include "kernels/thread_pool.h"
#include "tensor/dispatch.h"
#include "tensor/tensor.h"

namespace echodiff {

Tensor normal_rows(const Shape& shape, uint64_t seed, const std::vector<int64_t>& streams,
                   const std::vector<int64_t>& steps, Device device) {
  const int64_t N = int64_t(streams.size());
  check(shape.rank() > 0 && shape[0] == N && steps.size() == streams.size(), "normal_rows: ", shape, " with ", N,
        " streams and ", steps.size(), " steps");
  Tensor out = empty(shape, DType::f32, device);
  const int64_t count = N > 0 ? shape.count() / N : 0;
  on_device_of(
      out, "normal_rows",
      [&] {
        float* rows = out.mutable_data<float>();
        parallel_for(N, [&](int64_t n) {
          fill_normal(rows + n * count, count, seed, uint64_t(streams[size_t(n)]), uint64_t(steps[size_t(n)]));
        });
      },
      [&](DeviceCall& gpu) {
        cuda::fill_normal(N, count, seed, gpu.table(streams), gpu.table(steps), gpu.out(out), gpu.stream());
      });
  return out;
}

}  // namespace echodiff
