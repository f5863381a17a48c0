// bench_models: the networks' forward pass and train step in ms and GFLOP/s, beside what this machine can do at most:
// on the CPU one register tile on operands in the first-level cache, on a GPU one large product. Prints a Markdown
// table; --profile adds a table by op and by class of op.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include "bench/device_work.h"
#include "bench/op_costs.h"
#include "bench/timing.h"
#include "cli/cli.h"
#include "nn/denoiser.h"
#include "nn/resnet18.h"
#include "tensor/io/text.h"
#include "tensor/ops.h"
#include "train/draws.h"
#include "train/model_run.h"
#include "train/optimizer.h"

namespace echodiff {
namespace {

struct Settings {
  std::string net = "unet", arch = "lucidrains", mults = "1,2,4", patch_basis = "shuffle";
  int64_t size = 64, patch = 1, dim = 64, forward_batch = 4, train_batch = 8, repeats = 7, blocks = 2, peak_size = 4096;
  bool profile = false, forward_only = false, train_only = false, json = false, graph = true;
  Device device = Device::kCpu;
  bool bf16 = false;
};

// Operations of one pass.
class OperationCounter : public Observer {
 public:
  void forward(const char* op, std::span<const Tensor> inputs, const Tensor& output) override {
    operations_ += operations_forward(op, inputs, output);
  }
  double operations() const { return operations_; }

 private:
  double operations_ = 0;
};

// GFLOP/s of a product of two (size, size) matrices in what the networks compute in.
double product_gflops(const Settings& settings) {
  const NoGrad no_grad;
  const Tensor drawn = draw_noise(1, Draw::noise, 0, {settings.peak_size, settings.peak_size});
  Tensor x = drawn.to(settings.device), w = drawn.to(settings.device);
  if (settings.bf16) x = cast(x, DType::bf16), w = cast(w, DType::bf16);
  const double seconds = median_seconds(settings.repeats, [&] {
    linear(x, w, Tensor());
    wait_for(settings.device);
  });
  const double side = double(settings.peak_size);
  return 2 * side * side * side / seconds * 1e-9;
}

struct Bench {
  std::vector<NamedTensor> parameters;
  std::function<Tensor(int64_t batch)> forward;
  std::function<void(bool training)> train = [](bool) {};
};

// "VmRSS" (resident now) or "VmHWM" (the most since the last reset) of this process in MiB.
double resident_mib(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key + ":")) return std::stod(line.substr(key.size() + 1)) / 1024;
  return 0;
}

// The rows of the table, or one JSON object a line.
class Table {
 public:
  Table(const Settings& settings, double peak) : settings_(settings), peak_(peak) {
    if (settings.json) {
      std::printf("{\"machine\": \"%s\", \"peak_gflops\": %.1f}\n", machine().c_str(), peak);
      return;
    }
    std::printf("%s, peak %.0f GFLOP/s\n\n", machine().c_str(), peak);
    std::printf("| work | ms | GFLOP | GFLOP/s | of peak |\n|---|---|---|---|---|\n");
  }
  void time(const char* what, int64_t batch, double flops, const std::function<void()>& work) const {
    const double seconds = median_seconds(settings_.repeats, [&] {
      work();
      wait_for(settings_.device);
    });
    if (settings_.json) {
      std::printf("{\"what\": \"%s\", \"batch\": %ld, \"ms\": %.4f, \"gflops\": %.2f, \"of_peak\": %.4f}\n", what,
                  long(batch), 1e3 * seconds, flops / seconds * 1e-9, flops / seconds * 1e-9 / peak_);
      return;
    }
    std::string name = what;
    std::replace(name.begin(), name.end(), '_', ' ');
    std::printf("| %s %ldx%ld, dim %ld: %s, batch %ld | %.1f | %.2f | %.0f | %.0f %% |\n", settings_.net.c_str(),
                long(settings_.size), long(settings_.size), long(settings_.dim), name.c_str(), long(batch),
                1e3 * seconds, flops * 1e-9, flops / seconds * 1e-9, 100 * flops / seconds * 1e-9 / peak_);
  }
  void profile(const char* what, const OpCosts& costs) const {
    if (!settings_.json)
      std::printf("\n%s, waiting for each op\n\n| op | calls | ms | GFLOP/s | GB/s |\n|---|---|---|---|---|\n", what);
    for (const auto& [op, entry] : costs.by_op()) row("op", what, op, entry);
    for (const auto& [name, entry] : costs.by_class()) row("class", what, name, entry);
  }
  void memory(double mib) const {
    std::printf(settings_.json ? "{\"mib\": %.1f}\n" : "\npeak memory over that before the first pass: %.0f MiB\n",
                mib);
  }

