// Sums. Accumulated in double, over pieces whose bounds depend on the summed dimensions alone and are added in order:
// the same bits for any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/cuda/stream.h"

namespace echodiff {

struct ReduceDimension {
  int64_t size;
  bool reduced;
};
using ReduceGeometry = std::vector<ReduceDimension>;  // of the input in memory order, outermost first

// totals[0, width) = the sums that accumulate(begin, end, sums) adds to `sums` (zeroed) over rows [begin, end), for all
// rows.
void sum_rows(int64_t rows, int64_t width,
              const std::function<void(int64_t begin, int64_t end, double* sums)>& accumulate, double* totals);

namespace reference {

// y = scale * sum of x over the reduced dimensions; y holds the others, in the same order.
template <class T>
void reduce_sum(const ReduceGeometry& geo, const T* x, double scale, T* y);

}  // namespace reference

namespace cuda {
int64_t reduce_scratch(const ReduceGeometry& geo);  // doubles
template <class T>
void reduce_sum(const ReduceGeometry& geo, const T* x, double scale, T* y, double* scratch, Stream);
}  // namespace cuda
}  // namespace echodiff
