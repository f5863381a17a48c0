// Copies between layouts: permute, reshape, expand, concat and slice are all one strided copy.
#pragma once

#include "kernels/cuda/stream.h"
#include "kernels/strided_walk.h"

namespace echodiff {

// Outermost first, with the strides of (from, to).
using CopyGeometry = PoolVector<StridedWalk<2>::Dimension>;

namespace reference {

template <class T>  // float, double, int64_t
void strided_copy(const CopyGeometry& geo, const T* from, T* to);

}  // namespace reference

namespace cuda {
template <class T>  // float, Bfloat16, int64_t
void strided_copy(const CopyGeometry& geo, const T* from, T* to, Stream);
// to (N, count): row n is a copy of parts[n]; parts (N) lies on the device. N parts in one launch.
template <class T>  // float, Bfloat16, int64_t
void concat_rows(const T* const* parts, int64_t N, int64_t count, T* to, Stream);
}  // namespace cuda
}  // namespace echodiff
