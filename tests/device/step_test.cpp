// One training step on the device: nobody waits in it, and each of its calls to CUDA may fail.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

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

  explicit Training(const std::vector<int64_t>& mults = {1, 2})
      : network(options(mults), 1), averaged(options(mults), 1) {
    network.to(Device::kCuda);
    averaged.to(Device::kCuda);
    adam.emplace(network.parameters(), AdamOptions());
    ema.emplace(network.state_dict(), averaged.state_dict(), EmaOptions());
  }
  static DenoiserOptions options(const std::vector<int64_t>& mults) {
    DenoiserOptions options;
    options.dim = 8;
    options.mults = mults;
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

// What must hold after the k-th call has failed, `name`: it was reported, by an error of one line, and nothing is saved
// from a device that is lost.
void expect_reported(const std::optional<Error>& error, const std::string& name, fake_cuda::Failure how,
                     Training* training) {
  const bool sticky = how == fake_cuda::Failure::sticky;
  // Nobody can act on a failed release; the allocator asks once more after giving back what it has cached.
  EXPECT_TRUE(error || only_releases(name) || (name == "cudaMalloc" && !sticky)) << "nobody noticed";
  if (!error) return;
  EXPECT_EQ(error->fault(), sticky ? Fault::kInternal : Fault::kOutOfMemory) << error->what();
  EXPECT_EQ(std::string(error->what()).find('\n'), std::string::npos) << error->what();
  if (!sticky || !training) return;
  const fs::path run = fs::temp_directory_path() / "echodiff_device_failures";
  EXPECT_THROW(save_checkpoint(run.string(), 1, training->network.state_dict(), {}, 1), Error);
  EXPECT_FALSE(fs::exists(run / "checkpoints"));
  fs::remove_all(run);
}

// A step whose numbers are read.
void watched_step(Training& training) {
  training.step(0);
  training.loss.item();
  check(training.adam->finite(), "the step has bad numbers");
}

std::optional<Error> error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

// Every call of a step whose plans are made and whose memory is there. The device is found again after each failure, so
// that the next call is tried on the same training: it must stand as before.
TEST(DeviceStepFailures, EachCallOfAStepMayFail) {
  fake_cuda::reset();
  fake_cuda::stay_idle();
  {
    Training training({1});
    const auto let_go = [&] {
      training.adam->zero_grad();
      training.loss = training.norm = Tensor();
    };
    watched_step(training);
    watched_step(training);
    let_go();
    const size_t in_use = cuda::device_statistics().in_use;
    const int64_t objects = fake_cuda::live_objects();
    fake_cuda::reset();
    fake_cuda::stay_idle();
    watched_step(training);
    const std::vector<std::string> names = fake_cuda::call_names();
    ASSERT_GT(names.size(), 200u);
    for (const fake_cuda::Failure how : {fake_cuda::Failure::memory, fake_cuda::Failure::sticky}) {
      for (size_t k = 1; k <= names.size(); ++k) {
        SCOPED_TRACE("call " + std::to_string(k) + ", " + names[k - 1]);
        fake_cuda::reset();
        fake_cuda::stay_idle();
        fake_cuda::fail_call(int64_t(k), how);
        const std::optional<Error> error = error_of([&] { watched_step(training); });
        expect_reported(error, names[k - 1], how, &training);
        let_go();
        EXPECT_EQ(cuda::device_statistics().in_use, in_use) << "memory of the step is still in use";
        EXPECT_EQ(fake_cuda::live_objects(), objects);
        EXPECT_EQ(fake_cuda::misuses(), std::vector<std::string>());
      }
    }
    fake_cuda::reset();
    fake_cuda::stay_idle();
    EXPECT_EQ(error_of([&] { watched_step(training); }), std::nullopt);
  }
  cuda::close_context();
}

// From the opening of the device over the making of network and plans to the first step: of each kind of call the first
// and the last. (Each call of the planning fails in tests/cuda.)
TEST(DeviceStepFailures, EachKindOfCallOnTheWayMayFail) {
  const auto from_the_start = [](std::optional<Training>& training) {
    training.emplace(std::vector<int64_t>{1});
    watched_step(*training);
  };
  fake_cuda::reset();
  fake_cuda::stay_idle();
  std::vector<std::string> names;  // until the step is done
  {
    std::optional<Training> training;
    from_the_start(training);
    names = fake_cuda::call_names();
  }
  cuda::close_context();
  std::map<std::string, std::set<size_t>> ends;
  for (size_t k = 1; k <= names.size(); ++k) {
    std::set<size_t>& at = ends[names[k - 1]];
    if (at.size() > 1) at.erase(std::prev(at.end()));
    at.insert(k);
  }
  for (const fake_cuda::Failure how : {fake_cuda::Failure::memory, fake_cuda::Failure::sticky}) {
    for (const auto& [name, calls] : ends) {
      for (const size_t k : calls) {
        SCOPED_TRACE("call " + std::to_string(k) + ", " + name);
        fake_cuda::reset();
        fake_cuda::stay_idle();
        fake_cuda::fail_call(int64_t(k), how);
        {
          std::optional<Training> training;
          const std::optional<Error> error = error_of([&] { from_the_start(training); });
          expect_reported(error, name, how, training ? &*training : nullptr);
        }
        EXPECT_NO_THROW(cuda::close_context()) << "memory is still in use";
        EXPECT_EQ(fake_cuda::live_allocations(), 0);
        EXPECT_EQ(fake_cuda::live_objects(), 0);
        EXPECT_EQ(fake_cuda::misuses(), std::vector<std::string>());
      }
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