 private:
  void row(const char* kind, const char* what, const std::string& name, const OpCosts::Entry& entry) const {
    const double ms = 1e3 * entry.seconds, gflops = entry.operations / entry.seconds * 1e-9,
                 gigabytes = entry.bytes / entry.seconds * 1e-9;
    if (settings_.json)
      std::printf("{\"%s\": \"%s\", \"of\": \"%s\", \"ms\": %.4f, \"gflops\": %.1f, \"gb_per_s\": %.1f}\n", kind,
                  name.c_str(), what, ms, gflops, gigabytes);
    else
      std::printf("| %s%s | %ld | %.2f | %.0f | %.1f |\n", *kind == 'c' ? "all of class " : "", name.c_str(),
                  long(entry.calls), ms, gflops, gigabytes);
  }
  const Settings& settings_;
  double peak_;
};

// The forward pass as sampling does it: on a GPU by one graph, unless told not to.
std::function<void()> denoising(const Settings& settings, const Bench& bench, int64_t batch) {
  const auto kept = std::make_shared<Tensor>();  // a graph writes to it at each launch
  const std::function<void()> forward = [&bench, batch, kept] { *kept = bench.forward(batch); };
  return settings.graph ? captured(settings.device, forward) : forward;
}

void measure_forward(const Settings& settings, const Bench& bench, const Table& table, double per_image) {
  const NoGrad no_grad;
  bench.train(false);
  for (int64_t batch : std::set<int64_t>{1, settings.forward_batch})
    table.time("forward", batch, per_image * double(batch), denoising(settings, bench, batch));
  if (!settings.profile) return;
  OpCosts costs([&] { wait_for(settings.device); });
  bench.forward(settings.forward_batch);
  table.profile("forward", costs);
}

void measure_training(const Settings& settings, const Bench& bench, const Table& table, double per_image) {
  bench.train(true);
  Adam adam(bench.parameters, {});
  Tensor target;
  const std::function<void()> step = [&] {
    adam.zero_grad();
    const Tensor y = bench.forward(settings.train_batch);
    if (!target) target = zeros(y.shape()).to(settings.device);
    mse_loss(y, target).backward();
    adam.step(1e-6);
  };
  table.time("train_step", settings.train_batch, 3 * per_image * double(settings.train_batch), step);
  if (!settings.profile) return;
  OpCosts costs([&] { wait_for(settings.device); });
  step();
  table.profile("train step", costs);
}

int measure(const Settings& settings, const Bench& bench) {
  double per_image = 0;
  {
    const NoGrad no_grad;
    OperationCounter counter;
    bench.train(false);
    bench.forward(1);
    per_image = counter.operations();
  }
  const Table table(settings, settings.device == Device::kCpu ? peak_gflops() : product_gflops(settings));
  std::ofstream("/proc/self/clear_refs") << "5";  // the most since now
  const double before = resident_mib("VmRSS");
  if (!settings.train_only) measure_forward(settings, bench, table, per_image);
  if (!settings.forward_only) measure_training(settings, bench, table, per_image);
  // Of the GPU, or of this process over what it had before the first pass.
  table.memory(settings.device == Device::kCuda ? gpu_peak_mib() : resident_mib("VmHWM") - before);
  return 0;
}

