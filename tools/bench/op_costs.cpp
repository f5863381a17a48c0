#include "bench/op_costs.h"

#include <chrono>
#include <utility>

namespace echodiff {
namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double bytes_of(const Tensor& x) { return x ? double(x.count()) * double(size_of(x.dtype())) : 0; }

// A product of w (K, C, ...) into or out of values with K channels: every weight meets every value's place once.
double operations_of_weight(double values, const Tensor& w) { return 2.0 * values * double(w.count() / w.dim(0)); }

bool has_weight(const std::string& op) { return op == "conv2d" || op == "linear"; }

}  // namespace

double operations_forward(const std::string& op, std::span<const Tensor> inputs, const Tensor& output) {
  if (has_weight(op)) return operations_of_weight(double(output.count()), inputs[1]);
  if (op != "attention") return 0;
  const bool joined = inputs.size() == 2;  // qkv and memory, or q, k and v
  const int64_t keys = joined ? inputs[0].dim(1) + (inputs[1] ? inputs[1].dim(1) : 0) : inputs[1].dim(1);
  return 4.0 * double(output.count()) * double(keys);
}

std::string class_of(const std::string& op) {
  if (op == "conv2d") return "convolution";
  if (op == "linear" || op.find("matmul") != std::string::npos) return "product";
  if (op.find("attention") != std::string::npos) return "attention";
  if (op.find("norm") != std::string::npos) return "norm";
  return "elementwise";
}

OpCosts::Entry& OpCosts::Entry::operator+=(const Entry& other) {
  calls += other.calls;
  seconds += other.seconds;
  operations += other.operations;
  bytes += other.bytes;
  return *this;
}

OpCosts::OpCosts(std::function<void()> wait) : wait_(std::move(wait)) {
  wait_();
  last_ = seconds_now();
}

double OpCosts::lap() {
  wait_();
  const double now = seconds_now();
  return now - std::exchange(last_, now);
}

void OpCosts::forward(const char* op, std::span<const Tensor> inputs, const Tensor& output) {
  Entry entry{1, lap(), operations_forward(op, inputs, output), bytes_of(output)};
  for (const Tensor& input : inputs) entry.bytes += bytes_of(input);
  entries_[op] += entry;
}

void OpCosts::backward(const char* op, const Tensor& dy, std::span<const Tensor> gradients) {
  Entry entry{1, lap(), 0, bytes_of(dy)};
  for (const Tensor& gradient : gradients) entry.bytes += bytes_of(gradient);
  // One product for each gradient there is; a weight's shape is its gradient's.
  if (has_weight(op) && gradients.size() > 1 && gradients[1])
    entry.operations = (gradients[0] ? 2 : 1) * operations_of_weight(double(dy.count()), gradients[1]);
  // The scores again, and a product for each of their gradient's, the values', the queries' and the keys'.
  if (std::string(op) == "attention" && gradients[0]) entry.operations = 2.5 * operations_forward(op, gradients, dy);
  entries_[std::string("d ") + op] += entry;
}

std::map<std::string, OpCosts::Entry> OpCosts::by_class() const {
  std::map<std::string, Entry> classes;
  for (const auto& [op, entry] : entries_) classes[class_of(op.starts_with("d ") ? op.substr(2) : op)] += entry;
  return classes;
}

}  // namespace echodiff
