// Which of cuDNN's plans runs, and where there is none.
#include <cudnn.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cuda/close_values.h"
#include "cuda/fake_device.h"
#include "kernels/conv2d.h"
#include "kernels/cuda/context.h"
#include "kernels/error.h"

namespace echodiff::cuda {
namespace {

class FakePlans : public FakeDevice {};
TEST_F(FakePlans, WithoutAPlanNamesShapesTypeAndVersion) {
  ContextOptions options;
  options.deterministic = true;
  options.workspace_limit = 16;  // less than any engine that is left asks for
  open_context(options);
  const Conv2dGeometry g{2, 3, 7, 5, 4, 3, 3, 7, 5, 1, 1, 1, 1, 1, 1, 1};
  const DeviceBuffer data = to_device(std::vector<float>(4096));
  float* values = static_cast<float*>(data.data());
  try {
    conv2d_forward<float>(g, values, values + 512, nullptr, values + 1024, context());
    FAIL() << "no plan is within the limit";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kInternal);
    for (const char* part : {"forward f32 x (2, 3, 7, 5) w (4, 3, 3, 3)", "cudnn 9", "workspace"})
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

// How many of the calls so far were of that name.
int64_t count_calls(const std::string& name) {
  const std::vector<std::string>& names = fake_cuda::call_names();
  return std::count(names.begin(), names.end(), name);
}

TEST_F(FakePlans, AutotuneTimesPlansOnceAndKeepsTheChoiceOnDisk) {
  const std::string folder = testing::TempDir() + "plans." + std::to_string(getpid());
  std::filesystem::create_directory(folder);
  ContextOptions options;
  options.autotune = true;
  options.plan_folder = folder;
  const Conv2dGeometry g{2, 3, 7, 5, 4, 3, 3, 7, 5, 1, 1, 1, 1, 1, 1, 1};
  const std::vector<float> x = normal(g.N * g.H * g.W * g.C, 1), w = normal(g.K * 27, 2);
  std::vector<float> y(size_t(2 * 7 * 5 * 4), 0.0f);
  cpu::conv2d_forward(g, x.data(), w.data(), nullptr, y.data());
  const auto run = [&] {
    const DeviceBuffer on_x = to_device(x), on_w = to_device(w), on_y = allocate(y.size() * 4, "y");
    conv2d_forward<float>(g, static_cast<const float*>(on_x.data()), static_cast<const float*>(on_w.data()), nullptr,
                          static_cast<float*>(on_y.data()), context());
    expect_close(to_host<float>(on_y, y.size()), y);
  };
  const auto engine = [&] {
    return context().plan({g, ConvolutionPass::forward, Precision::f32, false}, [](const ConvolutionPlan&) {}).engine;
  };
  open_context(options);
  run();
  EXPECT_EQ(count_calls("cudnnBackendExecute"),
            3 * 4 + 1);    // two plans, each once and three times timed; then for good
  EXPECT_EQ(engine(), 3);  // not the first offered
  run();
  EXPECT_EQ(count_calls("cudnnBackendExecute"), 3 * 4 + 2);
  close_context();

  fake_cuda::reset();
  open_context(options);
  run();
  EXPECT_EQ(count_calls("cudnnBackendExecute"), 1);  // by the choice on disk
  EXPECT_EQ(engine(), 3);
  close_context();

  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    EXPECT_EQ(file.path().filename().string(), "fake_device-cudnn-" + std::to_string(CUDNN_VERSION) + ".plans");
    std::string kept;
    std::getline(std::ifstream(file.path()), kept);
    ASSERT_EQ(kept.substr(0, 12), "1 3 forward ");
    kept[2] = '2';
    std::ofstream(file.path()) << "no line of ours\n" << kept << "\n";
  }
  fake_cuda::reset();
  open_context(options);
  run();
  EXPECT_EQ(count_calls("cudnnBackendExecute"), 3 * 4 + 1);  // another engine stands there: timed again
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace echodiff::cuda
