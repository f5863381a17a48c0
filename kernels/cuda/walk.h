// StridedWalk's dimensions (kernels/strided_walk.h) as a value that a kernel can take: element i of the walk, in
// row-major order, lies at offset(i, k) of operand k.
#pragma once

#include "kernels/cuda/device.h"
#include "kernels/error.h"
#include "kernels/strided_walk.h"

namespace echodiff::cuda {

template <size_t Operands> struct DeviceWalk {
  static constexpr int kMaxRank = 6;  // after merging
  int rank = 0;
  int64_t count = 1, sizes[kMaxRank], strides[kMaxRank][Operands];

  explicit DeviceWalk(const StridedWalk<Operands>& walk) {
    const auto dimensions = walk.dimensions();
    check(dimensions.size() <= size_t(kMaxRank), "cuda: a strided copy of ", dimensions.size(),
          " dimensions that can't be merged, expected at most ", kMaxRank);
    for (const auto& dimension : dimensions) {
      sizes[rank] = dimension.size;
      for (size_t k = 0; k < Operands; ++k) strides[rank][k] = dimension.strides[k];
      count *= dimension.size;
      ++rank;
    }
  }

  struct Offsets {
    int64_t of[Operands];
  };
  __device__ Offsets offsets(int64_t i) const {
    Offsets out{};
    for (int d = rank - 1; d >= 0; --d) {
      const int64_t index = i % sizes[d];
      i /= sizes[d];
      for (size_t k = 0; k < Operands; ++k) out.of[k] += index * strides[d][k];
    }
    return out;
  }
};

}  // namespace echodiff::cuda