int measure_networks(const Settings& settings, const Common& common) {
  std::map<std::pair<int64_t, int64_t>, Tensor> drawn;  // by batch and channels: drawing is not what is timed
  const auto images = [&](int64_t batch, int64_t channels) {
    Tensor& made = drawn[{batch, channels}];
    if (!made)
      made =
          draw_noise(common.seed, Draw::noise, 0, {batch, channels, settings.size, settings.size}).to(settings.device);
    return made;
  };
  std::map<int64_t, Tensor> times;  // by batch
  const auto first_time = [&](int64_t batch) {
    Tensor& made = times[batch];
    if (!made) made = zeros({batch}, DType::i64).to(settings.device);
    return made;
  };
  if (settings.net == "resnet18") {
    ResNet18 network({.in_channels = 3, .width = settings.dim}, common.seed);
    network.to(settings.device);
    return measure(settings, {network.parameters(), [&](int64_t batch) { return network(images(batch, 3)); },
                              [&](bool training) { network.train(training); }});
  }
  DenoiserOptions options;
  options.architecture = settings.arch;
  options.blocks = settings.blocks;
  options.dim = settings.dim;
  options.mults = parse_integers(settings.mults, "--mults");
  options.image_size = settings.size;
  options.patch = settings.patch;
  options.patch_basis = settings.patch_basis;
  Denoiser network(options, common.seed);
  network.to(settings.device);
  network.use_bf16(settings.bf16);
  return measure(settings, {network.parameters(), [&](int64_t batch) {
                              return network(images(batch, 1), first_time(batch), images(batch, options.planes));
                            }});
}

}  // namespace
}  // namespace echodiff

int main(int argc, char** argv) {
  using namespace echodiff;
  Settings settings;
  std::string graph = "on";
  return run_program(
      argc, argv, {"bench_models", "Times the networks on this machine.", "bench_models --size 32 --dim 32 --profile"},
      [&](Options& options) {
        options.add_choice("--net", settings.net, "which network", {"unet", "resnet18"});
        options.add_choice("--arch", settings.arch, "which U-Net", {"lucidrains", "lucidrains1", "guided"});
        options.add("--blocks", settings.blocks, "residual blocks per level; lucidrains has 2", {1, 8}, "blocks");
        options.add("--size", settings.size, "side of the pictures", {8, 1024}, "pixels");
        options.add("--patch", settings.patch, "squares of so many pixels a side are channels: 1, 2 or 4", {1, 4},
                    "pixels");
        options.add_choice("--patch-basis", settings.patch_basis, "their channels: pixels, or Haar's transform",
                           {"shuffle", "haar"});
        options.add("--dim", settings.dim, "width of the first level", {1, 1024}, "channels");
        options.add("--mults", settings.mults, "width of each level, as multiples of --dim", "N,N,..");
        options.add("--forward-batch", settings.forward_batch, "pictures of the larger forward pass", {1, 256},
                    "pictures");
        options.add("--train-batch", settings.train_batch, "pictures of a train step", {1, 256}, "pictures");
        options.add("--repeats", settings.repeats, "timed repetitions; the median counts", {1, 1000}, "runs");
        options.add_flag("--forward-only", settings.forward_only, "no train step");
        options.add_flag("--train-only", settings.train_only, "no timed forward passes");
        options.add_flag("--json", settings.json, "one JSON object a line, for programs to read");
        options.add_flag("--profile", settings.profile, "print one forward pass and one train step by op and by class");
        options.add("--peak-size", settings.peak_size,
                    "with --device cuda: side of the product that says what it can do", {1, 32768}, "rows");
        options.add_choice("--graph", graph, "with --device cuda: forward passes by one CUDA graph", {"on", "off"});
        options.runs_on_cuda();
        options.body([&](const Common& common) {
          settings.graph = graph == "on";
          settings.device = parse_device(common.device);
          settings.bf16 = common.bf16;
          return measure_networks(settings, common);
        });
      });
}
