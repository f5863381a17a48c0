// Elementwise functions and softmax.
#include "tests/ops/cases.h"

namespace echodiff {
namespace {

using Function = Tensor (*)(const Tensor&);

// Each over the tail of a vector register, an image, and more than one thread's share.
void add_function(std::vector<OpCase>& cases, const std::string& op, Function function,
                  Values values = Values::normal) {
  const OpFunction fn = [function](const std::vector<Tensor>& in) { return function(in[0]); };
  cases.push_back({.op = op, .name = "vector", .inputs = {batch({19}, values)}, .fn = fn});
  cases.push_back({.op = op, .name = "image", .inputs = {batch({3, 3, 4, 5}, values)}, .fn = fn});
  cases.push_back(
      {.op = op, .name = "large", .inputs = {batch({3, 33, 41, 37}, values)}, .fn = fn, .gradcheck = false});
}

OpCase soft(const std::string& name, const Shape& x, int64_t dim, bool large = false) {
  return {.op = "softmax",
          .name = name,
          .inputs = {dim == 0 ? plain(x) : batch(x)},
          .fn = [dim](const std::vector<Tensor>& in) { return softmax(in[0], dim); },
          .gradcheck = !large};
}

}  // namespace

std::vector<OpCase> activation_cases() {
  std::vector<OpCase> cases;
  add_function(cases, "silu", silu);
  add_function(cases, "relu", relu, Values::away_from_zero);
  add_function(cases, "gelu", gelu);
  add_function(cases, "gelu_tanh", gelu_tanh);
  add_function(cases, "sigmoid", sigmoid);
  add_function(cases, "tanh", tanh);
  add_function(cases, "softplus", softplus);
  add_function(cases, "exp", exp);
  add_function(
      cases, "leaky_relu", [](const Tensor& x) { return leaky_relu(x, 0.2); }, Values::away_from_zero);
  cases.push_back(soft("last", {3, 4, 7}, -1));
  cases.push_back(soft("middle", {3, 5, 4}, 1));
  cases.push_back(soft("first", {5, 4}, 0));
  cases.push_back(soft("one element", {3, 1}, 1));
  cases.push_back(soft("image, channels", {3, 5, 4, 3}, 1));
  cases.push_back(soft("image, width", {3, 5, 4, 3}, 3));
  cases.push_back(soft("last, large", {3, 67, 129}, 2, true));
  return cases;
}

}  // namespace echodiff
