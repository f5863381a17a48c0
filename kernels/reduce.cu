#include "kernels/reduce.h"

#include "kernels/cuda/column_sums.h"

namespace echodiff::cuda {

// A ReducePass: (outer, count, inner) -> (outer, inner).
template <class From> struct ReduceTerm {
  using Sum = double;
  int64_t count, inner;
  const From* x;
  __device__ double operator()(int64_t o, int64_t r, int64_t c) const {
    return double(load(x + (o * count + r) * inner + c));
  }
};

template <class To> struct StoreReduced {
  int64_t inner;
  double scale;
  To* y;
  __device__ void operator()(int64_t o, int64_t c, double total) const { store(y + o * inner + c, scale * total); }
};

namespace {

std::vector<ColumnShape> passes_of(const ReduceGeometry& geo) {
  std::vector<ColumnShape> passes;
  for (const ReducePass& pass : reduce_passes(geo)) passes.push_back({pass.outer, pass.count, pass.inner});
  if (passes.empty()) {  // nothing reduced: a sum over one row
    passes.push_back({1, 1, 1});
    for (const ReduceDimension& dimension : geo) passes[0].width *= dimension.size;
  }
  return passes;
}

}  // namespace

// Two values between passes, then the partial sums.
int64_t reduce_scratch(const ReduceGeometry& geo) {
  int64_t between = 0, partials = 0;
  for (const ColumnShape& pass : passes_of(geo)) {
    between = std::max(between, pass.outer * pass.width);
    partials = std::max(partials, column_scratch(pass));
  }
  return 2 * between + partials;
}

template <class T>
void reduce_sum(const ReduceGeometry& geo, const T* x, double scale, T* y, double* scratch, Stream stream) {
  const std::vector<ColumnShape> passes = passes_of(geo);
  int64_t between = 0;
  for (const ColumnShape& pass : passes) between = std::max(between, pass.outer * pass.width);
  double *from = scratch, *to = scratch + between, *partials = scratch + 2 * between;
  for (size_t i = 0; i < passes.size(); ++i) {
    const ColumnShape& pass = passes[i];
    const bool first = i == 0, last = i + 1 == passes.size();
    const ReduceTerm<T> of_x{pass.rows, pass.width, x};
    const ReduceTerm<double> of_sums{pass.rows, pass.width, from};
    const StoreReduced<T> store_y{pass.width, scale, y};
    const StoreReduced<double> store_sums{pass.width, 1, to};
    if (first && last) column_sums(pass, of_x, store_y, partials, stream);
    if (first && !last) column_sums(pass, of_x, store_sums, partials, stream);
    if (!first && last) column_sums(pass, of_sums, store_y, partials, stream);
    if (!first && !last) column_sums(pass, of_sums, store_sums, partials, stream);
    std::swap(from, to);
  }
}

template decltype(reduce_sum<float>) reduce_sum<float>;
template decltype(reduce_sum<Bfloat16>) reduce_sum<Bfloat16>;

}  // namespace echodiff::cuda
