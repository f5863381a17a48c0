#include "quality/evaluate/rows.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "quality/evaluate/eigen_rows.h"
#include "train/data/image.h"

namespace echodiff {

Rows distances(const Rows& a, const Rows& b) {
  check(a.width == b.width, "distances: rows of ", a.width, " and of ", b.width, " numbers");
  Rows out{a.count, b.count, std::vector<double>(size_t(a.count * b.count))};
  const auto x = as_matrix(a), y = as_matrix(b);
  const Eigen::VectorXd x_norms = x.rowwise().squaredNorm(), y_norms = y.rowwise().squaredNorm();
  const RowMatrix products = x * y.transpose();
  for (int64_t i = 0; i < a.count; ++i)
    for (int64_t j = 0; j < b.count; ++j)
      out.values[size_t(i * b.count + j)] = std::sqrt(std::max(0.0, x_norms(i) + y_norms(j) - 2 * products(i, j)));
  return out;
}

void visit_distances(const Rows& a, const Rows& b, const std::function<void(int64_t, const double*)>& visit) {
  constexpr int64_t kBlock = 256;
  for (int64_t begin = 0; begin < a.count; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, a.count);
    const Rows apart = distances({end - begin, a.width, {a.row(begin), a.row(end)}}, b);
    for (int64_t i = begin; i < end; ++i) visit(i, apart.row(i - begin));
  }
}

Rows take_rows(const Rows& rows, const std::vector<int64_t>& indices) {
  Rows out{int64_t(indices.size()), rows.width, {}};
  for (int64_t i : indices) out.values.insert(out.values.end(), rows.row(i), rows.row(i) + rows.width);
  return out;
}

Rows thumbnails(const std::vector<GrayImage>& images, int64_t side) {
  Rows out{int64_t(images.size()), side * side, {}};
  for (const GrayImage& image : images) {
    const GrayImage small = resize_area(image, side, side);
    double mean = 0, squares = 0;
    for (uint8_t pixel : small.pixels) mean += pixel;
    mean /= double(out.width);
    for (uint8_t pixel : small.pixels) squares += (pixel - mean) * (pixel - mean);
    const double scale = squares > 0 ? 1 / std::sqrt(2 * squares) : 0;
    for (uint8_t pixel : small.pixels) out.values.push_back((pixel - mean) * scale);
  }
  return out;
}

}  // namespace echodiff
