// Twelve training steps against PyTorch's: losses, gradient norms, final weights and their moving average.
#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/diffusion.h"
#include "nn/denoiser.h"
#include "nn/torch_import/import.h"
#include "tests/formula.h"
#include "tests/golden.h"
#include "tests/shared.h"
#include "train/data/loader.h"
#include "train/ema.h"
#include "train/model_run.h"
#include "train/optimizer.h"

namespace echodiff {
namespace {

constexpr double kTolerance = 8 * 2.5e-7;  // relative

TEST(ReplayGolden, TwelveStepsOfTheTrainer) {
  constexpr int64_t kT = 1000;
  const DenoiserImport import = import_denoiser(FormulaFile("trainer/keys.json").path(), {});
  const StateDict& initial = import.model;
  const DenoiserOptions& options = import.options;
  EXPECT_EQ(options.dim, 8);
  EXPECT_EQ(options.mults, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(options.planes, 3);
  Denoiser network(options, 0), averaged(options, 0);
  network.to(test_device());
  averaged.to(test_device());
  network.load_state_dict(initial);
  const std::vector<NamedTensor> parameters = network.parameters();
  Adam adam(parameters, {.beta1 = 0.9, .beta2 = 0.99});
  Ema ema(network.state_dict(), averaged.state_dict(), {.beta = 0.995, .update_after_step = 100, .update_every = 10});
  const Replay replay(golden_path("trainer/replay.safetensors").string(), kT);
  const GoldenFile expected("trainer/replay.safetensors");
  const std::vector<double> losses = expected.at("losses_f64").to_vector();
  std::vector<float> norms;
  const Schedule schedule = make_schedule(ScheduleKind::linear, kT);
  ASSERT_EQ(replay.steps(), 12);
  for (int64_t step = 0; step < replay.steps(); ++step) {
    const Batch batch = replay.batch(step);
    const Tensor t = replay.times(step), noise = replay.noise(step).to(test_device());
    const Tensor x_t = q_sample(schedule, batch.x_0.to(test_device()), t, noise);
    const Tensor output = network(x_t, t, batch.condition.to(test_device()));
    const Tensor loss = diffusion_loss(schedule, Prediction::eps, output, noise, t);
    adam.zero_grad();
    loss.backward();
    norms.push_back(float(clip_grad_norm(parameters, 1.0).item()));
    EXPECT_NEAR(loss.item(), losses[size_t(step)], kTolerance * losses[size_t(step)]) << "step " << step;
    adam.step(1e-3);
    EXPECT_TRUE(adam.finite());
    ema.update();
  }
  expected.expect("grad_norms", from_values({12}, norms.data()));
  const GoldenFile trainer("trainer/io.safetensors");
  const StateDict raw = network.state_dict();
  const auto compare = [&](const std::string& prefix, const StateDict& state) {
    int64_t compared = 0;
    for (const NamedTensor& entry : state) {
      if (!trainer.contains(prefix + entry.name)) continue;
      trainer.expect(prefix + entry.name, entry.tensor);
      ++compared;
    }
    EXPECT_EQ(compared, 5) << prefix;
  };
  compare("final/", raw);
  compare("final_ema/", ema.averaged());

  // The Trainer's own file after these steps, every tensor of it. Adam divides by the root of v, so where a gradient is
  // small its rounding moves the weight by a share of the rate: a hundredth of one step is allowed.
  const DenoiserImport saved = import_denoiser(golden_path("trainer/model-1.pt").string(), {});
  const auto equal = [](const char* what, const StateDict& ours, const StateDict& theirs, double relative,
                        double absolute) {
    ASSERT_EQ(ours.size(), theirs.size());
    for (size_t i = 0; i < ours.size(); ++i) {
      EXPECT_EQ(ours[i].name, theirs[i].name);
      const std::vector<double> a = ours[i].tensor.to_vector(), b = theirs[i].tensor.to_vector();
      double largest = 0, difference = 0;
      for (size_t k = 0; k < a.size(); ++k) {
        largest = std::max(largest, std::abs(b[k]));
        difference = std::max(difference, std::abs(a[k] - b[k]));
      }
      EXPECT_LE(difference, relative * largest + absolute) << what << " " << ours[i].name;
    }
  };
  const auto state_of = [&](const std::string& prefix) {
    StateDict out;
    for (const NamedTensor& entry : adam.state())
      if (entry.name.starts_with(prefix)) out.push_back({entry.name.substr(prefix.size()), entry.tensor});
    return out;
  };
  equal("weights", raw, saved.model, 8e-6, 0.01 * 1e-3);
  equal("ema", ema.averaged(), saved.ema, 8e-6, 0.01 * 1e-3);
  equal("exp_avg", state_of("exp_avg."), saved.exp_avg, 4e-5, 0);
  equal("exp_avg_sq", state_of("exp_avg_sq."), saved.exp_avg_sq, 4e-5, 0);
  EXPECT_EQ(adam.state().back().tensor.item(), double(saved.adam_step));
  EXPECT_EQ(ema.step(), saved.ema_step);
}

TEST(ReplayGolden, RefusesATimeBeyondTheSchedule) {
  EXPECT_THROW(Replay(golden_path("trainer/replay.safetensors").string(), 10), Error);
}

TEST(ModelRun, MetadataReadsBack) {
  DenoiserRun run;
  run.options.architecture = "guided";
  run.options.condition = "spade";
  run.options.dim = 32;
  run.options.mults = {1, 2};
  run.options.attention_resolutions = {2, 4};
  run.options.dropout = 0.1;
  run.schedule = ScheduleKind::cosine;
  run.prediction = Prediction::v;
  run.T = 77;
  run.planes = {"liver", "sector"};
  run.options.planes = 2;
  run.options.image_size = run.image_size;
  const Metadata metadata = to_metadata(run);
  const DenoiserRun back = denoiser_run(metadata, "test");
  EXPECT_EQ(to_metadata(back), metadata);
  EXPECT_EQ(back.planes, run.planes);
  EXPECT_EQ(back.options.attention_resolutions, run.options.attention_resolutions);
  Metadata damaged = metadata;
  EXPECT_FALSE(metadata.contains("network.patch_basis"));
  run.options.patch = 2, run.options.patch_basis = "haar";
  EXPECT_EQ(denoiser_run(to_metadata(run), "test").options.patch_basis, "haar");
  EXPECT_FALSE(metadata.contains("log_snr_shift"));
  run.log_snr_shift = log_snr_shift(64, 96);
  const DenoiserRun shifted = denoiser_run(to_metadata(run), "test");
  EXPECT_EQ(shifted.log_snr_shift, run.log_snr_shift);
  EXPECT_EQ(schedule_of(shifted).betas, make_schedule(run.schedule, run.T, run.log_snr_shift).betas);
  damaged["schedule"] = "square";
  EXPECT_THROW(denoiser_run(damaged, "test"), Error);
  damaged.erase("schedule");
  EXPECT_THROW(denoiser_run(damaged, "test"), Error);
}

}  // namespace
}  // namespace echodiff
