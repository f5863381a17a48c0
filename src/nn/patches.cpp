#include "nn/patches.h"

#include "tensor/ops.h"

namespace echodiff {
namespace {

// x (N, C side^2, H, W), each square of channels times the matrix (side^2, side^2)
Tensor times(const Tensor& matrix, const Tensor& x) {
  const int64_t N = x.dim(0), places = x.dim(2) * x.dim(3), channels = matrix.dim(0);
  const Tensor squares = reshape(to_tokens(x), {N, places * x.dim(1) / channels, channels});
  return to_image(reshape(linear(squares, matrix, {}), {N, places, x.dim(1)}), x.dim(2), x.dim(3));
}

}  // namespace

std::vector<double> haar_matrix(int64_t side) {
  const int64_t pixels = side * side;
  std::vector<double> rows;
  // Constant on a block of pixels but for its sign, which changes half way along x (kind 1), y (2) or both (3).
  const auto add_row = [&](int64_t kind, int64_t block, int64_t top, int64_t left) {
    double* row = &*rows.insert(rows.end(), size_t(pixels), 0.0);
    for (int64_t y = 0; y < block; ++y)
      for (int64_t x = 0; x < block; ++x) {
        const bool negative = ((kind & 1) != 0 && 2 * x >= block) != ((kind & 2) != 0 && 2 * y >= block);
        row[(top + y) * side + left + x] = (negative ? -1.0 : 1.0) / double(block);
      }
  };
  add_row(0, side, 0, 0);
  for (int64_t block = side; block > 1; block /= 2)
    for (int64_t kind = 1; kind <= 3; ++kind)
      for (int64_t top = 0; top < side; top += block)
        for (int64_t left = 0; left < side; left += block) add_row(kind, block, top, left);
  return rows;
}

Patches::Patches(int64_t side, const std::string& basis) : side_(side) {
  check_input(side == 1 || side == 2 || side == 4, Fault::kUsage, "patch: expected 1, 2 or 4, got ", side);
  check_input(basis == "shuffle" || basis == "haar", Fault::kUsage, "patch basis: expected shuffle or haar, got ",
              basis);
  if (basis == "shuffle") return;
  check_input(side > 1, Fault::kUsage, "patch basis: haar needs patches of 2 or 4 pixels a side, got ", side);
  const NoGrad no_grad;
  to_haar_ = from_vector({side * side, side * side}, haar_matrix(side));
  to_pixels_ = permute(to_haar_, {1, 0});
}

Tensor Patches::split(const Tensor& x) const {
  if (side_ == 1) return x;
  const Tensor squares = pixel_unshuffle(x, side_);
  return to_haar_ ? times(to_haar_, squares) : squares;
}

Tensor Patches::join(const Tensor& x) const {
  if (side_ == 1) return x;
  return pixel_shuffle(to_pixels_ ? times(to_pixels_, x) : x, side_);
}

void Patches::visit(Visitor& v) {
  if (to_haar_) v.constant("to_haar", to_haar_), v.constant("to_pixels", to_pixels_);
}

}  // namespace echodiff
