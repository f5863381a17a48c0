// The two names of CUDA that an op's header needs. Forward declarations, so that headers read the same in a build
// without CUDA: there the functions of namespace cuda are declared and not defined.
//
// Conventions of every `namespace cuda` in kernels/: the contract is that of `namespace reference` above it; pointers
// are to device memory; the call only enqueues work on `stream`; T is float or Bfloat16 (storage; arithmetic is in
// float), and what is a parameter or a statistic stays float or double. Sums have a fixed order: same input, same bits.
#pragma once

#include <cstdint>

struct CUstream_st;
struct __nv_bfloat16;

namespace echodiff {
using Bfloat16 = ::__nv_bfloat16;
namespace cuda {
using Stream = ::CUstream_st*;
}
}  // namespace echodiff
