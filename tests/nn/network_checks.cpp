#include "tests/nn/network_checks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "kernels/philox.h"
#include "nn/init.h"
#include "tensor/autograd.h"
#include "tensor/io/file.h"

namespace echodiff {
namespace {

// Little-endian number of `bytes` bytes.
uint64_t number_at(const std::string& file, size_t offset, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= uint64_t(uint8_t(file.at(offset + i))) << (8 * i);
  return value;
}

// Contents of the stored entries */data/K by K, from the central directory (at least 46 bytes an entry).
std::map<int, std::string> stored_blobs(const std::string& file) {
  std::map<int, std::string> blobs;
  for (size_t at = file.find("PK\1\2"); at != std::string::npos; at = file.find("PK\1\2", at + 46)) {
    const std::string name = file.substr(at + 46, number_at(file, at + 28, 2));
    const size_t data = name.find("/data/");
    if (data == std::string::npos) continue;
    const size_t local = number_at(file, at + 42, 4), size = number_at(file, at + 24, 4);
    const size_t begin = local + 30 + number_at(file, local + 26, 2) + number_at(file, local + 28, 2);
    blobs[std::stoi(name.substr(data + 6))] = file.substr(begin, size);
  }
  return blobs;
}

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

StateDict read_ordered_checkpoint(const std::string& path, Module& network) {
  const std::map<int, std::string> blobs = stored_blobs(read_file(path));
  StateDict state;
  for (const NamedTensor& own : network.state_dict()) {
    const std::string& blob = blobs.at(int(state.size()));
    EXPECT_EQ(int64_t(blob.size()), own.tensor.count() * 4) << own.name;
    std::vector<float> values(size_t(own.tensor.count()));
    std::memcpy(values.data(), blob.data(), std::min(blob.size(), values.size() * sizeof(float)));
    state.push_back({own.name, from_values(own.tensor.shape(), values.data())});
  }
  EXPECT_EQ(state.size(), blobs.size()) << path;
  return state;
}

}  // namespace echodiff
