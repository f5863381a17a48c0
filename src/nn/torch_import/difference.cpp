#include "nn/torch_import/difference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace echodiff {
namespace {

template <class A, class B> TensorDifference difference(const A* a, const B* b, int64_t count) {
  TensorDifference result;
  double largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double x = double(a[i]), y = double(b[i]);
    largest = std::isfinite(x) ? std::max(largest, std::abs(x)) : largest;
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    ++result.different;
    const double distance = std::abs(x - y);
    result.absolute =
        std::max(result.absolute, std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance);
  }
  result.relative = largest > 0 ? result.absolute / largest : result.absolute;
  return result;
}

// f(pointer) with the elements' own type.
template <class F> auto with_data(const Tensor& tensor, F&& f) {
  if (tensor.dtype() == DType::f32) return f(tensor.data<float>());
  if (tensor.dtype() == DType::f64) return f(tensor.data<double>());
  return f(tensor.data<int64_t>());
}

}  // namespace

TensorDifference difference_of(const Tensor& a, const Tensor& b) {
  check(a.shape() == b.shape(), "difference_of: shapes ", a.shape(), " and ", b.shape(), " differ");
  return with_data(
      a, [&](const auto* x) { return with_data(b, [&](const auto* y) { return difference(x, y, a.count()); }); });
}

}  // namespace echodiff
