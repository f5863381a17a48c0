// What the network tests share: running golden cases, perturbing weights, and gradient checks through a whole network.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "nn/module.h"
#include "tests/golden.h"

namespace echodiff {

// Adds normal noise to every parameter, so that zero-initialised branches take part.
void perturb_parameters(Module& network, double stddev, uint64_t seed);

// Compares each gradient the file holds as prefix + "grad.NAME" with the one backward() left in the network. Those
// named in `zero` are zero in exact arithmetic, so PyTorch's are rounding noise: ours must be noise too, below 1e-5.
void expect_parameter_gradients(const GoldenFile& golden, const std::string& prefix, Module& network,
                                const std::set<std::string>& zero = {});

struct GradientCheck {
  int64_t elements = 1;  // of each parameter tensor checked
  size_t every = 1;      // 8: one parameter tensor in eight
  double tolerance = 1e-6;
};
// A network in f64, loss() a scalar of it: elements of its parameters' gradients against central differences.
void check_parameter_gradients(Module& network, const std::function<Tensor()>& loss, const GradientCheck& options);

}  // namespace echodiff
