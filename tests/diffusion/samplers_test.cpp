// Samplers: the arithmetic of each against PyTorch's recorded trajectories (its eps in place of the network), the same
// with our network, and properties that hold for any.
#include "diffusion/samplers/plan.h"

#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/samplers/samplers.h"
#include "nn/denoiser.h"
#include "nn/torch_import/import.h"
#include "tensor/autograd.h"
#include "tensor/ops.h"
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
  return {
      {"ddpm_linear", ScheduleKind::linear, {.sampler = "ddpm"}, 5e-6},
      {"ddpm_cosine", ScheduleKind::cosine, {.sampler = "ddpm"}, 3e-5},
      {"ddpm_sigmoid_v", ScheduleKind::sigmoid, {.sampler = "ddpm", .prediction = Prediction::v}, 5e-6},
      {"ddpm_linear_noclip", ScheduleKind::linear, {.sampler = "ddpm", .clip = false}, 5e-6},
      {"ddim10_eta0", ScheduleKind::linear, {.sampler = "ddim", .steps = 10}, 5e-6},
      {"ddim49_cosine_eta1", ScheduleKind::cosine, {.sampler = "ddim", .steps = 49, .eta = 1}, 6e-5},
      {"dpmpp2m_20", ScheduleKind::linear, {.sampler = "dpmpp", .steps = 20, .clip = false}, 5e-6},
  };
}

constexpr int64_t kSide = 8, kPixels = kSide * kSide;

// Largest difference between `actual` and row `row` of golden `key`, over the largest value of that row.
double difference(const Tensor& golden, int64_t row, const Tensor& actual, int64_t offset) {
  const int64_t count = golden.count() / golden.dim(0);
  double worst = 0, scale = 1e-3;
  for (int64_t i = 0; i < actual.count(); ++i) {
    const double expected = double(golden.data<float>()[row * count + offset + i]);
    worst = std::max(worst, std::abs(expected - double(actual.data<float>()[i])));
    scale = std::max(scale, std::abs(expected));
  }
  return worst / scale;
}

// Both samples' pictures (2, 1, H, W) at step i of a recorded (K, 2, 1, H, W).
Tensor at_step(const Tensor& recorded, int64_t i) {
  return reshape(slice(recorded, 0, i, i + 1), {2, 1, kSide, kSide});
}

// Row i of the recorded noise, where the plan draws some.
Tensor noise_of(const SamplingPlan& plan, const GoldenFile& inputs, int64_t i) {
  return plan.steps[size_t(i)].draws_noise ? at_step(inputs.at("noise"), i) : Tensor();
}

// The states begin at `x` (2, 1, H, W).
void put(const Tensor& x, std::vector<SampleState>& states) {
  for (int64_t n = 0; n < 2; ++n) states[size_t(n)].x = slice(x, 0, n, n + 1);
}

TEST(Trajectory, RecordedEpsGivesRecordedSteps) {
  const GoldenFile inputs("trajectory/inputs.safetensors");
  for (const Case& c : golden_cases()) {
    if (c.options.prediction != Prediction::eps) continue;  // eps is not what that network answered
    const GoldenFile golden(std::string("trajectory/") + c.file + ".safetensors");
    const Tensor &x = golden.at("x"), &eps = golden.at("pred_noise");
    const SamplingPlan plan = make_plan(make_schedule(c.schedule, 50), c.options);
    ASSERT_EQ(plan.count(), eps.dim(0)) << c.file;
    std::vector<SampleState> states(2);
    for (int64_t i = 0; i < plan.count(); ++i) {
      if (golden.contains("times")) {
        ASSERT_EQ(plan.steps[size_t(i)].t, golden.at("times").data<int64_t>()[i]) << c.file;
      }
      // Each step from the recorded x, so that errors don't add up.
      put(at_step(x, i), states);
      take_steps({{&plan, &states[0]}, {&plan, &states[1]}}, at_step(eps, i), {}, noise_of(plan, inputs, i));
      for (int64_t n = 0; n < 2; ++n) {
        const SampleState& state = states[size_t(n)];
        ASSERT_LT(difference(x, i + 1, state.x, n * kPixels), 4e-6) << c.file << " step " << i;
        if (golden.contains("x_start")) {
          // x0_hat is a difference of two terms so much larger than itself.
          const double allowed = 2e-6 * double(1 + plan.steps[size_t(i)].sqrt_recipm1_alpha_bar);
          ASSERT_LT(difference(golden.at("x_start"), i, state.x_start, n * kPixels), allowed)
              << c.file << " step " << i;
        }
      }
    }
  }
}

