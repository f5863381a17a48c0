// Copies between layouts: permute, reshape, expand, concat and slice are all one strided copy.
#pragma once

#include <vector>

#include "kernels/cuda/stream.h"
#include "kernels/strided_walk.h"

namespace echodiff {

// Outermost first, with the strides of (from, to).
using CopyGeometry = std::vector<StridedWalk<2>::Dimension>;

namespace reference {

template <class T>  // float, double, int64_t
void strided_copy(const CopyGeometry& geo, const T* from, T* to);

}  // namespace reference

namespace cuda {
template <class T>  // float, Bfloat16, int64_t
void strided_copy(const CopyGeometry& geo, const T* from, T* to, Stream);
}  // namespace cuda
}  // namespace echodiff
