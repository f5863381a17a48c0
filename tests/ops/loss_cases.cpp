// Losses, with every reduction.
#include "tests/ops/cases.h"

namespace echodiff {
namespace {

using Loss = Tensor (*)(const Tensor&, const Tensor&, Reduction);

void add_loss(std::vector<OpCase>& cases, const std::string& op, Loss loss, Values prediction, Values target) {
  const auto add = [&](const std::string& name, const Shape& shape, Reduction reduction) {
    OpInput x = reduction == Reduction::none ? batch(shape, prediction) : plain(shape, prediction);
    OpInput t = constant(shape, target);
    t.batched = x.batched;
    cases.push_back({.op = op,
                     .name = name,
                     .inputs = {x, t},
                     .fn = [=](const std::vector<Tensor>& in) { return loss(in[0], in[1], reduction); },
                     .gradcheck = shape.count() < 2000});
  };
  add("mean", {3, 2, 4, 5}, Reduction::mean);
  add("sum", {3, 7}, Reduction::sum);
  add("none", {3, 1, 4, 5}, Reduction::none);
  add("mean, large", {3, 33, 41, 37}, Reduction::mean);
}

Tensor smooth(const Tensor& x, const Tensor& target, Reduction reduction) {
  return smooth_l1_loss(x, target, reduction, 0.1);
}
Tensor bce(const Tensor& x, const Tensor& target, Reduction reduction) { return bce_with_logits(x, target, reduction); }

}  // namespace

std::vector<OpCase> loss_cases() {
  std::vector<OpCase> cases;
  add_loss(cases, "mse_loss", mse_loss, Values::normal, Values::normal);
  // Continuous numbers: none of these differences comes as near to a kink as the step of a difference quotient.
  add_loss(cases, "l1_loss", l1_loss, Values::normal, Values::normal);
  add_loss(cases, "smooth_l1_loss", smooth, Values::normal, Values::normal);
  add_loss(cases, "bce_with_logits", bce, Values::normal, Values::unit);
  cases.push_back({.op = "bce_with_logits",
                   .name = "weight and pos_weight",
                   .inputs = {plain({3, 5}), constant({3, 5}, Values::unit), constant({3, 5}, Values::positive),
                              constant({5}, Values::positive)},
                   .fn = [](const std::vector<Tensor>& in) {
                     return bce_with_logits(in[0], in[1], Reduction::mean, in[2], in[3]);
                   }});
  cases.push_back({.op = "cross_entropy",
                   .name = "7 classes",
                   .inputs = {plain({5, 7}), index_below({5}, 7)},
                   .fn = [](const std::vector<Tensor>& in) { return cross_entropy(in[0], in[1]); }});
  for (OpCase& op_case : cases) op_case.bf16 = false;
  return cases;
}

}  // namespace echodiff
