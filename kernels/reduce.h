// Sums. Accumulated in double, over pieces whose bounds depend on the summed dimensions alone and are added in order:
// the same bits for any number of threads.
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"
#include "kernels/memory_pool.h"
#include "kernels/thread_pool.h"

namespace echodiff {

struct ReduceDimension {
  int64_t size;
  bool reduced;
};
using ReduceGeometry = PoolVector<ReduceDimension>;  // of the input in memory order, outermost first

// One pass: (outer, count, inner) -> (outer, inner), a run of neighbouring reduced dimensions.
struct ReducePass {
  int64_t outer, count, inner;
};
PoolVector<ReducePass> reduce_passes(const ReduceGeometry& geo);  // in order; each takes what the one before left

// totals[0, width) = the sums that accumulate(begin, end, sums) adds to `sums` (zeroed) over rows [begin, end), for all
// rows.
void sum_rows(int64_t rows, int64_t width, FunctionRef<int64_t, int64_t, double*> accumulate, double* totals);

namespace reference {

// y = scale * sum of x over the reduced dimensions; y holds the others, in the same order.
template <class T> void reduce_sum(const ReduceGeometry& geo, const T* x, double scale, T* y);

}  // namespace reference

namespace cuda {
int64_t reduce_scratch(const ReduceGeometry& geo);  // doubles
template <class T> void reduce_sum(const ReduceGeometry& geo, const T* x, double scale, T* y, double* scratch, Stream);
}  // namespace cuda
}  // namespace echodiff
