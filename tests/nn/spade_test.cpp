// SPADE: one case worked out by hand, and gradients to weights, picture and masks.
#include "nn/spade.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/philox.h"
#include "tests/nn/network_checks.h"

namespace echodiff {
namespace {

// Weights (K, C, 3, 3) that are zero but for the middle tap of the first input channel.
Tensor middle_tap(int64_t K, int64_t C, double value) {
  std::vector<double> weights(size_t(K * C * 9), 0.0);
  for (int64_t k = 0; k < K; ++k) weights[size_t(k * C * 9 + 4)] = value;
  return from_vector({K, C, 3, 3}, weights);
}

TEST(Spade, MatchesTheHandComputedCase) {
  Spade spade(32, 1);  // 32 channels in 32 groups: each channel is normalised over its own pixels
  spade.load_state_dict({{"mlp_shared.0.weight", middle_tap(128, 1, 2)},
                         {"mlp_shared.0.bias", full({128}, -1)},
                         {"mlp_gamma.weight", middle_tap(32, 128, 0.5)},
                         {"mlp_gamma.bias", full({32}, 0.25)},
                         {"mlp_beta.weight", middle_tap(32, 128, 3)},
                         {"mlp_beta.bias", full({32}, -2)}});
  std::vector<double> pixels;
  for (int64_t c = 0; c < 32; ++c)
    for (const double value : {0., 1., 2., 3.}) pixels.push_back(value);
  const Tensor x = from_vector({1, 32, 2, 2}, pixels);
  // Nearest neighbour keeps rows and columns 0 and 2: 1, 0 / 0, 2. Hidden: relu(2 m - 1) = 1, 0, 0, 3.
  const Tensor masks = from_vector({1, 1, 4, 4}, {1, 9, 0, 9, 9, 9, 9, 9, 0, 9, 2, 9, 9, 9, 9, 9});
  const std::vector<double> y = spade(x, masks).to_vector();
  const double deviation = std::sqrt(1.25 + 1e-5);
  const double hidden[] = {1, 0, 0, 3};
  for (size_t i = 0; i < y.size(); ++i) {
    const double normal = (double(i % 4) - 1.5) / deviation, h = hidden[i % 4];
    EXPECT_NEAR(y[i], normal * (1.25 + 0.5 * h) + 3 * h - 2, 1e-5) << i;
  }
}

// A layer and its own inputs as parameters, so that the check reaches those too.
class SpadeWithInputs : public Module {
 public:
  SpadeWithInputs() : spade_(32, 2), x_(make_parameter({2, 32, 3, 2})), masks_(make_parameter({2, 2, 6, 4})) {
    initialise(2);
  }
  Tensor operator()() const { return spade_(x_, masks_); }
  void visit(Visitor& v) override {
    v.child("spade", spade_);
    v.parameter("x", x_);
    v.parameter("masks", masks_);
  }

 private:
  Spade spade_;
  Tensor x_, masks_;
};

TEST(Spade, GradientsMatchCentralDifferences) {
  SpadeWithInputs layer;
  perturb_parameters(layer, 1, 3);
  layer.to(DType::f64);
  Tensor cotangent;
  {
    const NoGrad no_grad;
    std::vector<double> values = layer().to_vector();
    Random random(8);
    for (double& value : values) value = random.normal();
    cotangent = from_vector({2, 32, 3, 2}, values, DType::f64);
  }
  check_parameter_gradients(layer, [&] { return sum(layer() * cotangent); }, {.elements = 12});
}

}  // namespace
}  // namespace echodiff
