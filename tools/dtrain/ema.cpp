// dtrain ema: averaged weights of any length, after the run, from its snapshots (train/power_ema.h).
#include <cstdio>
#include <memory>
#include <optional>

#include "dtrain/dtrain.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "train/data/loader.h"
#include "train/folder/planes.h"
#include "train/folder/split.h"
#include "train/metadata.h"
#include "train/model_run.h"
#include "train/power_ema.h"
#include "train/validation.h"

namespace echodiff {
namespace {

struct EmaFlags {
  std::string run, data, planes, out, length = "0.1";
  std::optional<int64_t> step;
  int64_t val_count = 64;
};

// What the lengths are compared by: the run's own network and held-out pictures.
struct Measure {
  DenoiserRun run;
  Dataset dataset;
  Loader held_out;
  uint64_t seed;
  int64_t count;

  double loss(const std::vector<NamedTensor>& weights, Device device) const {
    Denoiser network(run.options, 0);
    network.load_state_dict(weights);
    network.to(device);
    network.eval();
    return validate(network, schedule_of(run), run.prediction, held_out, seed, count).loss;
  }
};

std::optional<Measure> open_measure(const EmaFlags& flags, const Metadata& facts, const std::string& path,
                                    const Common& common) {
  if (flags.data.empty()) return std::nullopt;
  DenoiserRun run = denoiser_run(facts, path);
  Dataset data =
      load_dataset({.directory = flags.data, .image_size = run.image_size, .planes = flags.planes, .fit = run.fit});
  order_planes(data, run.planes, flags.run, flags.data);
  if (keeps_split(flags.run)) require_same_split(flags.run, data, flags.data);
  const uint64_t seed = uint64_t(MetadataReader(facts, path, "train it again").integer("seed"));
  Loader held_out(data, "val", seed, AugmentOptions());
  check_input(held_out.size() > 0, Fault::kBadInput, flags.data,
              ": expected held-out pictures (split val), found none");
  note(common, summary_of(data, flags.data));
  return Measure{run, std::move(data), std::move(held_out), seed, flags.val_count};
}

std::string path_of(const EmaFlags& flags, double length) {
  return flags.out.empty() ? concat_message(flags.run, "/ema/length-", number_text(length), ".safetensors") : flags.out;
}

std::vector<double> lengths_of(const EmaFlags& flags) {
  std::vector<double> lengths = parse_numbers(flags.length, "--length");
  for (const double length : lengths) gamma_of_length(length);  // refuses what is none
  check_input(!lengths.empty(), Fault::kUsage, "--length: expected at least one, found none");
  check_input(lengths.size() == 1 || !flags.data.empty(), Fault::kUsage, "--length: ", lengths.size(),
              " lengths are compared on held-out pictures, expected --data DIR");
  return lengths;
}

int make_average(const EmaFlags& flags, const Common& common) {
  const std::vector<double> lengths = lengths_of(flags);
  const std::vector<int64_t> steps = snapshots_of(flags.run);
  check_input(!steps.empty(), Fault::kMissingInput, flags.run,
              ": no snapshots of averages in it; train with --ema-snapshots N");
  const int64_t step = flags.step.value_or(steps.back());
  const SafetensorsFile last = read_snapshot(flags.run, step);
  const std::optional<Measure> measure = open_measure(flags, last.metadata, last.path, common);
  const Device device = parse_device(common.device);
  double least = 0, chosen = lengths.front();
  std::vector<NamedTensor> weights;
  for (const double length : lengths) {
    std::vector<NamedTensor> average = average_of_length(flags.run, length, step);
    const double loss = measure ? measure->loss(average, device) : 0;
    if (measure) std::printf("length %-6s val_loss %s\n", number_text(length).c_str(), number_text(loss).c_str());
    if (!weights.empty() && loss >= least) continue;
    least = loss, chosen = length, weights = std::move(average);
  }
  Metadata metadata = last.metadata;
  metadata["ema_length"] = number_text(chosen);
  const std::string path = path_of(flags, chosen);
  write_file_atomic(path, encode_checkpoint(weights, metadata));
  note(common, concat_message(path, ": length ", chosen, " at step ", step, "; dsample --model takes it"));
  return 0;
}

}  // namespace

void add_ema(Options& program) {
  Options& options = program.subcommand("ema", "Makes averaged weights of any length from a run's snapshots.",
                                        "dtrain ema runs/liver --length 0.05,0.1,0.15 --data data/liver");
  const std::shared_ptr<EmaFlags> flags = std::make_shared<EmaFlags>();
  options.add_positional("run", flags->run, "run directory").required();
  options.add("--length", flags->length,
              "standard deviation of the steps' weights, as a share of the steps so far, 0.01 to 0.28; of several the "
              "one of the least loss on --data's held-out pictures",
              "SHARE,...");
  options.add("--step", flags->step, "of the snapshot to end at", {1, 1'000'000'000}, "steps", "the last one");
  options.add("--data", flags->data, "data-set folder of the run", "DIR");
  options.add("--planes", flags->planes, "mask planes, in place of dataset.json", "NAME=VALUE,...", "as dataset.json");
  options.add("--val-count", flags->val_count, "held-out pictures to use, each at ten noise levels", {1, 1'000'000},
              "pictures");
  options.add("--out", flags->out, "file to write", "FILE", "RUN/ema/length-LENGTH.safetensors");
  options.rule([flags] { lengths_of(*flags); });
  options.runs_on_cuda();
  options.body([flags](const Common& common) { return make_average(*flags, common); });
}

}  // namespace echodiff
