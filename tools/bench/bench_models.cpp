// bench_models: the networks' forward pass and train step in ms and GFLOP/s, beside what this machine's cores can do at
// most (one register tile on operands in the first-level cache). Prints a Markdown table; --profile adds a table by op.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include "bench/timing.h"
#include "cli/cli.h"
#include "nn/denoiser.h"
#include "nn/resnet18.h"
#include "tensor/io/text.h"
#include "tensor/observe.h"
#include "tensor/ops.h"
#include "train/draws.h"
#include "train/model_run.h"
#include "train/optimizer.h"

namespace echodiff {
namespace {

struct Settings {
  std::string net = "unet", arch = "lucidrains", mults = "1,2,4";
  int64_t size = 64, dim = 64, forward_batch = 4, train_batch = 8, repeats = 7, blocks = 2;
  bool profile = false, forward_only = false, train_only = false, json = false;
};

// Multiply-adds of the products, counted as two operations each; everything else is left out.
class FlopCounter : public Observer {
 public:
  void forward(const char* op, std::span<const Tensor> inputs, const Tensor& output) override {
    const std::string name = op;
    if (name == "conv2d" || name == "linear")
      flops_ += 2.0 * double(output.count()) * double(inputs[1].count() / inputs[1].dim(0));
    if (name == "attention") {
      const bool joined = inputs.size() == 2;  // qkv and memory, or q, k and v
      const int64_t keys = joined ? inputs[0].dim(1) + (inputs[1] ? inputs[1].dim(1) : 0) : inputs[1].dim(1);
      flops_ += 4.0 * double(output.count()) * double(keys);
    }
  }
  double flops() const { return flops_; }

 private:
  double flops_ = 0;
};

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
    const double seconds = median_seconds(settings_.repeats, work);
    if (settings_.json) {
      std::printf("{\"what\": \"%s\", \"batch\": %ld, \"ms\": %.4f, \"gflops\": %.2f}\n", what, long(batch),
                  1e3 * seconds, flops / seconds * 1e-9);
      return;
    }
    std::string name = what;
    std::replace(name.begin(), name.end(), '_', ' ');
    std::printf("| %s %ldx%ld, dim %ld: %s, batch %ld | %.1f | %.2f | %.0f | %.0f %% |\n", settings_.net.c_str(),
                long(settings_.size), long(settings_.size), long(settings_.dim), name.c_str(), long(batch),
                1e3 * seconds, flops * 1e-9, flops / seconds * 1e-9, 100 * flops / seconds * 1e-9 / peak_);
  }
  void profile(const char* what, const OpTimer& timer) const {
    if (!settings_.json) return timer.print(std::cout << "\n" << what << "\n");
    for (const auto& [op, entry] : timer.entries())
      std::printf("{\"op\": \"%s\", \"ms\": %.4f}\n", op.c_str(), 1e3 * entry.seconds);
  }
  void memory(double mib) const {
    std::printf(settings_.json ? "{\"mib\": %.1f}\n" : "\npeak memory over that before the first pass: %.0f MiB\n",
                mib);
  }

 private:
  const Settings& settings_;
  double peak_;
};

void measure_forward(const Settings& settings, const Bench& bench, const Table& table, double per_image) {
  const NoGrad no_grad;
  bench.train(false);
  for (int64_t batch : std::set<int64_t>{1, settings.forward_batch})
    table.time("forward", batch, per_image * double(batch), [&] { bench.forward(batch); });
  if (!settings.profile) return;
  OpTimer timer;
  bench.forward(settings.forward_batch);
  table.profile("forward", timer);
}

void measure_training(const Settings& settings, const Bench& bench, const Table& table, double per_image) {
  bench.train(true);
  Adam adam(bench.parameters, {});
  const std::function<void()> step = [&] {
    adam.zero_grad();
    const Tensor y = bench.forward(settings.train_batch);
    mse_loss(y, zeros(y.shape())).backward();
    adam.step(1e-6);
  };
  table.time("train_step", settings.train_batch, 3 * per_image * double(settings.train_batch), step);
  if (!settings.profile) return;
  OpTimer timer;
  step();
  table.profile("train step", timer);
}

int measure(const Settings& settings, const Bench& bench) {
  const Table table(settings, peak_gflops());
  std::ofstream("/proc/self/clear_refs") << "5";  // the most since now
  const double before = resident_mib("VmRSS");
  double per_image = 0;
  {
    const NoGrad no_grad;
    FlopCounter counter;
    bench.train(false);
    bench.forward(1);
    per_image = counter.flops();
  }
  if (!settings.train_only) measure_forward(settings, bench, table, per_image);
  if (!settings.forward_only) measure_training(settings, bench, table, per_image);
  table.memory(resident_mib("VmHWM") - before);
  return 0;
}

int run(const Settings& settings, const Common& common) {
  std::map<std::pair<int64_t, int64_t>, Tensor> drawn;  // by batch and channels: drawing is not what is timed
  const auto images = [&](int64_t batch, int64_t channels) {
    Tensor& made = drawn[{batch, channels}];
    if (!made) made = draw_noise(common.seed, Draw::noise, 0, {batch, channels, settings.size, settings.size});
    return made;
  };
  if (settings.net == "resnet18") {
    ResNet18 network({.in_channels = 3, .width = settings.dim}, common.seed);
    return measure(settings, {network.parameters(), [&](int64_t batch) { return network(images(batch, 3)); },
                              [&](bool training) { network.train(training); }});
  }
  DenoiserOptions options;
  options.architecture = settings.arch;
  options.blocks = settings.blocks;
  options.dim = settings.dim;
  options.mults = parse_integers(settings.mults, "--mults");
  options.image_size = settings.size;
  Denoiser network(options, common.seed);
  return measure(settings, {network.parameters(), [&](int64_t batch) {
                              return network(images(batch, 1), zeros({batch}, DType::i64),
                                             images(batch, options.planes));
                            }});
}

}  // namespace
}  // namespace echodiff

int main(int argc, char** argv) {
  using namespace echodiff;
  Settings settings;
  return run_program(
      argc, argv, {"bench_models", "Times the networks on this machine.", "bench_models --size 32 --dim 32 --profile"},
      [&](Options& options) {
        options.add_choice("--net", settings.net, "which network", {"unet", "resnet18"});
        options.add_choice("--arch", settings.arch, "which U-Net", {"lucidrains", "lucidrains1", "guided"});
        options.add("--blocks", settings.blocks, "residual blocks per level; lucidrains has 2", {1, 8}, "blocks");
        options.add("--size", settings.size, "side of the pictures", {8, 1024}, "pixels");
        options.add("--dim", settings.dim, "width of the first level", {1, 1024}, "channels");
        options.add("--mults", settings.mults, "width of each level, as multiples of --dim", "N,N,..");
        options.add("--forward-batch", settings.forward_batch, "pictures of the larger forward pass", {1, 256},
                    "pictures");
        options.add("--train-batch", settings.train_batch, "pictures of a train step", {1, 256}, "pictures");
        options.add("--repeats", settings.repeats, "timed repetitions; the median counts", {1, 1000}, "runs");
        options.add_flag("--forward-only", settings.forward_only, "no train step");
        options.add_flag("--train-only", settings.train_only, "no timed forward passes");
        options.add_flag("--json", settings.json, "one JSON object a line, for programs to read");
        options.add_flag("--profile", settings.profile, "print one forward pass and one train step by op");
        options.body([&](const Common& common) { return run(settings, common); });
      });
}
