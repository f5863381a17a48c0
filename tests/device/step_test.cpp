// One training step on the device: nobody waits in it, and each of its calls to CUDA may fail.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "cuda/fake/fake_cuda.h"
#include "diffusion/diffusion.h"
#include "kernels/cuda/backend.h"
#include "nn/denoiser.h"
#include "tensor/observe.h"
#include "tensor/ops.h"
#include "train/checkpoint.h"
#include "train/draws.h"
#include "train/ema.h"
#include "train/optimizer.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

// Everything that dtrain diffusion has on the device.
struct Training {
  Schedule schedule = make_schedule(ScheduleKind::linear, 50);
  Denoiser network, averaged;
  std::optional<Adam> adam;
  std::optional<Ema> ema;
  Tensor loss, norm;

  Training() : network(options(), 1), averaged(options(), 1) {
    network.to(Device::kCuda);
    averaged.to(Device::kCuda);
    adam.emplace(network.parameters(), AdamOptions());
    ema.emplace(network.state_dict(), averaged.state_dict(), EmaOptions());
  }
  static DenoiserOptions options() {
    DenoiserOptions options;
    options.dim = 8;
    options.mults = {1, 2};
    options.planes = 1;
    options.image_size = 8;
    options.dropout = 0.1;
    return options;
  }
  void step(int64_t n) {
    const Tensor x_0 = full({2, 1, 8, 8}, 0.5).to(Device::kCuda), masks = full({2, 1, 8, 8}, 1).to(Device::kCuda);
    const Tensor t = draw_times(1, Draw::time, 2 * n, 2, schedule.T);
    const Tensor noise = draw_noise(1, Draw::noise, 2 * n, x_0.shape(), Device::kCuda);
    adam->zero_grad();
    const Tensor output = network(q_sample(schedule, x_0, t, noise), t, masks);
    loss = diffusion_loss(schedule, Prediction::eps, output, noise, t);
    loss.backward();
    norm = clip_grad_norm(network.parameters(), 1.0);
    adam->step(1e-3);
    ema->update();
  }
};

TEST(DeviceStep, TheHostWaitsForNothingUntilItReads) {
  fake_cuda::reset();
  {
    Training training;
    training.step(0);
    const SyncCounter counter;
    training.step(1);
    training.step(2);
    EXPECT_EQ(counter.total(), 0) << (counter.entries().empty() ? "" : counter.entries().begin()->first);
    EXPECT_GT(training.loss.item(), 0);
    EXPECT_EQ(counter.total(), 1);
    EXPECT_TRUE(training.adam->finite());
    EXPECT_GT(training.norm.item(), 0);
  }
  cuda::close_context();
  EXPECT_EQ(fake_cuda::live_allocations(), 0);
  EXPECT_EQ(fake_cuda::live_objects(), 0);
  EXPECT_EQ(fake_cuda::misuses(), std::vector<std::string>());
}

TEST(DeviceStep, TwoStepsEqualTheCpus) {
  fake_cuda::reset();
  std::vector<double> there, here;
  {
    Training training;
    for (int64_t n = 0; n < 2; ++n) {
      training.step(n);
      there.push_back(training.loss.item());
      there.push_back(training.norm.item());
    }
    training.network.to(Device::kCpu);
    const Tensor x = draw_noise(2, Draw::noise, 0, {2, 1, 8, 8}), masks = full({2, 1, 8, 8}, 1),
                 t = from_indices({3, 40});
    training.network.eval();
    here = training.network(x, t, masks).to_vector();
    training.network.to(Device::kCuda);
    const std::vector<double> again = training.network(x.to(Device::kCuda), t, masks.to(Device::kCuda)).to_vector();
    for (size_t i = 0; i < here.size(); ++i) EXPECT_NEAR(again[i], here[i], 1e-5 * (1 + std::abs(here[i])));
  }
  for (const double value : there) EXPECT_TRUE(std::isfinite(value));
  cuda::close_context();
}

bool only_releases(const std::string& call) {
  return call.find("Free") != std::string::npos || call.find("Destroy") != std::string::npos;
}

// Network, two steps and their numbers, with the k-th call failing. The error's fault, if there was one.
std::optional<Fault> with_failure(int64_t k, fake_cuda::Failure how, const fs::path& run) {
  fake_cuda::reset();
  if (k > 0) fake_cuda::fail_call(k, how);
  std::optional<Fault> fault;
  {
    std::optional<Training> training;
    try {
      training.emplace();
      training->step(0);
      training->loss.item();
      if (!training->adam->finite()) return Fault::kInternal;
    } catch (const Error& error) {
      fault = error.fault();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      if (how == fake_cuda::Failure::sticky && training) {
        EXPECT_THROW(save_checkpoint(run.string(), 1, training->network.state_dict(), {}, 1), Error) << k;
        EXPECT_FALSE(fs::exists(run / "checkpoints")) << k;
      }
    }
  }
  return fault;
}

TEST(DeviceStep, EachCallMayFail) {
  const fs::path run = fs::temp_directory_path() / "echodiff_device_failures";
  fs::remove_all(run);
  EXPECT_EQ(with_failure(0, fake_cuda::Failure::memory, run), std::nullopt);
  cuda::close_context();
  const std::vector<std::string> names = fake_cuda::call_names();
  ASSERT_GT(names.size(), 300u);
  // Every call until the step has begun, then every 61st, for they repeat; of each kind its first and its last.
  std::map<std::string, std::pair<size_t, size_t>> ends;
  for (size_t k = 1; k <= names.size(); ++k) ends.try_emplace(names[k - 1], k, k).first->second.second = k;
  std::set<size_t> failing;
  for (size_t k = 1; k <= names.size(); k += k < 60 ? 1 : 61) failing.insert(k);
  for (const auto& [name, at] : ends) failing.insert({at.first, at.second});
  for (const fake_cuda::Failure how : {fake_cuda::Failure::memory, fake_cuda::Failure::sticky}) {
    for (const size_t k : failing) {
      const std::string& name = names[k - 1];
      const std::optional<Fault> fault = with_failure(int64_t(k), how, run);
      try {
        cuda::close_context();
      } catch (const Error&) {
        ADD_FAILURE() << "call " << k << ", " << name << ": memory is still in use";
      }
      if (how == fake_cuda::Failure::sticky) {
        EXPECT_TRUE(fault == Fault::kInternal || only_releases(name)) << "call " << k << ", " << name;
        continue;
      }
      // The allocator asks once more after giving back what it has cached.
      const bool harmless = only_releases(name) || name == "cudaMalloc";
      EXPECT_TRUE(fault.has_value() || harmless) << "call " << k << ", " << name;
      EXPECT_EQ(fake_cuda::live_allocations(), 0) << "call " << k << ", " << name;
      EXPECT_EQ(fake_cuda::live_objects(), 0) << "call " << k << ", " << name;
    }
  }
  fake_cuda::reset();
}

TEST(DeviceTensor, MixedDevicesAreOneClearError) {
  fake_cuda::reset();
  {
    const Tensor a = full({2, 3}, 1), b = a.to(Device::kCuda);
    for (const auto& [left, right] : {std::pair(a, b), std::pair(b, a)}) {
      try {
        add(left, right);
        ADD_FAILURE() << "no error";
      } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("one device"), std::string::npos) << error.what();
      }
    }
    EXPECT_THROW(b.data<float>(), Error);
    EXPECT_EQ(b.to_vector(), a.to_vector());
    EXPECT_EQ(b.clone().to_vector(), a.to_vector());
  }
  cuda::close_context();
}

}  // namespace
}  // namespace echodiff
