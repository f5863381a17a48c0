// Initial values of parameters: PyTorch's distributions, drawn from Philox with the parameter's full name as the
// stream. The numbers are not PyTorch's own (its generator is another), only their distribution is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace echodiff {

// How a convolution or linear layer begins.
enum class Init {
  torch,            // PyTorch's default: weight and bias uniform in +-1/sqrt(fan_in)
  zero,             // guided-diffusion's zero_module: a residual branch that begins as nothing
  kaiming_fan_out,  // torchvision's ResNet: normal with variance 2/fan_out, bias 0
};

// FNV-1a, 64 bits.
constexpr uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) hash = (hash ^ uint64_t(uint8_t(c))) * 0x100000001B3;
  return hash;
}

// A trainable f32 tensor of zeros.
Tensor make_parameter(const Shape& shape);

// Draws the parameters of one module.
class Initialiser {
 public:
  Initialiser(uint64_t seed, std::string module) : seed_(seed), module_(std::move(module)) {}
  void uniform(const std::string& parameter, Tensor& tensor, double bound) const;  // [-bound, bound)
  void normal(const std::string& parameter, Tensor& tensor, double stddev) const;
  void constant(Tensor& tensor, double value) const;
  // Weight (out, in, ...) and bias (undefined: none) of a convolution or linear layer, called prefix + "weight" and
  // "bias".
  void layer(Tensor& weight, Tensor& bias, Init init, const std::string& prefix = "") const;

 private:
  uint64_t stream(const std::string& parameter) const;
  uint64_t seed_;
  std::string module_;
};

}  // namespace echodiff