TEST(Trajectory, OurNetworkWalksThemToo) {
  const NoGrad no_grad;
  const GoldenFile inputs("trajectory/inputs.safetensors");
  DenoiserOptions options;
  options.dim = 8;
  options.mults = {1, 2};
  Denoiser network(options, 0);
  network.load_state_dict(import_denoiser(golden_path("trajectory/tiny_unet_d8.pt").string(), {}).model);
  network.eval();
  for (const Case& c : golden_cases()) {
    const GoldenFile golden(std::string("trajectory/") + c.file + ".safetensors");
    const SamplingPlan plan = make_plan(make_schedule(c.schedule, 50), c.options);
    std::vector<SampleState> states(2);
    put(inputs.at("x_T"), states);
    double worst_x = 0, worst_eps = 0, worst_start = 0;
    for (int64_t i = 0; i < plan.count(); ++i) {
      const int64_t t = plan.steps[size_t(i)].t;
      const Tensor output = network(concat({states[0].x, states[1].x}, 0), from_indices({t, t}), inputs.at("cond"));
      take_steps({{&plan, &states[0]}, {&plan, &states[1]}}, output, {}, noise_of(plan, inputs, i));
      for (int64_t n = 0; n < 2; ++n) {
        const SampleState& state = states[size_t(n)];
        worst_x = std::max(worst_x, difference(golden.at("x"), i + 1, state.x, n * kPixels));
        worst_eps = std::max(worst_eps, difference(golden.at("pred_noise"), i, state.eps, n * kPixels));
        if (golden.contains("x_start"))
          worst_start = std::max(worst_start, difference(golden.at("x_start"), i, state.x_start, n * kPixels));
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
  for (const Sampler& sampler : samplers())
    for (const Prediction prediction : {Prediction::eps, Prediction::v, Prediction::x0})
      for (const int64_t steps : {1, 7, 40}) {
        const SamplingPlan plan =
            make_plan(s, {.sampler = sampler.name, .steps = steps, .eta = 0.5, .prediction = prediction});
        SampleState state;
        state.x = normal_rows({1, 1, 2, 2}, 1, {2}, {0});
        for (int64_t i = 0; i < plan.count(); ++i) {
          const size_t t = size_t(plan.steps[size_t(i)].t);
          Tensor output = empty({1, 1, 2, 2});
          for (size_t j = 0; j < 4; ++j) {
            const double eps = (double(state.x.data<float>()[j]) - s.sqrt_alphas_cumprod[t] * double(x_0[j])) /
                               s.sqrt_one_minus_alphas_cumprod[t];
            const double v = s.sqrt_alphas_cumprod[t] * eps - s.sqrt_one_minus_alphas_cumprod[t] * double(x_0[j]);
            output.mutable_data<float>()[j] = prediction == Prediction::eps ? float(eps)
                                              : prediction == Prediction::v ? float(v)
                                                                            : x_0[j];
          }
          const bool draws = plan.steps[size_t(i)].draws_noise;
          take_steps({{&plan, &state}}, output, {}, draws ? normal_rows({1, 1, 2, 2}, 1, {2}, {i + 1}) : Tensor());
        }
        for (size_t j = 0; j < 4; ++j)
          EXPECT_NEAR(state.x.data<float>()[j], x_0[j], 2e-3)
              << sampler.name << " " << name_of(prediction) << " " << steps;
      }
}

TEST(Samplers, AreRowsOfATable) {
  for (const Sampler& sampler : samplers()) EXPECT_EQ(&sampler_of(sampler.name), &sampler);
  EXPECT_EQ(sampler_of("ddpm").default_steps(2000), 2000);
  EXPECT_EQ(sampler_of("ddim").default_steps(40), 40);
  EXPECT_EQ(sampler_of("dpmpp").default_steps(20), 19);
  EXPECT_THROW(sampler_of("euler"), Error);
}

TEST(Samplers, VarianceChoices) {
  const Schedule s = make_schedule(ScheduleKind::linear, 100);
  const SamplingPlan small = make_plan(s, {.sampler = "ddpm"}),
                     large = make_plan(s, {.sampler = "ddpm", .variance = Variance::beta}),
                     learned = make_plan(s, {.sampler = "ddpm", .variance = Variance::learned});
  EXPECT_NEAR(small.steps[40].noise_scale, std::sqrt(s.posterior_variance[59]), 1e-6);
  EXPECT_NEAR(large.steps[40].noise_scale, std::sqrt(s.betas[59]), 1e-6);
  // The learned one at -1 is the posterior's, at 1 is beta.
  for (const float share : {-1.0f, 1.0f}) {
    SampleState a, b;
    const auto one = [](double value) { return full({1, 1, 1, 1}, value); };
    a.x = b.x = one(0.3);
    take_steps({{&learned, &a}}, one(0.1), one(share), one(2));
    take_steps({{share < 0 ? &small : &large, &b}}, one(0.1), {}, one(2));
    EXPECT_NEAR(a.x.item(), b.x.item(), 1e-6);
    EXPECT_NEAR(a.x_start.item(), b.x_start.item(), 0);
  }
}

// Samples at different steps of different tables, one of them without noise, step together as they would alone.
TEST(Samplers, SamplesStepTogetherAsAlone) {
  const Schedule s = make_schedule(ScheduleKind::cosine, 100);
  const SamplingPlan noisy = make_plan(s, {.sampler = "ddpm"}), quiet = make_plan(s, {.sampler = "ddim"}),
                     two_step = make_plan(s, {.sampler = "dpmpp"});
  const std::vector<const SamplingPlan*> plans{&quiet, &noisy, &two_step, &noisy};
  const Shape one{1, 1, 3, 2};
  std::vector<SampleState> together(4);
  for (int64_t n = 0; n < 4; ++n) together[size_t(n)].x = normal_rows(one, 3, {n}, {0});
  together[3].step = 40;
  std::vector<SampleState> alone = together;
  for (int64_t i = 1; i < 4; ++i) {
    const Tensor output = normal_rows({4, 1, 3, 2}, 4, {0, 1, 2, 3}, {i, i, i, i}),
                 noise = normal_rows({2, 1, 3, 2}, 5, {1, 3}, {i, i});
    std::vector<Walk> walks;
    for (size_t n = 0; n < 4; ++n) walks.push_back({plans[n], &together[n]});
    take_steps(walks, output, {}, noise);
    for (int64_t n = 0; n < 4; ++n) {
      const Tensor own = n == 1 ? slice(noise, 0, 0, 1) : n == 3 ? slice(noise, 0, 1, 2) : Tensor();
      take_steps({{plans[size_t(n)], &alone[size_t(n)]}}, slice(output, 0, n, n + 1), {}, own);
    }
  }
  for (size_t n = 0; n < 4; ++n) {
    EXPECT_EQ(together[n].step, alone[n].step);
    EXPECT_EQ(together[n].x.to_vector(), alone[n].x.to_vector()) << n;
    EXPECT_EQ(together[n].x_start.to_vector(), alone[n].x_start.to_vector()) << n;
    EXPECT_EQ(together[n].eps.to_vector(), alone[n].eps.to_vector()) << n;
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
