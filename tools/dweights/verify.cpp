// dweights verify: a run's network on inputs that PyTorch was given, against what it answered.
#include <cstdio>

#include "dweights/dweights.h"
#include "dweights/networks.h"
#include "kernels/thread_pool.h"
#include "quality/judges/scorer.h"
#include "tensor/io/text.h"
#include "tensor/ops.h"
#include "train/checkpoint.h"
#include "train/model_run.h"
#include "train/run_checkpoint.h"

namespace echodiff {
namespace {

ParityReport report_of(const VerifyCommand& flags, const SafetensorsFile& io, const Common& common) {
  const std::string& run = flags.run;
  const std::string path = run_checkpoint(run);
  check_input(!path.empty(), Fault::kMissingInput, run, ": holds no checkpoint; give a run directory or a checkpoint");
  const SafetensorsFile file = read_checkpoint(path);
  const auto kind = file.metadata.find("kind");
  if (kind != file.metadata.end() && kind->second == "scorer")
    return compare_with(io, [&](const Tensor& x, const Tensor&, bool training) {
      ResNet18Run loaded = load_resnet18_run(run, true);  // afresh: a training pass moves its statistics
      check_input(x.dim(1) == loaded.options.in_channels, Fault::kBadInput, io.path, ": x has ", x.dim(1),
                  " channels, the network takes ", loaded.options.in_channels);
      loaded.network.train(training);
      return loaded.network(x);
    });
  const LoadedDenoiser loaded =
      load_denoiser_run(flags.run, {.ema = flags.part != "model", .best = flags.best == "on"});
  if (!loaded.best.empty()) note(common, loaded.best);
  return compare_with(io, parity_of(loaded.network, io.path));
}

int verify(const VerifyCommand& flags, const Common& common) {
  set_thread_count(int(common.threads));
  const SafetensorsFile io = read_safetensors(flags.against);
  const ParityReport report = report_of(flags, io, common);
  size_t width = 4;
  for (const ParityRow& row : report.rows) width = std::max(width, printable(row.name).size());
  std::printf("%-*s  %-20s  %-10s  relative\n", int(width), "name", "shape", "difference");
  const ParityRow* first = nullptr;
  double largest = 0;
  for (const ParityRow& row : report.rows) {
    const bool beyond = !(row.relative <= flags.tolerance);
    if (beyond && first == nullptr) first = &row;
    largest = std::max(largest, row.difference);
    std::printf("%-*s  %-20s  %-10.3g  %.3g%s\n", int(width), printable(row.name).c_str(),
                concat_message(row.shape).c_str(), row.difference, row.relative, beyond ? "  beyond" : "");
  }
  if (!report.unknown.empty()) {
    std::string names;
    for (const std::string& name : report.unknown) names += (names.empty() ? "" : ", ") + name;
    std::printf("not compared, ours has no output of that name: %s\n", printable(names).c_str());
  }
  std::printf("largest difference %.3g, relative %.3g, tolerance %.3g: %s\n", largest, report.worst(), flags.tolerance,
              first == nullptr ? "equal" : ("not equal, first at " + printable(first->name)).c_str());
  return first == nullptr ? 0 : 1;
}

}  // namespace

void VerifyCommand::declare(Options& root) {
  Options& options =
      root.subcommand("verify", "Compares a run's outputs with PyTorch's; exit code 1 beyond the tolerance.",
                      "dweights verify RUN --against io.safetensors");
  options.add_positional("run", run, "run directory, or one checkpoint").required();
  options
      .add("--against", against,
           "x (N, C, H, W) with the masks as channels, t (N), y or logits, act/NAME; or cases of these under prefixes",
           "FILE.safetensors")
      .required();
  options.add("--tolerance", tolerance, "largest difference over the largest |reference|", {0, 1}, "fraction");
  options.add_choice("--part", part, "weights to run", {"model", "ema"}, "ema where the run has it");
  declare_best(options, best);
  options.body([this](const Common& common) { return verify(*this, common); });
}

}  // namespace echodiff
