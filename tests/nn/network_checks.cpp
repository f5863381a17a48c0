#include "tests/nn/network_checks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/philox.h"
#include "nn/init.h"
#include "tensor/autograd.h"

namespace echodiff {
namespace {

double& element(Tensor& tensor, int64_t i) { return tensor.mutable_data<double>()[i]; }

}  // namespace

void perturb_parameters(Module& network, double stddev, uint64_t seed) {
  const NoGrad no_grad;
  for (NamedTensor& parameter : network.parameters()) {
    Random random(seed, fnv1a(parameter.name));
    std::vector<double> values = parameter.tensor.to_vector();
    for (double& value : values) value += stddev * random.normal();
    parameter.tensor.copy_from(from_vector(parameter.tensor.shape(), values, parameter.tensor.dtype()));
  }
}

void expect_parameter_gradients(const GoldenFile& golden, const std::string& prefix, Module& network,
                                const std::set<std::string>& zero) {
  std::map<std::string, Tensor> parameters;
  for (const NamedTensor& parameter : network.parameters()) parameters[parameter.name] = parameter.tensor;
  int64_t found = 0;
  for (const NamedTensor& entry : golden.content().tensors) {
    if (!entry.name.starts_with(prefix + "grad.") || entry.name.ends_with("_f64")) continue;
    const std::string name = entry.name.substr(prefix.size() + 5);
    ASSERT_TRUE(parameters.contains(name)) << name;
    ++found;
    if (!zero.contains(name)) {
      golden.expect(entry.name, parameters[name].grad());
      continue;
    }
    for (const double value : parameters[name].grad().to_vector()) ASSERT_LT(std::abs(value), 1e-5) << name;
  }
  EXPECT_GT(found, 0) << prefix;
}

void check_parameter_gradients(Module& network, const std::function<Tensor()>& loss, const GradientCheck& options) {
  for (NamedTensor& parameter : network.parameters()) parameter.tensor.set_grad({});
  loss().backward();
  const NoGrad no_grad;
  std::vector<NamedTensor> parameters = network.parameters();
  for (size_t p = 0; p < parameters.size(); p += options.every) {
    NamedTensor& parameter = parameters[p];
    Tensor& tensor = parameter.tensor;
    ASSERT_TRUE(tensor.grad().defined()) << parameter.name;
    const Tensor gradient = tensor.grad();
    Random random(7, fnv1a(parameter.name));
    for (int64_t n = 0; n < std::min(options.elements, tensor.count()); ++n) {
      const int64_t i = random.below(tensor.count());
      constexpr double kStep = 1e-5;
      const double before = element(tensor, i);
      element(tensor, i) = before + kStep;
      const double above = loss().item();
      element(tensor, i) = before - kStep;
      const double below = loss().item();
      element(tensor, i) = before;
      const double difference = (above - below) / (2 * kStep), analytic = gradient.data<double>()[i];
      EXPECT_NEAR(analytic, difference, options.tolerance * std::max(1.0, std::abs(difference)))
          << parameter.name << " element " << i;
    }
  }
}

}  // namespace echodiff
