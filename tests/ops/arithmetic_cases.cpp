// Arithmetic with broadcasting, and reductions.
#include "tests/ops/cases.h"

namespace echodiff {
namespace {

using Binary = Tensor (*)(const Tensor&, const Tensor&);

void add_binary(std::vector<OpCase>& cases, const std::string& op, Binary binary, Values divisor = Values::normal) {
  const OpFunction fn = [binary](const std::vector<Tensor>& in) { return binary(in[0], in[1]); };
  const auto add = [&](const std::string& name, OpInput a, OpInput b) {
    b.values = divisor;
    const bool large = a.shape.count() > 2000;
    cases.push_back({.op = op, .name = name, .inputs = {std::move(a), std::move(b)}, .fn = fn, .gradcheck = !large});
  };
  add("images", batch({3, 5, 3, 4}), batch({3, 5, 3, 4}));
  add("vectors", plain({19}), plain({19}));
  add("channels (1, C, 1, 1)", batch({3, 5, 3, 4}), plain({1, 5, 1, 1}));
  add("samples (N, 1, 1, 1)", batch({3, 5, 3, 4}), batch({3, 1, 1, 1}));
  add("the first is broadcast", batch({3, 1, 3, 1}), batch({3, 5, 3, 4}));
  add("both are broadcast", batch({3, 1, 4}), plain({1, 5, 1}));
  add("a scalar right", batch({3, 4}), plain({}));
  add("a scalar left", plain({}), batch({3, 4}));
  add("rank 2", batch({3, 4}), plain({1, 4}));
  add("large", batch({3, 33, 41, 37}), batch({3, 33, 41, 37}));
}

OpCase unary(const std::string& op, const std::string& name, const Shape& x, const OpFunction& fn, bool by_row = true) {
  return {.op = op, .name = name, .inputs = {by_row ? batch(x) : plain(x)}, .fn = fn, .gradcheck = x.count() < 2000};
}

}  // namespace

std::vector<OpCase> arithmetic_cases() {
  std::vector<OpCase> cases;
  add_binary(cases, "add", add);
  add_binary(cases, "sub", sub);
  add_binary(cases, "mul", mul);
  add_binary(cases, "div", div, Values::away_from_zero);
  const OpFunction line = [](const std::vector<Tensor>& in) { return affine(in[0], -1.7, 0.3); };
  cases.push_back(unary("affine", "image", {3, 3, 4, 5}, line));
  cases.push_back(unary("affine", "large", {3, 33, 41, 37}, line));

  for (const Shape& x : {Shape{3, 5, 3, 4}, Shape{3, 1, 1, 1}, Shape{3, 65, 17, 16}})
    cases.push_back({.op = "add_channel",
                     .name = concat_message(x),
                     .inputs = {batch(x), batch({x[0], x[1]})},
                     .fn = [](const std::vector<Tensor>& in) { return add_channel(in[0], in[1]); },
                     .gradcheck = x.count() < 2000});
  for (const Shape& x : {Shape{3, 5, 3, 4}, Shape{3, 1, 1, 1}, Shape{3, 65, 17, 16}})
    cases.push_back({.op = "scale_shift",
                     .name = concat_message(x),
                     .inputs = {batch(x), batch({x[0], 2 * x[1]})},
                     .fn = [](const std::vector<Tensor>& in) { return scale_shift(in[0], in[1]); },
                     .gradcheck = x.count() < 2000});

  const auto all = [](Tensor (*reduce)(const Tensor&)) -> OpFunction {
    return [reduce](const std::vector<Tensor>& in) { return reduce(in[0]); };
  };
  const auto some = [](Tensor (*reduce)(const Tensor&, const PoolVector<int64_t>&),
                       PoolVector<int64_t> dims) -> OpFunction {
    return [=](const std::vector<Tensor>& in) { return reduce(in[0], dims); };
  };
  cases.push_back(unary("sum", "all", {3, 3, 4, 5}, all(sum), false));
  cases.push_back(unary("sum", "all, large", {3, 33, 41, 37}, all(sum), false));
  cases.push_back(unary("sum", "pixels", {3, 3, 4, 5}, some(sum, {2, 3})));
  cases.push_back(unary("sum", "channels", {3, 5, 4, 3}, some(sum, {1})));
  cases.push_back(unary("sum", "batch and channels", {3, 5, 4, 3}, some(sum, {0, 1}), false));
  cases.push_back(unary("sum", "last of rank 2", {3, 17}, some(sum, {1})));
  cases.push_back(unary("mean", "all", {3, 3, 4, 5}, all(mean), false));
  cases.push_back(unary("mean", "all, large", {3, 33, 41, 37}, all(mean), false));
  cases.push_back(unary("mean", "pixels", {3, 3, 4, 5}, some(mean, {2, 3})));
  cases.push_back(unary("mean", "pixels, large", {3, 65, 17, 16}, some(mean, {2, 3})));
  cases.push_back(unary("mean", "middle of rank 3", {3, 7, 5}, some(mean, {1})));
  return cases;
}

}  // namespace echodiff
