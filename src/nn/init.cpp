#include "nn/init.h"

#include <cmath>
#include <vector>

#include "kernels/philox.h"

namespace echodiff {
namespace {

// Values in PyTorch's logical order, so that a weight does not depend on the memory layout.
template <class F> void fill(Tensor& tensor, F&& next) {
  std::vector<float> values(size_t(tensor.count()));
  for (float& value : values) value = float(next());
  tensor.copy_from(from_values(tensor.shape(), values.data()));
}

}  // namespace

Tensor make_parameter(const Shape& shape) { return zeros(shape).set_requires_grad(true); }

uint64_t Initialiser::stream(const std::string& parameter) const {
  return fnv1a(module_.empty() ? parameter : module_ + "." + parameter);
}

void Initialiser::uniform(const std::string& parameter, Tensor& tensor, double bound) const {
  Random random(seed_, stream(parameter));
  fill(tensor, [&] { return random.uniform(-bound, bound); });
}

void Initialiser::normal(const std::string& parameter, Tensor& tensor, double stddev) const {
  Random random(seed_, stream(parameter));
  fill(tensor, [&] { return stddev * random.normal(); });
}

void Initialiser::constant(Tensor& tensor, double value) const { tensor.copy_from(full(tensor.shape(), value)); }

void Initialiser::layer(Tensor& weight, Tensor& bias, Init init, const std::string& prefix) const {
  const int64_t taps = weight.count() / (weight.dim(0) * weight.dim(1));  // kernel positions
  const double fan_in = double(weight.dim(1) * taps), fan_out = double(weight.dim(0) * taps);
  switch (init) {
    case Init::torch:
      // kaiming_uniform with a = sqrt(5): sqrt(6 / ((1 + a^2) fan_in)) = 1 / sqrt(fan_in)
      uniform(prefix + "weight", weight, 1 / std::sqrt(fan_in));
      if (bias) uniform(prefix + "bias", bias, 1 / std::sqrt(fan_in));
      return;
    case Init::zero: constant(weight, 0); break;
    case Init::kaiming_fan_out: normal(prefix + "weight", weight, std::sqrt(2 / fan_out)); break;
  }
  if (bias) constant(bias, 0);
}

}  // namespace echodiff
