// Samplers: the arithmetic of each against PyTorch's recorded trajectories (its eps in place of the network), the same
// with our network, and properties that hold for any.
#include "diffusion/samplers/plan.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/philox.h"
#include "nn/denoiser.h"
#include "tensor/autograd.h"
#include "tests/golden.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

struct Case {
  const char* file;
  ScheduleKind schedule;
  SamplerOptions options;
  double tolerance;  // of x with our own network, relative to its largest value
};

std::vector<Case> golden_cases() {
  const SamplerKind ddpm = SamplerKind::ddpm, ddim = SamplerKind::ddim, dpmpp = SamplerKind::dpmpp;
  return {
      {"ddpm_linear", ScheduleKind::linear, {.kind = ddpm}, 5e-6},
      {"ddpm_cosine", ScheduleKind::cosine, {.kind = ddpm}, 3e-5},
      {"ddpm_sigmoid_v", ScheduleKind::sigmoid, {.kind = ddpm, .prediction = Prediction::v}, 5e-6},
      {"ddpm_linear_noclip", ScheduleKind::linear, {.kind = ddpm, .clip = false}, 5e-6},
      {"ddim10_eta0", ScheduleKind::linear, {.kind = ddim, .steps = 10}, 5e-6},
      {"ddim49_cosine_eta1", ScheduleKind::cosine, {.kind = ddim, .steps = 49, .eta = 1}, 6e-5},
      {"dpmpp2m_20", ScheduleKind::linear, {.kind = dpmpp, .steps = 20, .clip = false}, 5e-6},
  };
}

// Largest difference between `actual` and row `row` of golden `key`, over the largest value of that row.
double difference(const Tensor& golden, int64_t row, const std::vector<float>& actual, int64_t offset) {
  const int64_t count = golden.count() / golden.dim(0);
  double worst = 0, scale = 1e-3;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double expected = double(golden.data<float>()[row * count + offset + int64_t(i)]);
    worst = std::max(worst, std::abs(expected - double(actual[i])));
    scale = std::max(scale, std::abs(expected));
  }
  return worst / scale;
}

class Trajectory : public SharedTest {
 protected:
  static SampleState start(const GoldenFile& inputs, int64_t n) {
    SampleState state;
    const Tensor& x_T = inputs.at("x_T");
    const int64_t pixels = x_T.count() / x_T.dim(0);
    state.x.assign(x_T.data<float>() + n * pixels, x_T.data<float>() + (n + 1) * pixels);
    return state;
  }
};

TEST_F(Trajectory, RecordedEpsGivesRecordedSteps) {
  const GoldenFile inputs("trajectory/inputs.safetensors");
  for (const Case& c : golden_cases()) {
    if (c.options.prediction != Prediction::eps) continue;  // eps is not what that network answered
    const GoldenFile golden(std::string("trajectory/") + c.file + ".safetensors");
    const Tensor &x = golden.at("x"), &eps = golden.at("pred_noise");
    const SamplingPlan plan = make_plan(make_schedule(c.schedule, 50), c.options);
    ASSERT_EQ(plan.count(), eps.dim(0)) << c.file;
    const int64_t pixels = 16 * 16;
    for (int64_t n = 0; n < 2; ++n) {
      SampleState state = start(inputs, n);
      for (int64_t i = 0; i < plan.count(); ++i) {
        if (golden.contains("times")) {
          ASSERT_EQ(plan.steps[size_t(i)].t, golden.at("times").data<int64_t>()[i]) << c.file;
        }
        // Each step from the recorded x, so that errors don't add up.
        state.x.assign(x.data<float>() + (2 * i + n) * pixels, x.data<float>() + (2 * i + n + 1) * pixels);
        advance(plan, state, eps.data<float>() + (2 * i + n) * pixels, nullptr,
                inputs.at("noise").data<float>() + (2 * i + n) * pixels);
        ASSERT_LT(difference(x, i + 1, state.x, n * pixels), 4e-6) << c.file << " step " << i;
        if (golden.contains("x_start")) {
          // x0_hat is a difference of two terms so much larger than itself.
          const double allowed = 2e-6 * double(1 + plan.steps[size_t(i)].sqrt_recipm1_alpha_bar);
          ASSERT_LT(difference(golden.at("x_start"), i, state.x_start, n * pixels), allowed) << c.file << " step " << i;
        }
      }
    }
  }
}

