// Sampling on the device: trajectories live there, draw their noise there and are the CPU's; the host waits where a
// picture is looked at and nowhere else; the network's call is one graph.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cuda/fake/fake_cuda.h"
#include "kernels/cuda/backend.h"
#include "nn/denoiser.h"
#include "quality/sampling/network.h"
#include "quality/sampling/policy/none.h"
#include "quality/sampling/sampler.h"
#include "tensor/ops.h"
#include "train/data/grid.h"
#include "train/model_run.h"

namespace echodiff {
namespace {

constexpr int64_t kSize = 8;

LoadedDenoiser tiny_run(Device device) {
  DenoiserOptions options;
  options.dim = 8;
  options.mults = {1, 2};
  options.planes = 2;
  options.image_size = kSize;
  options.patch = 2;
  options.patch_basis = "haar";  // whose matrices a captured graph reads too
  LoadedDenoiser run{DenoiserRun(), Denoiser(options, 3), 0, "", ""};
  run.options = options;
  run.network.eval();
  run.network.to(device);
  return run;
}

SamplerJob job_of(const SamplerOptions& options, double guidance) {
  SamplerJob job;
  job.plan = make_plan(make_schedule(ScheduleKind::linear, 40), options);
  job.policy = none_policy();
  for (int64_t i = 0; i < 3; ++i) job.conditions.push_back(sigmoid(normal_rows({1, 2, kSize, kSize}, 8, {i}, {0})));
  job.noise = default_noise(7);
  job.count = 3;
  job.batch = 2;
  job.guidance = guidance;
  return job;
}

struct Outcome {
  std::vector<GrayImage> images;
  SamplerTotals totals;
  int64_t waits = 0, launches = 0;  // cudaStreamSynchronize, cudaGraphLaunch
};
Outcome sampled(SamplerJob job, Device device) {
  fake_cuda::reset();
  Outcome outcome;
  {
    const LoadedDenoiser run = tiny_run(device);
    job.device = device;
    SamplerHooks hooks;
    hooks.on_record = [&](const SampleRecord& record) { outcome.images.push_back(record.image); };
    outcome.totals = run_sampler(job, network_of(run, device), {}, hooks);
  }
  for (const std::string& name : fake_cuda::call_names()) {
    outcome.waits += name == "cudaStreamSynchronize" ? 1 : 0;
    outcome.launches += name == "cudaGraphLaunch" ? 1 : 0;
  }
  cuda::close_context();
  EXPECT_EQ(fake_cuda::live_allocations(), 0);
  EXPECT_EQ(fake_cuda::live_objects(), 0);
  for (const std::string& each : fake_cuda::misuses()) ADD_FAILURE() << each;
  return outcome;
}

struct Kind {
  const char* name;
  SamplerOptions options;
  double guidance;
};

TEST(DeviceSampling, TrajectoriesAreTheCpus) {
  const std::vector<Kind> kinds{{"ddpm", {.sampler = "ddpm", .steps = 6}, 1},
                                {"ddim, guided", {.sampler = "ddim", .steps = 4, .eta = 0.5}, 2},
                                {"dpmpp", {.sampler = "dpmpp", .steps = 4, .clip = true}, 1}};
  for (const Kind& kind : kinds) {
    SCOPED_TRACE(kind.name);
    const SamplerJob job = job_of(kind.options, kind.guidance);
    const Outcome here = sampled(job, Device::kCpu), there = sampled(job, Device::kCuda);
    EXPECT_EQ(there.totals.unet_calls, here.totals.unet_calls);
    ASSERT_EQ(there.images.size(), 3u);
    for (size_t n = 0; n < 3; ++n)
      for (size_t i = 0; i < here.images[n].pixels.size(); ++i)
        EXPECT_LE(std::abs(int(here.images[n].pixels[i]) - int(there.images[n].pixels[i])), 1) << n << ", " << i;
    EXPECT_NE(here.images[0].pixels, here.images[1].pixels);
    // Two trajectories step together, the third alone: a graph for each.
    const int64_t calls = kind.guidance == 1 ? job.plan.count() : 2 * job.plan.count();
    if (!fake_cuda::is_faked()) continue;
    EXPECT_EQ(there.launches, 2 * calls - 2);
    // Where pictures are finished, and once before the context is closed.
    EXPECT_LE(there.waits, 2 + 1);
  }
}

TEST(DeviceSampling, NoiseThatIsGivenArrives) {
  SamplerJob job = job_of({.sampler = "ddpm", .steps = 3}, 1);
  const Outcome drawn_there = sampled(job, Device::kCuda);
  job.noise.seed.reset();
  const Outcome given = sampled(job, Device::kCuda);
  for (size_t n = 0; n < 3; ++n)
    for (size_t i = 0; i < given.images[n].pixels.size(); ++i)
      EXPECT_LE(std::abs(int(given.images[n].pixels[i]) - int(drawn_there.images[n].pixels[i])), 1) << n << ", " << i;
}

TEST(DeviceSampling, ANetworkThatAnswersNanIsFound) {
  fake_cuda::reset();
  SamplerJob job = job_of({.sampler = "ddim", .steps = 2}, 1);
  job.device = Device::kCuda;
  const Network broken = [](const Tensor& x, const Tensor&, const Tensor&) { return affine(x, std::nan(""), 0); };
  EXPECT_THROW(run_sampler(job, broken, {}, {}), Error);
  job = {};
  cuda::close_context();
}

TEST(DeviceSampling, TheTrainersGridIsTheCpus) {
  fake_cuda::reset();
  {
    const LoadedDenoiser here = tiny_run(Device::kCpu), there = tiny_run(Device::kCuda);
    const Tensor masks = sigmoid(normal_rows({2, 2, kSize, kSize}, 8, {0, 1}, {0, 0}));
    const Schedule schedule = make_schedule(ScheduleKind::linear, 40);
    const Tensor a = sample_grid(here.network, schedule, Prediction::eps, masks, 5, 4),
                 b = sample_grid(there.network, schedule, Prediction::eps, masks.to(Device::kCuda), 5, 4);
    ASSERT_EQ(b.device(), Device::kCpu);
    for (int64_t i = 0; i < a.count(); ++i) EXPECT_NEAR(a.data<float>()[i], b.data<float>()[i], 1e-3) << i;
  }
  cuda::close_context();
}

}  // namespace
}  // namespace echodiff
