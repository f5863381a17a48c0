// What every submodule puts out, by its name in the state_dict: to find the first wrong layer against another program.
// RAII, thread-local, no cost when off.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace echodiff {

class ActivationTrace {
 public:
  ActivationTrace() { innermost_ = this; }
  ~ActivationTrace() { innermost_ = outer_; }
  ActivationTrace(const ActivationTrace&) = delete;
  ActivationTrace& operator=(const ActivationTrace&) = delete;

  // The innermost one alive on this thread, or nullptr.
  static ActivationTrace* current() { return innermost_; }

  void keep(const std::string& name, const Tensor& output) {
    if (outputs_.insert_or_assign(name, output).second) order_.push_back(name);
  }
  // The last output of each submodule that ran.
  const std::map<std::string, Tensor>& outputs() const { return outputs_; }
  const std::vector<std::string>& order() const { return order_; }  // their names, as they first ran

 private:
  static inline thread_local ActivationTrace* innermost_ = nullptr;
  ActivationTrace* outer_ = innermost_;
  std::map<std::string, Tensor> outputs_;
  std::vector<std::string> order_;
};

}  // namespace echodiff
