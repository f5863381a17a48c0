// Rows as a matrix of Eigen's, without a copy. For .cpp files only: it brings in Eigen.
#pragma once

#include <Eigen/Core>

#include "quality/evaluate/rows.h"

namespace echodiff {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

inline Eigen::Map<const RowMatrix> as_matrix(const Rows& rows) { return {rows.values.data(), rows.count, rows.width}; }

}  // namespace echodiff
