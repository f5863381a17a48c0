#include "dtrain/init.h"

#include <cmath>
#include <filesystem>

#include "nn/torch_import/import.h"
#include "tensor/io/text.h"
#include "train/checkpoint.h"

namespace echodiff {
namespace {

constexpr const char* kShapeFlags[] = {"--arch",     "--dim",    "--mults",   "--heads",
                                       "--head-dim", "--blocks", "--dropout", "--attention-resolutions",
                                       "--condition"};

// A checkpoint of ours says so in its metadata; nothing for another file.
std::optional<SafetensorsFile> read_own(const std::string& path) {
  std::error_code ignored;
  const std::string checkpoint = std::filesystem::is_directory(path, ignored) ? latest_checkpoint(path) : path;
  if (!checkpoint.ends_with(".safetensors") || !std::filesystem::is_regular_file(checkpoint, ignored))
    return std::nullopt;
  SafetensorsFile file = read_weights(checkpoint);
  if (!file.metadata.contains("network.architecture")) return std::nullopt;
  return file;
}

template <class T>
void agree(const Common& common, const char* flag, const T& said, const T& found, const std::string& path) {
  check_input(!common.given(flag) || said == found, Fault::kUsage, flag, ": the network in ", path,
              " has another; leave it out to take the file's");
}

}  // namespace

InitialNetwork read_initial_network(const DiffusionFlags& flags, const Common& common) {
  const std::string& path = flags.init;
  const DenoiserOptions& flagged = flags.model.options;
  std::optional<InitialNetwork> initial;
  if (const std::optional<SafetensorsFile> own = read_own(path)) {
    initial = InitialNetwork{denoiser_run(own->metadata, own->path).options, raw_weights(own->tensors)};
  } else {
    ImportOptions options;
    options.part = "";
    options.hints.patch = flagged.patch;
    options.hints.patch_basis = flagged.patch_basis;
    if (common.given("--head-dim") && flagged.head_dim > 0)
      options.hints.num_head_channels = flagged.head_dim;
    else if (common.given("--heads"))
      options.hints.num_heads = flagged.heads;
    DenoiserImport import = import_denoiser(path, options);
    for (const std::string& line : import.notes) note(common, line);
    initial = InitialNetwork{import.options, import.model};
  }
  require_finite(initial->weights, Fault::kBadInput, path);
  DenoiserOptions& net = initial->options;
  agree(common, "--arch", flagged.architecture, net.architecture, path);
  agree(common, "--dim", flagged.dim, net.dim, path);
  agree(common, "--mults", flags.mults, join(net.mults), path);
  agree(common, "--blocks", flagged.blocks, net.blocks, path);
  agree(common, "--condition", flagged.condition, net.condition, path);
  agree(common, "--attention-resolutions", flags.attention_resolutions, join(net.attention_resolutions), path);
  check_input(net.image_channels == 1 && !net.learned_variance, Fault::kBadInput, path,
              ": expected a network of one channel "
              "without a learned variance, found ",
              net.image_channels, " channels", net.learned_variance ? " and a variance" : "",
              "; only such are trained here");
  net.dropout = flagged.dropout;
  return *initial;
}

std::optional<DenoiserRun> earlier_run(const DiffusionFlags& flags) {
  std::optional<SafetensorsFile> file;
  if (flags.resume.on) file = read_own(flags.out);
  if (!file && !flags.init.empty()) file = read_own(flags.init);
  if (!file) return std::nullopt;
  return denoiser_run(file->metadata, file->path);
}

void adopt_run(const DenoiserRun& earlier, const DiffusionFlags& flags, const Common& common, DenoiserRun* run) {
  const std::string& path = flags.init.empty() ? flags.out : flags.init;
  const auto adopt = [&](const char* flag, auto& value, const auto& found, const auto& said, const auto& was) {
    check_input(!common.given(flag) || value == found, Fault::kUsage, flag, ": ", path, " was trained with ", was,
                ", found ", said, "; leave it out to take the run's");
    value = found;
  };
  adopt("--schedule", run->schedule, earlier.schedule, name_of(run->schedule), name_of(earlier.schedule));
  adopt("--predict", run->prediction, earlier.prediction, name_of(run->prediction), name_of(earlier.prediction));
  adopt("--timesteps", run->T, earlier.T, run->T, earlier.T);
  DenoiserOptions& net = run->options;
  const DenoiserOptions& had = earlier.options;
  adopt("--patch", net.patch, had.patch, net.patch, had.patch);
  adopt("--patch-basis", net.patch_basis, had.patch_basis, net.patch_basis, had.patch_basis);
  if (!common.given("--variance") && earlier.variance != "learned") run->variance = earlier.variance;
  if (flags.resume.on || !common.given("--fit"))
    adopt("--fit", run->fit, earlier.fit, name_of(run->fit), name_of(earlier.fit));
}

void shift_schedule(const std::optional<DenoiserRun>& earlier, const DiffusionFlags& flags, const Common& common,
                    DenoiserRun* run) {
  run->log_snr_shift = log_snr_shift(flags.schedule_shift, run->image_size);
  if (!earlier) return;
  const bool same = std::abs(run->log_snr_shift - earlier->log_snr_shift) < 1e-9;  // a base in config.toml is rounded
  check_input(!common.given("--schedule-shift") || same, Fault::kUsage,
              "--schedule-shift: ", flags.init.empty() ? flags.out : flags.init, " was trained with ",
              earlier->log_snr_shift, " added to log-SNR, found ", run->log_snr_shift,
              "; leave it out to take the run's");
  run->log_snr_shift = earlier->log_snr_shift;
}

void adopt_saved_network(const DenoiserRun& saved, const Common& common, DenoiserRun* run) {
  const DenoiserOptions flagged = run->options;
  run->options = saved.options;
  run->options.planes = flagged.planes;
  run->options.image_size = flagged.image_size;
  bool given = false;
  for (const char* flag : kShapeFlags) given |= common.given(flag);
  if (!given) return;
  run->options.architecture = flagged.architecture;
  run->options.condition = flagged.condition;
  run->options.dim = flagged.dim;
  run->options.mults = flagged.mults;
  run->options.blocks = flagged.blocks;
  run->options.heads = flagged.heads;
  run->options.head_dim = flagged.head_dim;
  run->options.dropout = flagged.dropout;
  run->options.attention_resolutions = flagged.attention_resolutions;
}

}  // namespace echodiff
