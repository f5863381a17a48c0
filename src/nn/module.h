// Module: the only base class of layers and networks. A module lists its parameters, buffers and children in visit(),
// with PyTorch's names and in PyTorch's order; everything else (state_dict, load, to, train, initialise) follows from
// it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tensor/io/safetensors.h"
#include "tensor/tensor.h"

namespace echodiff {

class Initialiser;
class Module;

// Called by visit() with local names; hands full names ("downs.0.1.block1.proj.weight") to its hooks.
class Visitor {
 public:
  virtual ~Visitor() = default;

  void parameter(const std::string& name, Tensor& tensor) { on_parameter(path(name), tensor); }
  void buffer(const std::string& name, Tensor& tensor) { on_buffer(path(name), tensor); }
  // A buffer that no state_dict holds (persistent=False): it goes along in to() alone.
  void constant(const std::string& name, Tensor& tensor) { on_constant(path(name), tensor); }
  // An empty name leaves the prefix as it is: the child's tensors are named as if they were the parent's.
  void child(const std::string& name, Module& module);
  template <class M> void child(const std::string& name, std::optional<M>& module) {
    if (module) child(name, *module);
  }
  template <class M> void child(const std::string& name, std::vector<M>& modules) {
    for (size_t i = 0; i < modules.size(); ++i) child(name + "." + std::to_string(i), modules[i]);
  }

 protected:
  virtual void on_parameter(const std::string& /*name*/, Tensor&) {}
  virtual void on_buffer(const std::string& /*name*/, Tensor&) {}
  virtual void on_constant(const std::string& /*name*/, Tensor&) {}
  virtual void on_module(const std::string& /*name*/, Module&) {}  // before the module's own tensors

 private:
  std::string path(const std::string& name) const;
  std::string prefix_;  // of the module being visited
};

using StateDict = std::vector<NamedTensor>;

// Modules move, never copy: two modules never share a parameter by accident.
class Module {
 public:
  virtual ~Module() = default;
  virtual void visit(Visitor& visitor) = 0;

  // Handles on the module's own tensors, in PyTorch's order. Buffers (running statistics) are in the state_dict only.
  std::vector<NamedTensor> parameters();
  StateDict state_dict();
  int64_t parameter_count();

  // Copies values in, converted to each tensor's dtype. Strict: throws Error(kBadInput) that lists every missing,
  // unexpected and misshapen name in one line, and then nothing has been changed.
  void load_state_dict(const StateDict& state);

  // Every floating-point tensor as f32 or f64. Replaces the tensors: handles taken before go stale.
  void to(DType dtype);
  // The same on a device. i64 tensors, which only count, stay on the CPU.
  void to(Device device);
  Device device();  // of the parameters

  // Training mode: dropout drops, batch norm uses the batch's statistics. Modules begin in training mode, as in
  // PyTorch.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }

  // What the next forward pass in training mode drops is a function of this seed alone. Callers give each step its own.
  void seed_dropout(uint64_t seed);

  // The name within the network that called initialise(); empty for the network itself.
  const std::string& name() const { return name_; }

 protected:
  Module() = default;
  Module(Module&&) = default;
  Module& operator=(Module&&) = default;

  // Called once at the end of a network's constructor: names every module, and draws every parameter from
  // (seed, its full name), so that no value depends on the order or number of the others.
  void initialise(uint64_t seed);
  virtual void reset_parameters(const Initialiser&) {}
  virtual void set_dropout_seed(uint64_t /*seed*/) {}

  // Hands an output to the ActivationTrace of this thread, if there is one, and returns it.
  Tensor traced(Tensor output) const { return traced("", std::move(output)); }
  Tensor traced(const std::string& name, Tensor output) const;

 private:
  bool training_ = true;
  std::string name_;
};

}  // namespace echodiff
