// bf16 on the device: networks and training come near what the CPU computes in f32, and activations take half the
// memory.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "cli/cli.h"
#include "cuda/device_test.h"
#include "diffusion/diffusion.h"
#include "kernels/cuda/context.h"
#include "nn/denoiser.h"
#include "quality/judges/scorer.h"
#include "quality/judges/value_model.h"
#include "tensor/io/stored.h"
#include "tensor/observe.h"
#include "tensor/ops.h"
#include "tests/nn/network_checks.h"
#include "train/draws.h"
#include "train/optimizer.h"

namespace echodiff {
namespace {

using DevicePrecision = cuda::DeviceTest;

Tensor draw(int64_t n, const Shape& shape) { return draw_noise(1, Draw::noise, n, shape); }

// ||a - b|| / ||b||
double difference(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double squares = 0, of_b = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    squares += (a[i] - b[i]) * (a[i] - b[i]);
    of_b += b[i] * b[i];
  }
  return std::sqrt(squares / of_b);
}

struct Numbers {
  std::vector<double> output, gradient;  // of every parameter, one after the other
};

// y on any device, its gradient a fixed draw.
Numbers numbers_of(Module& network, const Tensor& y) {
  EXPECT_EQ(y.dtype(), DType::f32);
  for (NamedTensor& parameter : network.parameters()) parameter.tensor.set_grad({});
  y.backward(draw(9, y.shape()).to(y.device()));
  Numbers numbers{y.to_vector(), {}};
  for (const NamedTensor& parameter : network.parameters()) {
    const std::vector<double> values = parameter.tensor.grad().to_vector();
    EXPECT_EQ(parameter.tensor.grad().dtype(), DType::f32);
    numbers.gradient.insert(numbers.gradient.end(), values.begin(), values.end());
  }
  return numbers;
}

// Near, and not nearer than rounding to 8 bits can be: then nothing was rounded.
void expect_near(const Numbers& found, const Numbers& expected, double output, double gradient) {
  const double of_output = difference(found.output, expected.output);
  const double of_gradient = difference(found.gradient, expected.gradient);
  EXPECT_LT(of_output, output);
  EXPECT_LT(of_gradient, gradient);
  EXPECT_GT(of_output, 1e-4);
  EXPECT_GT(of_gradient, 1e-4);
  std::printf("  output %.4f, gradient %.4f\n", of_output, of_gradient);
}

// Of pictures of 8x8, or 4x4 where the width must be 32: the faked device is slow.
DenoiserOptions options_of(const std::string& architecture) {
  DenoiserOptions options;
  options.architecture = architecture;
  options.dim = architecture == "lucidrains" ? 8 : 32;
  if (architecture == "lucidrains")
    options.mults = {1, 2};
  else
    options.mults = {1};
  options.planes = 2;
  options.image_size = architecture == "lucidrains" ? 8 : 4;
  options.head_dim = 8;
  options.attention_resolutions = {1};
  return options;
}

TEST_F(DevicePrecision, DenoisersAreNearF32) {
  DenoiserOptions lucidrains = options_of("lucidrains"), guided = options_of("guided"), spade = options_of("guided"),
                  diffusers = options_of("diffusers"), haar = lucidrains;
  guided.blocks = spade.blocks = diffusers.blocks = 1;
  guided.scale_shift = false;
  spade.condition = "spade";
  haar.patch = 2;
  haar.patch_basis = "haar";
  const Tensor t = from_indices({3, 700});
  for (const DenoiserOptions& options : {lucidrains, guided, spade, diffusers, haar}) {
    SCOPED_TRACE(options.architecture + " " + options.condition + " " + options.patch_basis);
    const Tensor x = draw(0, {2, 1, options.image_size, options.image_size});
    const Tensor masks = draw(2, {2, 2, options.image_size, options.image_size});
    Denoiser network(options, 5);
    perturb_parameters(network, 0.02, 6);
    const Numbers expected = numbers_of(network, network(x, t, masks));
    network.to(Device::kCuda);
    network.use_bf16(true);
    const Tensor there = x.to(Device::kCuda), masks_there = masks.to(Device::kCuda);
    expect_near(numbers_of(network, network(there, t, masks_there)), expected, 2e-2, 3e-2);
  }
}

// ReLU's slope jumps: where rounding moves an argument across 0 that element's gradient is all wrong, and a share p of
// such elements is sqrt(p) of the gradient's length. So gradients are farther off than SiLU's, and farther where batch
// norms of a few values enlarge the rounding.
TEST_F(DevicePrecision, ResNet18IsNearF32) {
  ResNet18 network({.width = 4}, 5);
  network.eval();
  const Tensor x = tanh(draw(0, {4, 1, 64, 64}));
  const Numbers expected = numbers_of(network, network(x));
  network.to(Device::kCuda);
  const Tensor there = cast(x.to(Device::kCuda), DType::bf16);
  expect_near(numbers_of(network, cast(network(there), DType::f32)), expected, 2e-2, 0.2);
}

TEST_F(DevicePrecision, JudgesAreTrainedNearF32AndJudgeInF32) {
  constexpr int64_t kBatch = 16;
  const Tensor x = tanh(draw(0, {kBatch, 1, 64, 64})), masks = draw(kBatch, {kBatch, 2, 64, 64});
  const Tensor t = draw_times(1, Draw::time, 0, kBatch, 50);
  const auto check_judge = [](auto& judge, double output, double gradient, const auto& logits, const auto& scores) {
    judge.network().train();
    const Numbers expected = numbers_of(judge.network(), logits());
    judge.to(Device::kCuda);
    judge.use_bf16(true);
    expect_near(numbers_of(judge.network(), logits()), expected, output, gradient);
    judge.network().eval();
    const std::vector<double> there = scores();
    judge.to(Device::kCpu);
    EXPECT_LT(difference(there, scores()), 1e-5);
  };
  Scorer scorer({.image_size = 64, .width = 4}, 5);
  check_judge(
      scorer, 6e-2, 0.4, [&] { return scorer.logits(x); }, [&] { return scorer.score(x); });
  ValueModel value({.image_size = 64, .planes = 2, .width = 4, .T = 50}, 3);
  check_judge(
      value, 1e-2, 0.1, [&] { return value.logits(x, t, masks); }, [&] { return value.score(x, t, masks); });
}

// The losses of twelve steps of Adam on two pictures.
std::vector<double> losses_of(Device device, bool bf16) {
  const Schedule schedule = make_schedule(ScheduleKind::linear, 50);
  Denoiser network(options_of("lucidrains"), 1);
  network.to(device);
  network.use_bf16(bf16);
  Adam adam(network.parameters(), AdamOptions());
  const Tensor x_0 = tanh(draw(0, {2, 1, 8, 8})).to(device), masks = draw(2, {2, 2, 8, 8}).to(device);
  std::vector<double> losses;
  for (int64_t n = 0; n < 12; ++n) {
    const Tensor t = draw_times(1, Draw::time, 2 * n, 2, schedule.T), noise = draw(8 + 2 * n, {2, 1, 8, 8}).to(device);
    adam.zero_grad();
    const Tensor output = network(q_sample(schedule, x_0, t, noise), t, masks);
    const Tensor loss = diffusion_loss(schedule, Prediction::eps, output, noise, t);
    loss.backward();
    clip_grad_norm(network.parameters(), 1.0);
    adam.step(1e-3);
    losses.push_back(loss.item());
  }
  return losses;
}

TEST_F(DevicePrecision, TwelveStepsAreNearF32) {
  const std::vector<double> found = losses_of(Device::kCuda, true), expected = losses_of(Device::kCpu, false);
  for (size_t n = 0; n < expected.size(); ++n) EXPECT_NEAR(found[n], expected[n], 3e-3 * expected[n]) << "step " << n;
  EXPECT_GT(difference(found, expected), 1e-5);
}

// Bytes of what ops put out, which is what backward keeps.
class OutputBytes : public Observer {
 public:
  void forward(const char*, std::span<const Tensor>, const Tensor& output) override {
    bytes += output.count() * size_of(output.dtype());
  }
  int64_t bytes = 0;
};

TEST_F(DevicePrecision, ActivationsTakeAboutHalf) {
  Denoiser network(options_of("lucidrains"), 5);
  network.to(Device::kCuda);
  const Tensor x = draw(0, {2, 1, 16, 16}).to(Device::kCuda), masks = draw(2, {2, 2, 16, 16}).to(Device::kCuda);
  std::vector<int64_t> bytes;
  for (const bool bf16 : {false, true}) {
    network.use_bf16(bf16);
    const OutputBytes observer;
    network(x, from_indices({3, 40}), masks);
    bytes.push_back(observer.bytes);
  }
  std::printf("  %.3f\n", double(bytes[1]) / double(bytes[0]));
  EXPECT_LT(double(bytes[1]), 0.6 * double(bytes[0]));
}

TEST_F(DevicePrecision, ACastsGradientIsOfItsInputsType) {
  Tensor x = draw(0, {3, 5}).to(Device::kCuda);
  x.set_requires_grad(true);
  const Tensor y = cast(x, DType::bf16), dy = draw(1, {3, 5}).to(Device::kCuda).to(DType::bf16);
  const Tensor nearest = nearest_stored(x.detach().to(Device::kCpu), StoredType::bf16, "x");
  EXPECT_EQ(y.dtype(), DType::bf16);
  EXPECT_EQ(y.to_vector(), nearest.to_vector());
  y.backward(dy);
  EXPECT_EQ(x.grad().dtype(), DType::f32);
  EXPECT_EQ(x.grad().to_vector(), dy.to_vector());
  EXPECT_THROW(y.to(Device::kCpu), Error);
  EXPECT_THROW(mse_loss(y, y), Error);
}

TEST_F(DevicePrecision, FlagsReachTheContext) {
  for (const auto& [flag, tf32, deterministic] :
       {std::tuple("--precision=tf32", true, false), std::tuple("--precision=bf16", false, false),
        std::tuple("--deterministic", false, true), std::tuple("--device=cuda", false, false)}) {
    std::string program = "dthing", device = "--device=cuda", given = flag, quiet = "--quiet";
    std::vector<char*> argv{program.data(), device.data(), quiet.data()};
    if (given != device) argv.push_back(given.data());
    bool ran = false;
    EXPECT_EQ(run_program(int(argv.size()), argv.data(), {"dthing", "Does things.", "dthing"},
                          [&](Options& options) {
                            options.runs_on_cuda();
                            options.body([&](const Common& common) {
                              EXPECT_EQ(common.bf16, given == "--precision=bf16");
                              EXPECT_EQ(cuda::context().options().tf32, tf32);
                              EXPECT_EQ(cuda::context().options().deterministic, deterministic);
                              ran = true;
                              return 0;
                            });
                          }),
              0);
    EXPECT_TRUE(ran) << flag;
    cuda::close_context();
  }
}

}  // namespace
}  // namespace echodiff
