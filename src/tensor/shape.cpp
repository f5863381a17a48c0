#include "tensor/shape.h"

namespace echodiff {

int64_t Shape::count() const {
  int64_t n = 1;
  for (int64_t size : sizes_) n *= size;
  return n;
}

PoolVector<int64_t> Shape::memory_order() const {
  if (rank() == 4) return {0, 2, 3, 1};
  PoolVector<int64_t> order;
  for (int64_t i = 0; i < rank(); ++i) order.push_back(i);
  return order;
}

PoolVector<int64_t> Shape::strides() const {
  PoolVector<int64_t> strides(sizes_.size());
  const PoolVector<int64_t> order = memory_order();
  int64_t stride = 1;
  for (int64_t i = rank() - 1; i >= 0; --i) {
    strides[size_t(order[size_t(i)])] = stride;
    stride *= sizes_[size_t(order[size_t(i)])];
  }
  return strides;
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << "(";
  for (int64_t i = 0; i < shape.rank(); ++i) out << (i ? ", " : "") << shape[i];
  return out << ")";
}

}  // namespace echodiff
