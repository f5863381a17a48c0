// Activation checkpointing: the output has the same bits, the gradients differ by rounding alone, and less is kept.
#include "tensor/recompute.h"

#include <gtest/gtest.h>

#include "kernels/memory_pool.h"
#include "nn/denoiser.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

struct Pass {
  std::vector<double> output;
  std::map<std::string, std::vector<double>> gradients;
  int64_t peak = 0;  // bytes above what was in use before
};

Pass pass_of(Denoiser& network, const DenoiserOptions& options, bool recompute, int64_t size) {
  const Tensor x = normal_rows({2, 1, size, size}, 1, {0, 1}, {0, 0}), t = from_indices({3, 40});
  const Tensor condition = normal_rows({2, options.planes, size, size}, 2, {0, 1}, {0, 0});
  network.seed_dropout(9);
  for (const NamedTensor& parameter : network.parameters()) Tensor(parameter.tensor).set_grad({});
  const int64_t before = memory_statistics().in_use;
  int64_t most = 0;
  Pass pass;
  {
    const Recompute mode(recompute);
    const Tensor y = network(x, t, condition);
    pass.output = y.to_vector();
    most = memory_statistics().in_use;
    sum(y * y).backward();
  }
  pass.peak = most - before;
  for (const NamedTensor& parameter : network.parameters())
    pass.gradients[parameter.name] =
        parameter.tensor.grad() ? parameter.tensor.grad().to_vector() : std::vector<double>();
  return pass;
}

TEST(Recompute, EveryNetworkHasTheSameOutputAndGradients) {
  for (const std::string architecture : {"lucidrains", "lucidrains1", "guided", "diffusers"})
    for (const std::string condition : {"concat", "spade"}) {
      if (condition == "spade" && architecture != "guided") continue;
      DenoiserOptions options{.architecture = architecture,
                              .condition = condition,
                              .image_size = 16,
                              .dim = 32,
                              .mults = {1, 2},
                              .dropout = 0.2};
      options.attention_resolutions = {2};
      Denoiser network(options, 3);
      {
        const NoGrad no_grad;
        for (const NamedTensor& parameter : network.parameters())  // guided begins with zeros, which hide gradients
          Tensor(parameter.tensor).copy_from(parameter.tensor + full(parameter.tensor.shape(), 0.01));
      }
      network.to(DType::f64);
      const auto as_double = [&](bool recompute) {
        const Tensor x = normal_rows({2, 1, 16, 16}, 1, {0, 1}, {0, 0}).to(DType::f64);
        const Tensor c = normal_rows({2, options.planes, 16, 16}, 2, {0, 1}, {0, 0}).to(DType::f64);
        network.seed_dropout(9);
        for (const NamedTensor& parameter : network.parameters()) Tensor(parameter.tensor).set_grad({});
        const Recompute mode(recompute);
        const Tensor y = network(x, from_indices({3, 40}), c);
        sum(y * y).backward();
        Pass pass{y.to_vector(), {}, 0};
        for (const NamedTensor& parameter : network.parameters())
          pass.gradients[parameter.name] = parameter.tensor.grad().to_vector();
        return pass;
      };
      const Pass plain = as_double(false), again = as_double(true);
      EXPECT_EQ(again.output, plain.output) << architecture;
      for (const auto& [name, gradient] : plain.gradients)
        for (size_t i = 0; i < gradient.size(); ++i)
          ASSERT_NEAR(again.gradients.at(name)[i], gradient[i], 1e-9 * (1 + std::abs(gradient[i])))
              << architecture << " " << condition << " " << name << " " << i;
    }
}

TEST(Recompute, KeepsLessAndRepeatsItsBits) {
  const DenoiserOptions options{.architecture = "guided", .image_size = 64, .dim = 32, .mults = {1, 2, 4}};
  Denoiser network(options, 3);
  const Pass plain = pass_of(network, options, false, 64), again = pass_of(network, options, true, 64),
             twice = pass_of(network, options, true, 64);
  EXPECT_EQ(again.output, plain.output);
  EXPECT_EQ(again.gradients, twice.gradients);
  EXPECT_LT(again.peak, 0.5 * double(plain.peak)) << plain.peak;
}

TEST(Recompute, IsOffOutsideItsScopeAndWithoutGradients) {
  int calls = 0;
  const auto doubled = [&calls](const Tensor& x) {
    ++calls;
    return x * 2.0;
  };
  Tensor x = full({3}, 1);
  x.set_requires_grad(true);
  sum(recomputed(doubled, x)).backward();
  EXPECT_EQ(calls, 1);
  const Recompute recompute(true);
  recomputed(doubled, full({3}, 1));
  EXPECT_EQ(calls, 2);
  sum(recomputed(doubled, x)).backward();
  EXPECT_EQ(calls, 4);
  EXPECT_EQ(x.grad().to_vector(), std::vector<double>(3, 4));
  {
    const NoGrad no_grad;
    recomputed(doubled, x);
  }
  EXPECT_EQ(calls, 5);
}

}  // namespace
}  // namespace echodiff