TEST_F(Trajectory, OurNetworkWalksThemToo) {
  const NoGrad no_grad;
  const GoldenFile inputs("trajectory/inputs.safetensors");
  DenoiserOptions options;
  options.dim = 8;
  options.mults = {1, 2};
  Denoiser network(options, 0);
  network.load_state_dict(read_safetensors((golden_dir() / "trajectory/tiny_unet_d8.safetensors").string()).tensors);
  network.eval();
  const int64_t pixels = 16 * 16;
  for (const Case& c : golden_cases()) {
    const GoldenFile golden(std::string("trajectory/") + c.file + ".safetensors");
    const SamplingPlan plan = make_plan(make_schedule(c.schedule, 50), c.options);
    std::vector<SampleState> states{start(inputs, 0), start(inputs, 1)};
    double worst_x = 0, worst_eps = 0, worst_start = 0;
    for (int64_t i = 0; i < plan.count(); ++i) {
      Tensor x = empty({2, 1, 16, 16});
      for (int64_t n = 0; n < 2; ++n)
        std::copy_n(states[size_t(n)].x.data(), pixels, x.mutable_data<float>() + n * pixels);
      const int64_t t = plan.steps[size_t(i)].t;
      const Tensor output = network(x, from_indices({t, t}), inputs.at("cond"));
      for (int64_t n = 0; n < 2; ++n) {
        SampleState& state = states[size_t(n)];
        advance(plan, state, output.data<float>() + n * pixels, nullptr,
                inputs.at("noise").data<float>() + (2 * i + n) * pixels);
        worst_x = std::max(worst_x, difference(golden.at("x"), i + 1, state.x, n * pixels));
        worst_eps = std::max(worst_eps, difference(golden.at("pred_noise"), i, state.eps, n * pixels));
        if (golden.contains("x_start"))
          worst_start = std::max(worst_start, difference(golden.at("x_start"), i, state.x_start, n * pixels));
      }
    }
    EXPECT_LT(worst_x, c.tolerance) << c.file;
    EXPECT_LT(worst_eps, c.tolerance * 4) << c.file;
    EXPECT_LT(worst_start, c.tolerance * 40) << c.file;
  }
}

// With the network that knows x_0, every sampler ends at x_0, whatever its prediction is.
TEST(Samplers, AnOracleLeadsToX0) {
  const Schedule s = make_schedule(ScheduleKind::cosine, 100);
  const std::vector<float> x_0{-0.9f, -0.2f, 0.1f, 0.8f};
  for (const SamplerKind kind : {SamplerKind::ddpm, SamplerKind::ddim, SamplerKind::dpmpp})
    for (const Prediction prediction : {Prediction::eps, Prediction::v, Prediction::x0})
      for (const int64_t steps : {1, 7, 40}) {
        const SamplingPlan plan = make_plan(s, {.kind = kind, .steps = steps, .eta = 0.5, .prediction = prediction});
        SampleState state;
        state.x.resize(4);
        fill_normal(state.x.data(), 4, 1, 2, 0);
        for (int64_t i = 0; i < plan.count(); ++i) {
          const size_t t = size_t(plan.steps[size_t(i)].t);
          std::vector<float> output(4), noise(4);
          for (size_t j = 0; j < 4; ++j) {
            const double eps =
                (double(state.x[j]) - s.sqrt_alphas_cumprod[t] * double(x_0[j])) / s.sqrt_one_minus_alphas_cumprod[t];
            const double v = s.sqrt_alphas_cumprod[t] * eps - s.sqrt_one_minus_alphas_cumprod[t] * double(x_0[j]);
            output[j] = prediction == Prediction::eps ? float(eps) : prediction == Prediction::v ? float(v) : x_0[j];
          }
          fill_normal(noise.data(), 4, 1, 2, uint64_t(i + 1));
          advance(plan, state, output.data(), nullptr, noise.data());
        }
        for (size_t j = 0; j < 4; ++j)
          EXPECT_NEAR(state.x[j], x_0[j], 2e-3) << int(kind) << " " << name_of(prediction) << " " << steps;
      }
}

TEST(Samplers, VarianceChoices) {
  const Schedule s = make_schedule(ScheduleKind::linear, 100);
  const SamplingPlan small = make_plan(s, {.kind = SamplerKind::ddpm}),
                     large = make_plan(s, {.kind = SamplerKind::ddpm, .variance = Variance::beta}),
                     learned = make_plan(s, {.kind = SamplerKind::ddpm, .variance = Variance::learned});
  EXPECT_NEAR(small.steps[40].noise_scale, std::sqrt(s.posterior_variance[59]), 1e-6);
  EXPECT_NEAR(large.steps[40].noise_scale, std::sqrt(s.betas[59]), 1e-6);
  // The learned one at -1 is the posterior's, at 1 is beta.
  for (const float share : {-1.0f, 1.0f}) {
    SampleState a, b;
    a.x = b.x = {0.3f};
    const float output = 0.1f, noise = 2;
    advance(learned, a, &output, &share, &noise);
    advance(share < 0 ? small : large, b, &output, nullptr, &noise);
    EXPECT_NEAR(a.x[0], b.x[0], 1e-6);
  }
}

TEST(Samplers, TailStartsWhereItIsTold) {
  const Schedule s = make_schedule(ScheduleKind::linear, 100);
  const SamplingPlan tail = make_tail(s, {}, 30, 4);
  ASSERT_EQ(tail.count(), 4);
  EXPECT_EQ(tail.steps.front().t, 30);
  EXPECT_EQ(tail.steps.back().next_t, -1);
  EXPECT_EQ(make_tail(s, {}, 1, 4).count(), 2);
}

}  // namespace
}  // namespace echodiff
