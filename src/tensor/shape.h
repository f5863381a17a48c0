// Shapes in PyTorch's logical order, and the one memory layout each rank has.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <string>

#include "kernels/error.h"
#include "kernels/memory_pool.h"

namespace echodiff {

// Sizes per dimension. An empty shape is a scalar with one element.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) : sizes_(sizes) {}
  explicit Shape(PoolVector<int64_t> sizes) : sizes_(std::move(sizes)) {}
  explicit Shape(const std::vector<int64_t>& sizes) : sizes_(sizes.begin(), sizes.end()) {}

  int64_t rank() const { return int64_t(sizes_.size()); }
  int64_t operator[](int64_t i) const { return sizes_[size_t(i)]; }
  int64_t& operator[](int64_t i) { return sizes_[size_t(i)]; }
  int64_t count() const;  // number of elements
  const PoolVector<int64_t>& sizes() const { return sizes_; }
  bool operator==(const Shape&) const = default;

  // Memory order of the dimensions, outermost first: (0, 2, 3, 1) for rank 4 (channels-last), else (0, 1, 2, ...).
  PoolVector<int64_t> memory_order() const;
  // Distance in memory between neighbours along each logical dimension, in elements.
  PoolVector<int64_t> strides() const;

 private:
  PoolVector<int64_t> sizes_;
};

std::ostream& operator<<(std::ostream&, const Shape&);  // (2, 3, 64, 64)

}  // namespace echodiff
