// Weights that the tests and the generator of the golden files make alike, so that none are stored
// (tests/golden/README.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/module.h"
#include "tests/scratch_folder.h"

namespace echodiff {

// splitmix64 from a seed: n values in [-1, 1) of 24 bits.
std::vector<float> formula_stream(uint64_t seed, int64_t n);

// The weights of the network whose names, shapes and types golden file `keys` lists in PyTorch's order.
StateDict formula_weights(const std::string& keys);

// The same as a file, gone when the test ends.
class FormulaFile {
 public:
  explicit FormulaFile(const std::string& keys);
  std::string path() const { return folder_.at("weights.safetensors"); }

 private:
  ScratchFolder folder_;
};

}  // namespace echodiff
