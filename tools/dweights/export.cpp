// dweights export: a run's weights under PyTorch's own names, for load_state_dict(strict=True).
#include <filesystem>

#include "dweights/dweights.h"
#include "nn/torch_import/maps.h"
#include "quality/judges/scorer.h"
#include "tensor/io/file.h"
#include "train/best_checkpoint.h"
#include "train/checkpoint.h"
#include "train/model_run.h"
#include "train/run_checkpoint.h"

namespace echodiff {
namespace {

const Metadata kFormat{{"format", "pt"}};  // what the readers of Hugging Face ask for

// As --as calls the network of a run.
std::string name_of(const DenoiserOptions& net) {
  if (net.architecture == "diffusers") return "diffusers";
  if (net.architecture == "guided") return net.condition == "spade" ? "sdm" : "guided-diffusion";
  return "lucidrains";
}

void require_as(const ExportCommand& flags, const std::string& own) {
  check_input(flags.as.empty() || flags.as == own, Fault::kUsage, "--as: the network of ", flags.run, " is of ", own,
              ", whose weights don't fit ", flags.as, "; leave it out");
}

int export_run(const ExportCommand& flags, const Common& common) {
  const std::string path = averaged_checkpoint(flags.run, flags.part != "model" && flags.best == "on");
  check_input(!path.empty(), Fault::kMissingInput, flags.run,
              ": holds no checkpoint; give a run directory or a checkpoint");
  const SafetensorsFile file = read_checkpoint(path);
  const auto kind = file.metadata.find("kind");
  if (const std::string best = said_of_best(flags.run, file); !best.empty()) note(common, best);
  StateDict weights = with_prefix(file.tensors, "ema.");
  const bool averaged = !weights.empty() || file.metadata.contains(kValidationLoss);
  check_input(flags.part != "ema" || averaged, Fault::kBadInput, path, ": expected a moving average, found none");
  if (flags.part == "model" || weights.empty()) weights = raw_weights(file.tensors);
  std::string target = flags.out;
  if (kind != file.metadata.end() && kind->second == "scorer") {
    require_as(flags, "resnet18");
  } else {
    const DenoiserRun run = denoiser_run(file.metadata, path);
    require_as(flags, name_of(run.options));
    weights = Denoiser::without_labels(run.options, std::move(weights));
    if (run.options.architecture == "diffusers" && !flags.out.ends_with(".safetensors")) {
      make_directories(flags.out);
      write_file_atomic(flags.out + "/config.json", diffusers_config_text(run.options, run.image_size));
      target = flags.out + "/diffusion_pytorch_model.safetensors";
    }
  }
  std::vector<StoredType> types;
  for (NamedTensor& weight : weights) {
    types.push_back(stored_as(weight.tensor.dtype()));
    if (flags.dtype == "f32" || weight.tensor.dtype() != DType::f32) continue;
    types.back() = flags.dtype == "f16" ? StoredType::f16 : StoredType::bf16;
    weight.tensor = nearest_stored(weight.tensor, types.back(), path + ": " + weight.name);
  }
  write_safetensors(target, weights, types, kFormat);
  note(common, concat_message(target, ": ", weights.size(), " tensors"));
  return 0;
}

}  // namespace

void ExportCommand::declare(Options& root) {
  Options& options = root.subcommand("export", "Writes a run's weights under PyTorch's names.",
                                     "dweights export RUN --out weights.safetensors");
  options.add_positional("run", run, "run directory, or one checkpoint").required();
  options
      .add("--out", out,
           "file to write; for diffusers a name without .safetensors is a folder of config.json and weights",
           "FILE.safetensors")
      .required();
  options.add_choice("--as", as, "whose names: there is one for each network",
                     {"resnet18", "lucidrains", "guided-diffusion", "sdm", "diffusers"}, "the network's own");
  options.add_choice("--dtype", dtype, "type of the elements; f16, bf16: rounded to the nearest",
                     {"f32", "f16", "bf16"});
  options.add_choice("--part", part, "weights to write", {"model", "ema"}, "ema where the run has it");
  declare_best(options, best);
  options.body([this](const Common& common) { return export_run(*this, common); });
}

}  // namespace echodiff
