// Pictures as points: one row of numbers a picture, and distances between rows.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tensor/io/png.h"

namespace echodiff {

struct Rows {
  int64_t count = 0, width = 0;
  std::vector<double> values;  // (count, width)

  const double* row(int64_t i) const { return values.data() + i * width; }
};

// (a.count, b.count): Euclidean distances. Throws Error(kInternal) unless the widths are equal.
Rows distances(const Rows& a, const Rows& b);

// The same for many rows, a block of them at a time: visit(i, distances of row i of a to all of b).
void visit_distances(const Rows& a, const Rows& b, const std::function<void(int64_t, const double*)>& visit);

// The rows at `indices`, in that order.
Rows take_rows(const Rows& rows, const std::vector<int64_t>& indices);

// Pictures as `side` x `side` thumbnails (by area: speckle averages out), less their mean, scaled so that the distance
// of two is sqrt(1 - r), r their correlation: 0 for the same picture at any brightness and contrast, 1 for unrelated
// ones, sqrt(2) for a negative. A picture of one grey is 0: sqrt(1/2) from all others.
Rows thumbnails(const std::vector<GrayImage>& images, int64_t side = 32);

}  // namespace echodiff
