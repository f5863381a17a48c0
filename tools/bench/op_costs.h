// What each op of a pass costs: time, arithmetic and traffic, to hold against what the machine can do.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "tensor/observe.h"

namespace echodiff {

// Multiply-adds of convolutions, linear layers and attention, two operations each; everything else counts none.
double operations_forward(const std::string& op, std::span<const Tensor> inputs, const Tensor& output);

// "convolution", "product", "attention", "norm" or "elementwise": what bounds an op, and whose kernel it is.
std::string class_of(const std::string& op);

// Observes until it goes. Each op is waited for (`wait`, where there is a device), so a pass takes longer than one
// that nobody looks at. Traffic is the least there can be: every input read once, every output written once.
class OpCosts : public Observer {
 public:
  explicit OpCosts(std::function<void()> wait);
  void forward(const char* op, std::span<const Tensor> inputs, const Tensor& output) override;
  void backward(const char* op, const Tensor& dy, std::span<const Tensor> gradients) override;

  struct Entry {
    int64_t calls = 0;
    double seconds = 0, operations = 0, bytes = 0;
    Entry& operator+=(const Entry& other);
  };
  const std::map<std::string, Entry>& by_op() const { return entries_; }  // going backward "d conv2d"
  std::map<std::string, Entry> by_class() const;                          // forward and backward together

 private:
  double lap();
  std::function<void()> wait_;
  double last_;
  std::map<std::string, Entry> entries_;
};

}  // namespace echodiff
