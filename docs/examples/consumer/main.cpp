// An op and a policy of one's own, on an installed echodiff: y = x tanh(softplus(x)) learns to be a line, and a coin decides.
#include <cmath>
#include <cstdio>

#include "kernels/philox.h"
#include "quality/sampling/policy/policy.h"
#include "tensor/ops.h"
#include "train/optimizer.h"

using namespace echodiff;

Tensor my_mish(const Tensor& x) {
  Tensor y = empty_like(x), slope = empty_like(x);
  for (int64_t i = 0; i < x.count(); ++i) {
    const float v = x.data<float>()[i], t = std::tanh(std::log1p(std::exp(v)));
    y.mutable_data<float>()[i] = v * t;
    slope.mutable_data<float>()[i] = t + v * (1 - t * t) / (1 + std::exp(-v));
  }
  return record("my_mish", y, {x}, [slope](const Tensor& dy) { return Gradients{dy * slope}; });
}

int main() {
  const Tensor x = from_vector({4, 1}, {-1, 0, 1, 2}), wanted = from_vector({4, 1}, {0, 0.5, 1, 1.5});
  Tensor weight = full({1, 1}, 0.1).set_requires_grad(true), bias = full({1}, 0).set_requires_grad(true);
  Adam adam({{"weight", weight}, {"bias", bias}}, {});
  Tensor loss;
  for (int64_t step = 0; step < 500; ++step) {
    adam.zero_grad();
    loss = mse_loss(my_mish(linear(x, weight, bias)), wanted);
    loss.backward();
    adam.step(0.02);
  }
  Policy coin{.name = "coin", .needs_scorer = false, .reads_scores = false};
  coin.decide = [](const Moment& moment) {
    const bool heads = Random(1, uint64_t(moment.index)).uniform() < 0.5;
    return Ruling{heads ? Verdict::kAccept : Verdict::kDiscard, "coin"};
  };
  const bool kept = coin.decide({.scores = {}, .index = 7}).verdict == Verdict::kAccept;
  std::printf("loss %.4f; the coin %s trajectory 7\n", loss.item(), kept ? "keeps" : "drops");
  return loss.item() < 0.01 ? 0 : 1;
}
