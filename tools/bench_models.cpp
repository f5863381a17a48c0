// bench_models: the networks' forward pass and train step in ms and GFLOP/s, beside what this machine's cores can do at
// most (one register tile on operands in the first-level cache). Prints a Markdown table; --profile adds a table by op.
#include <cstdio>
#include <iostream>
#include <map>

#include "bench_timing.h"
#include "cli.h"
#include "nn/denoiser.h"
#include "nn/resnet18.h"
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
  bool profile = false, forward_only = false;
};

// Multiply-adds of the products, counted as two operations each; everything else is left out.
class FlopCounter : public Observer {
 public:
  void forward(const char* op, const std::vector<Tensor>& inputs, const Tensor& output) override {
    const std::string name = op;
    if (name == "conv2d" || name == "linear") flops_ += 2.0 * double(output.count()) * double(inputs[1].count() / inputs[1].dim(0));
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

int measure(const Settings& settings, const Bench& bench) {
  const double peak = peak_gflops();
  std::printf("%s, peak %.0f GFLOP/s\n\n", machine().c_str(), peak);
  std::printf("| work | ms | GFLOP | GFLOP/s | of peak |\n|---|---|---|---|---|\n");
  const auto row = [&](const std::string& name, double flops, const std::function<void()>& work) {
    const double seconds = median_seconds(settings.repeats, work);
    std::printf("| %s | %.1f | %.2f | %.0f | %.0f %% |\n", name.c_str(), 1e3 * seconds, flops * 1e-9, flops / seconds * 1e-9,
                100 * flops / seconds * 1e-9 / peak);
  };
  const std::string name = settings.net + " " + std::to_string(settings.size) + "x" + std::to_string(settings.size) + ", dim " +
                           std::to_string(settings.dim);
  bench.train(false);
  double per_image = 0;
  {
    const NoGrad no_grad;
    FlopCounter counter;
    bench.forward(1);
    per_image = counter.flops();
  }
  for (int64_t batch : {int64_t(1), settings.forward_batch}) {
    const NoGrad no_grad;
    row(name + ": forward, batch " + std::to_string(batch), per_image * double(batch), [&] { bench.forward(batch); });
  }
  const auto profile_forward = [&] {
    const NoGrad no_grad;
    OpTimer timer;
    bench.forward(settings.forward_batch);
    timer.print(std::cout << "\nforward, batch " << settings.forward_batch << "\n");
  };
  if (settings.forward_only) {
    if (settings.profile) profile_forward();
    return 0;
  }
  bench.train(true);
  Adam adam(bench.parameters, {});
  const std::function<void()> step = [&] {
    adam.zero_grad();
    const Tensor y = bench.forward(settings.train_batch);
    mse_loss(y, zeros(y.shape())).backward();
    adam.step(1e-6);
  };
  row(name + ": train step, batch " + std::to_string(settings.train_batch), 3 * per_image * double(settings.train_batch), step);
  if (settings.profile) {
    bench.train(false);
    profile_forward();
    bench.train(true);
    OpTimer timer;
    step();
    timer.print(std::cout << "\ntrain step\n");
  }
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
                              return network(images(batch, 1), zeros({batch}, DType::i64), images(batch, options.planes));
                            }});
}

}  // namespace
}  // namespace echodiff

int main(int argc, char** argv) {
  using namespace echodiff;
  Settings settings;
  return run_program(argc, argv, {"bench_models", "Times the networks on this machine.", "bench_models --size 32 --dim 32 --profile"},
                     [&](Options& options) {
                       options.add_choice("--net", settings.net, "which network", {"unet", "resnet18"});
                       options.add_choice("--arch", settings.arch, "which U-Net", {"lucidrains", "lucidrains1", "guided"});
                       options.add("--blocks", settings.blocks, "residual blocks per level; lucidrains has 2", {1, 8}, "blocks");
                       options.add("--size", settings.size, "side of the pictures", {8, 1024}, "pixels");
                       options.add("--dim", settings.dim, "width of the first level", {1, 1024}, "channels");
                       options.add("--mults", settings.mults, "width of each level, as multiples of --dim", "N,N,..");
                       options.add("--forward-batch", settings.forward_batch, "pictures of the larger forward pass", {1, 256}, "pictures");
                       options.add("--train-batch", settings.train_batch, "pictures of a train step", {1, 256}, "pictures");
                       options.add("--repeats", settings.repeats, "timed repetitions; the median counts", {1, 1000}, "runs");
                       options.add_flag("--forward-only", settings.forward_only, "no train step");
                       options.add_flag("--profile", settings.profile, "print one forward pass and one train step by op");
                       options.body([&](const Common& common) { return run(settings, common); });
                     });
}
