// cudnn_deviceless DEVICE.json...
// Builds, without a GPU, the plan of every distinct convolution of our networks, by the function that production uses.
// Without arguments it plans for the GPU at hand.
// The geometries are read off the networks themselves. Prints one Markdown table; fails where a plan is refused.
#include <cudnn.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/cudnn_graph.h"
#include "kernels/error.h"
#include "nn/resnet18.h"
#include "nn/unet.h"
#include "tensor/autograd.h"
#include "tensor/observe.h"

namespace {

using namespace echodiff;
using namespace echodiff::cuda;

constexpr int64_t kTrainBatch = 16, kSampleBatch = 64;
constexpr int64_t kMaxWorkspace = int64_t{1} << 30;  // bytes

struct Convolution {
  Conv2dGeometry geo;
  bool bias, needs_dx;
  auto operator<=>(const Convolution&) const = default;
};

// Collects the convolutions of a network. All of ours pad by half the kernel, which is checked against the output.
class ConvolutionsSeen : public Observer {
 public:
  void forward(const char* op, std::span<const Tensor> inputs, const Tensor& y) override {
    if (outer()) outer()->forward(op, inputs, y);
    if (std::string(op) != "conv2d") return;
    const Tensor &x = inputs[0], &w = inputs[1];
    const int64_t kernel = w.dim(2), padding = kernel / 2, stride = (x.dim(2) + y.dim(2) - 1) / y.dim(2);
    check((x.dim(2) + 2 * padding - kernel) / stride + 1 == y.dim(2), "a convolution from ", x.shape(), " to ",
          y.shape(), " that isn't padded by half its kernel");
    seen.insert({{x.dim(0), x.dim(1), x.dim(2), x.dim(3), w.dim(0), kernel, w.dim(3), y.dim(2), y.dim(3), stride,
                  stride, padding, padding, 1, 1, 1},
                 inputs[2].defined(),
                 !first_});
    first_ = false;
  }
  std::set<Convolution> seen;

 private:
  bool first_ = true;  // the network's input needs no gradient
};

template <class Network> std::set<Convolution> convolutions_of(const Network& run) {
  const NoGrad no_grad;
  ConvolutionsSeen observer;
  run();
  return observer.seen;
}

std::set<Convolution> unet_convolutions(int64_t size, std::vector<int64_t> mults) {
  const Unet unet({.dim = 64, .mults = std::move(mults)}, 1);
  return convolutions_of([&] { unet(zeros({1, 4, size, size}), zeros({1}, DType::i64)); });
}

std::set<Convolution> resnet_convolutions() {
  const ResNet18 resnet({}, 1);
  return convolutions_of([&] { resnet(zeros({1, 1, 224, 224})); });
}

// Every graph that training and sampling run, with the networks that need it.
using Problems = std::map<ConvolutionProblem, std::string>;
void add_problems(Problems& problems, const std::string& network, const std::set<Convolution>& convolutions) {
  const auto add = [&](Conv2dGeometry geo, int64_t batch, ConvolutionPass pass, Precision precision, bool bias) {
    geo.N = batch;
    std::string& users = problems[{geo, pass, precision, bias}];
    if (users.find(network) == std::string::npos) users += users.empty() ? network : ", " + network;
  };
  for (const Convolution& each : convolutions) {
    for (const Precision precision : {Precision::bf16, Precision::f32}) {
      add(each.geo, kSampleBatch, ConvolutionPass::forward, precision, each.bias);
      add(each.geo, kTrainBatch, ConvolutionPass::forward, precision, each.bias);
      if (each.needs_dx) add(each.geo, kTrainBatch, ConvolutionPass::backward_data, precision, false);
      add(each.geo, kTrainBatch, ConvolutionPass::backward_weight, precision, false);
    }
  }
}

std::string text_of(const char* path) {
  std::ifstream file(path);
  check_input(file.good(), Fault::kMissingInput, path, ": can't be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

// "engine 42, 12.0 MiB", or why there is none.
std::string plan_cell(const ConvolutionProblem& problem, const Descriptor& device, const PlanOptions& options,
                      int& refused) {
  try {
    const ConvolutionPlan plan = std::move(plan_candidates(problem, device, options, 1)[0]);
    char text[64];
    std::snprintf(text, sizeof text, "engine %lld, %.1f MiB", static_cast<long long>(plan.engine),
                  double(plan.workspace) / (1 << 20));
    return text;
  } catch (const Error& error) {
    ++refused;
    return std::string("REFUSED: ") + error.what();
  }
}

struct PlannedDevice {
  std::string name;
  Descriptor properties;
};
std::vector<PlannedDevice> planned_devices(int count, char** files) {
  std::vector<PlannedDevice> devices;
  for (int i = 1; i < count; ++i) {
    const std::string path = files[i];
    devices.push_back({path.substr(path.find_last_of('/') + 1), device_properties(text_of(files[i]))});
  }
  if (!devices.empty()) return devices;
  cudnnHandle_t handle = nullptr;
  check_cudnn(cudnnCreate(&handle), "opening the device at hand");
  devices.push_back({"this GPU", device_properties(handle)});
  cudnnDestroy(handle);
  return devices;
}

int run(int argc, char** argv) {
  Problems problems;
  add_problems(problems, "U-Net 64", unet_convolutions(64, {1, 2, 4}));
  add_problems(problems, "U-Net 128", unet_convolutions(128, {1, 2, 4, 8}));
  add_problems(problems, "ResNet-18 224", resnet_convolutions());

  const std::vector<PlannedDevice> devices = planned_devices(argc, argv);
  std::string header = "| graph | needed by |", rule = "|---|---|";
  for (const PlannedDevice& device : devices)
    for (const char* mode : {"", ", deterministic"}) {
      header += " " + device.name + mode + " |";
      rule += "---|";
    }
  const auto start = std::chrono::steady_clock::now();
  std::printf("cuDNN %zu, %s; nothing ran on a device.\n\n%s\n%s\n", cudnnGetVersion(),
              argc > 1 ? "device properties as in the files" : "the device at hand", header.c_str(), rule.c_str());
  int refused = 0;
  for (const auto& [problem, users] : problems) {
    std::string line = "| " + describe(problem) + " | " + users + " |";
    for (const PlannedDevice& device : devices)
      for (const bool deterministic : {false, true})
        line += " " +
                plan_cell(problem, device.properties,
                          {.deterministic = deterministic, .tf32 = false, .workspace_limit = kMaxWorkspace}, refused) +
                " |";
    std::printf("%s\n", line.c_str());
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("\n%zu graphs on %zu devices, %d refused, %.1f s\n", problems.size(), devices.size(), refused, seconds);
  return refused > 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "cudnn_deviceless: %s\n", error.what());
    return int(error.fault());
  }
}
