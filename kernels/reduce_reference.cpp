#include "kernels/reduce.h"

#include <algorithm>

#include "kernels/grain.h"

namespace echodiff {

void sum_rows(int64_t rows, int64_t width, FunctionRef<int64_t, int64_t, double*> accumulate, double* totals) {
  const int64_t grain = row_grain(width), pieces = (rows + grain - 1) / grain;
  PoolVector<double> partial(size_t(pieces * width), 0.0);
  parallel_for(pieces, [&](int64_t piece) {
    accumulate(piece * grain, std::min(rows, (piece + 1) * grain), partial.data() + piece * width);
  });
  std::fill_n(totals, width, 0.0);
  for (int64_t piece = 0; piece < pieces; ++piece)
    for (int64_t j = 0; j < width; ++j) totals[j] += partial[size_t(piece * width + j)];
}

PoolVector<ReducePass> reduce_passes(const ReduceGeometry& geo) {
  ReduceGeometry merged;  // neighbours of one kind as one dimension
  for (const ReduceDimension& dimension : geo) {
    if (!merged.empty() && merged.back().reduced == dimension.reduced) {
      merged.back().size *= dimension.size;
    } else {
      merged.push_back(dimension);
    }
  }
  PoolVector<ReducePass> passes;
  for (size_t d = 0; d < merged.size(); ++d) {
    if (!merged[d].reduced) continue;
    ReducePass pass{1, merged[d].size, 1};
    for (size_t e = 0; e < d; ++e) pass.outer *= merged[e].size;
    for (size_t e = d + 1; e < merged.size(); ++e) pass.inner *= merged[e].size;
    passes.push_back(pass);
    merged[d].size = 1;
  }
  return passes;
}

namespace reference {
namespace {

// sums[0, inner) += the rows [begin, end) of x
template <class T> void add_rows(const T* x, int64_t begin, int64_t end, int64_t inner, double* sums) {
  if (inner > 1) {
    for (int64_t k = begin; k < end; ++k)
      for (int64_t j = 0; j < inner; ++j) sums[j] += double(x[k * inner + j]);
    return;
  }
  // One long line: four sums side by side, or each addition would wait for the one before.
  double lanes[4] = {0, 0, 0, 0};
  int64_t k = begin;
  for (; k + 4 <= end; k += 4)
    for (int64_t lane = 0; lane < 4; ++lane) lanes[lane] += double(x[k + lane]);
  for (; k < end; ++k) lanes[0] += double(x[k]);
  sums[0] += (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

// y (outer, inner) = the sum of x (outer, count, inner) over the middle.
template <class T> PoolVector<double> sum_middle(const ReducePass& pass, const T* x) {
  const auto [outer, count, inner] = pass;
  PoolVector<double> y(size_t(outer * inner), 0.0);
  if (count > row_grain(inner)) {
    for (int64_t o = 0; o < outer; ++o) {
      const T* rows = x + o * count * inner;
      sum_rows(
          count, inner, [&](int64_t begin, int64_t end, double* sums) { add_rows(rows, begin, end, inner, sums); },
          y.data() + o * inner);
    }
  } else {
    parallel_ranges(outer, row_grain(count * inner), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) add_rows(x + o * count * inner, 0, count, inner, y.data() + o * inner);
    });
  }
  return y;
}

}  // namespace

template <class T> void reduce_sum(const ReduceGeometry& geo, const T* x, double scale, T* y) {
  const PoolVector<ReducePass> passes = reduce_passes(geo);
  PoolVector<double> values;
  for (const ReducePass& pass : passes) values = values.empty() ? sum_middle(pass, x) : sum_middle(pass, values.data());
  int64_t count = 1;
  for (const ReduceDimension& dimension : geo) count *= dimension.reduced ? 1 : dimension.size;
  for (int64_t i = 0; i < count; ++i) y[i] = T(scale * (passes.empty() ? double(x[i]) : values[size_t(i)]));
}

template decltype(reduce_sum<float>) reduce_sum<float>;
template decltype(reduce_sum<double>) reduce_sum<double>;

}  // namespace reference
}  // namespace echodiff
