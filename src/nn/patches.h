// Squares of pixels as the channels of one place, from before a network's first convolution until after its last
// (Hoogeboom et al. 2023, arXiv:2301.11093), in one of two bases:
//
//   shuffle  the pixels themselves, as torch.nn.PixelUnshuffle has them
//   haar     the orthonormal 2D Haar transform of each square, one channel of the picture at a time: its mean times the
//            side, then the differences along x, along y and along both, of the whole square first; a square of 4
//            pixels a side has those of its four quarters after them (Mallat's pyramid of two levels, not wavelet
//            packets)
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/module.h"

namespace echodiff {

// (side^2, side^2), row-major: row k is the k-th function on the pixels of a square, row by row. side: a power of two.
std::vector<double> haar_matrix(int64_t side);

class Patches : public Module {
 public:
  // Throws Error(kUsage) unless side is 1, 2 or 4 and basis is shuffle, or haar with a side above 1.
  Patches(int64_t side, const std::string& basis);

  // (N, C, H, W) -> (N, C side^2, H / side, W / side), the channels of one channel of x side by side
  Tensor split(const Tensor& x) const;
  Tensor join(const Tensor& x) const;  // its inverse, which is its transpose

  void visit(Visitor& v) override;

 private:
  int64_t side_;
  Tensor to_haar_, to_pixels_;  // (side^2, side^2) each, one the other's transpose; undefined in the basis of pixels
};

}  // namespace echodiff
