// A walk over several operands of one shape, each with its own strides: broadcasting (stride 0), permuted and partial
// copies. Neighbouring dimensions that are contiguous in every operand are merged, so most walks become one long line.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/grain.h"
#include "kernels/memory_pool.h"
#include "kernels/thread_pool.h"

namespace echodiff {

template <size_t Operands> class StridedWalk {
 public:
  using Strides = std::array<int64_t, Operands>;  // in elements
  struct Dimension {
    int64_t size;
    Strides strides;
  };

  // Dimensions outermost first. None at all is a walk over one element.
  explicit StridedWalk(const PoolVector<Dimension>& dimensions) {
    for (const Dimension& inner : dimensions) {
      if (inner.size == 1) continue;
      if (!merged_.empty() && contiguous(merged_.back(), inner)) {
        merged_.back() = {merged_.back().size * inner.size, inner.strides};
      } else {
        merged_.push_back(inner);
      }
    }
    if (merged_.empty()) merged_.push_back({1, {}});
    line_ = merged_.back();
    merged_.pop_back();
    for (const Dimension& outer : merged_) lines_ *= outer.size;
  }

  // After merging, outermost first.
  PoolVector<Dimension> dimensions() const {
    PoolVector<Dimension> all = merged_;
    all.push_back(line_);
    return all;
  }

  // body(offsets, size, strides) on every line, in parallel: `offsets` of its first element in each operand.
  template <class Body> void run(const Body& body) const {
    if (lines_ == 1) {
      parallel_ranges(line_.size, kElementGrain, [&](int64_t begin, int64_t end) {
        Strides offsets{};
        for (size_t k = 0; k < Operands; ++k) offsets[k] = begin * line_.strides[k];
        body(offsets, end - begin, line_.strides);
      });
      return;
    }
    if (line_.size == 0) return;
    parallel_ranges(lines_, row_grain(line_.size), [&](int64_t begin, int64_t end) {
      PoolVector<int64_t> index(merged_.size());
      Strides offsets = start_of(begin, index);
      for (int64_t line = begin; line < end; ++line) {
        body(offsets, line_.size, line_.strides);
        advance(index, offsets);
      }
    });
  }

 private:
  static bool contiguous(const Dimension& outer, const Dimension& inner) {
    for (size_t k = 0; k < Operands; ++k)
      if (outer.strides[k] != inner.strides[k] * inner.size) return false;
    return true;
  }
  // The offsets of line number `line`, and its index along each outer dimension.
  Strides start_of(int64_t line, PoolVector<int64_t>& index) const {
    Strides offsets{};
    for (size_t d = merged_.size(); d-- > 0;) {
      index[d] = line % merged_[d].size;
      line /= merged_[d].size;
      for (size_t k = 0; k < Operands; ++k) offsets[k] += index[d] * merged_[d].strides[k];
    }
    return offsets;
  }
  // On to the next line: no division per line, they may be as short as one pixel's channels.
  void advance(PoolVector<int64_t>& index, Strides& offsets) const {
    for (size_t d = merged_.size(); d-- > 0;) {
      const bool carry = ++index[d] == merged_[d].size;
      const int64_t steps = carry ? 1 - merged_[d].size : 1;
      for (size_t k = 0; k < Operands; ++k) offsets[k] += steps * merged_[d].strides[k];
      if (!carry) return;
      index[d] = 0;
    }
  }

  PoolVector<Dimension> merged_;  // outer dimensions
  Dimension line_{1, {}};
  int64_t lines_ = 1;
};

}  // namespace echodiff
