// How far two tensors are apart, and how far a network is from what PyTorch computed: outputs, and submodules' outputs
// where they are given.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tensor/io/safetensors.h"

namespace echodiff {

struct TensorDifference {
  double absolute = 0;    // the largest |a - b|
  double relative = 0;    // that over the largest |a|; `absolute` itself where that is 0
  int64_t different = 0;  // elements whose values differ; a NaN equals a NaN
};
// Of tensors of one shape, whatever their dtypes.
TensorDifference difference_of(const Tensor& a, const Tensor& b);

struct ParityRow {
  std::string name;  // of the reference in the file, with its case: "a/y", "act/middle_block"
  Shape shape;
  double difference = 0;  // largest absolute
  double relative = 0;    // that over the largest |reference|
};

struct ParityReport {
  std::vector<ParityRow> rows;       // of each case: submodules as they ran, then its output
  std::vector<std::string> unknown;  // activations of submodules that ours doesn't show
  double worst() const;              // relative
};

// A case's forward pass: x (N, C, H, W), t (N) i64 or undefined; `training` where the case asks for it.
using ParityNetwork = std::function<Tensor(const Tensor& x, const Tensor& t, bool training)>;

// `io` holds x, t, y or logits, act/NAME, or several such cases under prefixes ("a/", "s64/eval/"), which take what
// they lack from the shorter prefix. NAME_f64 stands before NAME where both are there. A case under "train/" is a
// training pass. Throws Error(kBadInput) naming the key that is missing or misshapen.
ParityReport compare_with(const SafetensorsFile& io, const ParityNetwork& network);

}  // namespace echodiff
