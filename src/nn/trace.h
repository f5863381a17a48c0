// What every submodule puts out, by its name in the state_dict: to find the first wrong layer against another program.
// RAII, thread-local, no cost when off.
#pragma once

#include <map>
#include <string>

#include "tensor/tensor.h"

namespace echodiff {

class ActivationTrace {
 public:
  ActivationTrace();
  ~ActivationTrace();
  ActivationTrace(const ActivationTrace&) = delete;
  ActivationTrace& operator=(const ActivationTrace&) = delete;

  // The innermost one alive on this thread, or nullptr.
  static ActivationTrace* current();

  void keep(const std::string& name, const Tensor& output) { outputs_[name] = output; }
  // The last output of each submodule that ran.
  const std::map<std::string, Tensor>& outputs() const { return outputs_; }

 private:
  ActivationTrace* outer_;
  std::map<std::string, Tensor> outputs_;
};

}  // namespace echodiff
