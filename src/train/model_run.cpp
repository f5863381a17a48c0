#include "train/model_run.h"

#include <filesystem>

#include "tensor/io/text.h"
#include "train/best_checkpoint.h"
#include "train/metadata.h"
#include "train/run_checkpoint.h"

namespace echodiff {
namespace {

std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(int64_t value) { return std::to_string(value); }
std::string text_of(double value) { return number_text(value); }
std::string text_of(const std::string& text) { return text; }
std::string text_of(const std::vector<int64_t>& values) { return join(values); }

void take(const MetadataReader& read, const char* key, bool& value) { value = read.flag(key); }
void take(const MetadataReader& read, const char* key, int64_t& value) { value = read.integer(key); }
void take(const MetadataReader& read, const char* key, double& value) { value = read.real(key); }
void take(const MetadataReader& read, const char* key, std::string& value) { value = read.text(key); }
void take(const MetadataReader& read, const char* key, std::vector<int64_t>& value) { value = read.integers(key); }

// What a checkpoint states of its network, one listing for writing and reading: field(key, member).
template <class Options, class Field> void visit_network(Options& net, const Field& field) {
  field("network.architecture", net.architecture);
  field("network.image_channels", net.image_channels);
  field("network.condition", net.condition);
  field("network.dim", net.dim);
  field("network.mults", net.mults);
  field("network.blocks", net.blocks);
  field("network.heads", net.heads);
  field("network.head_dim", net.head_dim);
  field("network.dropout", net.dropout);
  field("network.learned_variance", net.learned_variance);
  field("network.attention_resolutions", net.attention_resolutions);
  field("network.scale_shift", net.scale_shift);
  field("network.new_attention_order", net.new_attention_order);
  field("network.resblock_updown", net.resblock_updown);
  if (net.architecture != "diffusers") return;
  auto& d = net.diffusers;
  field("network.diffusers.norm_num_groups", d.norm_num_groups);
  field("network.diffusers.norm_eps", d.norm_eps);
  field("network.diffusers.flip_sin_to_cos", d.flip_sin_to_cos);
  field("network.diffusers.freq_shift", d.freq_shift);
  field("network.diffusers.downsample_padding", d.downsample_padding);
  field("network.diffusers.act_fn", d.act_fn);
  field("network.diffusers.add_attention", d.add_attention);
  field("network.diffusers.attn_norm_num_groups", d.attn_norm_num_groups);
  field("network.diffusers.mid_block_scale_factor", d.mid_block_scale_factor);
  field("network.diffusers.center_input_sample", d.center_input_sample);
  field("network.diffusers.time_embedding_dim", d.time_embedding_dim);
  field("network.diffusers.downsample_resnet", d.downsample_resnet);
  field("network.diffusers.upsample_resnet", d.upsample_resnet);
}

constexpr const char* kMaskDrop = "training.mask-drop";  // as dtrain diffusion writes its flags
constexpr const char* kTimeDim = "network.time_dim";     // these only where the network has its own
constexpr const char* kAugmentPlanes = "network.augment_labels";
constexpr const char* kPatch = "network.patch";
constexpr const char* kPatchBasis = "network.patch_basis";
constexpr const char* kUpAttention = "network.diffusers.up_attention_resolutions";

constexpr const char* kFit = "fit";
constexpr const char* kShift = "log_snr_shift";

}  // namespace

Metadata to_metadata(const DenoiserRun& run) {
  const DenoiserOptions& net = run.options;
  Metadata metadata{{"kind", "diffusion"},
                    {"schedule", name_of(run.schedule)},
                    {"predict", name_of(run.prediction)},
                    {"timesteps", std::to_string(run.T)},
                    {"image_size", std::to_string(run.image_size)},
                    {"planes", join(run.planes)},
                    {"variance", run.variance}};
  if (run.log_snr_shift != 0) metadata[kShift] = text_of(run.log_snr_shift);
  if (run.fit != Fit::squash) metadata[kFit] = name_of(run.fit);
  visit_network(net, [&](const char* key, const auto& value) { metadata[key] = text_of(value); });
  if (net.time_dim > 0) metadata[kTimeDim] = text_of(net.time_dim);
  if (net.augment_labels > 0) metadata[kAugmentPlanes] = text_of(net.augment_labels);
  if (net.patch > 1) metadata[kPatch] = text_of(net.patch);
  if (net.patch_basis != "shuffle") metadata[kPatchBasis] = net.patch_basis;
  if (net.architecture == "diffusers" && net.up_attention_resolutions)
    metadata[kUpAttention] = text_of(*net.up_attention_resolutions);
  return metadata;
}

DenoiserRun denoiser_run(const Metadata& metadata, const std::string& path) {
  const MetadataReader read(metadata, path, "it is not a checkpoint of dtrain diffusion");
  try {
    DenoiserRun run;
    check_input(read.text("kind") == "diffusion", Fault::kBadInput, path, ": is a checkpoint of kind ",
                read.text("kind"), ", expected diffusion; give the run directory of dtrain diffusion");
    run.schedule = parse_schedule(read.text("schedule"));
    if (read.has(kShift)) run.log_snr_shift = read.real(kShift);
    run.prediction = parse_prediction(read.text("predict"));
    run.T = read.integer("timesteps");
    run.image_size = read.integer("image_size");
    run.planes = split(read.text("planes"));
    for (const std::string& plane : run.planes) check_name(plane, Fault::kBadInput, path, "metadata: plane");
    run.variance = read.text("variance");
    run.fit = fit_in(metadata, path);
    if (read.has(kMaskDrop)) run.mask_drop = read.real(kMaskDrop);
    DenoiserOptions& net = run.options;
    net.planes = int64_t(run.planes.size());
    net.image_size = run.image_size;
    visit_network(net, [&](const char* key, auto& value) { take(read, key, value); });
    if (read.has(kTimeDim)) take(read, kTimeDim, net.time_dim);
    if (read.has(kAugmentPlanes)) take(read, kAugmentPlanes, net.augment_labels);
    if (read.has(kPatch)) take(read, kPatch, net.patch);
    if (read.has(kPatchBasis)) take(read, kPatchBasis, net.patch_basis);
    if (net.architecture == "diffusers" && read.has(kUpAttention))
      take(read, kUpAttention, net.up_attention_resolutions.emplace());
    return run;
  } catch (const Error& error) {
    if (error.fault() != Fault::kUsage) throw;
    throw Error(Fault::kBadInput, path + ": metadata: " + error.what());
  }
}

Schedule schedule_of(const DenoiserRun& run) { return make_schedule(run.schedule, run.T, run.log_snr_shift); }

Fit fit_in(const Metadata& metadata, const std::string& path) {
  const Metadata::const_iterator found = metadata.find(kFit);
  if (found == metadata.end()) return Fit::squash;
  try {
    return parse_fit(found->second);
  } catch (const Error& error) {
    throw Error(Fault::kBadInput, path + ": metadata: " + error.what());
  }
}

Fit fit_of_run(const std::string& run) {
  check_input(std::filesystem::exists(run), Fault::kMissingInput, run, ": no such run directory");
  const std::string path = run_checkpoint(run);
  check_input(!path.empty(), Fault::kMissingInput, run, ": holds no checkpoint yet (no checkpoints/latest)");
  return fit_in(read_weights(path).metadata, path);
}

namespace {

// What the metadata asks for may be no network: the file is wrong then, not a flag.
Denoiser described_network(const DenoiserRun& run, const std::string& path) {
  try {
    return Denoiser(run.options, 0);
  } catch (const Error& error) {
    if (error.fault() != Fault::kUsage) throw;
    throw Error(Fault::kBadInput, path + ": metadata: " + error.what());
  }
}

}  // namespace

std::string said_of_best(const std::string& run, const SafetensorsFile& checkpoint) {
  if (!checkpoint.metadata.contains(kValidationLoss)) return "";
  const MetadataReader read(checkpoint.metadata, checkpoint.path, "remove this file");
  return concat_message(run, ": weights of step ", read.integer("step"), ", of the least validation loss (",
                        read.real(kValidationLoss), ")", run == checkpoint.path ? "" : "; --best off takes the newest");
}

LoadedDenoiser load_denoiser_run(const std::string& run, const WeightChoice& choice) {
  check_input(std::filesystem::exists(run), Fault::kMissingInput, run,
              ": no such run directory; give the output of dtrain diffusion");
  const std::string path = averaged_checkpoint(run, choice.ema && choice.best);
  check_input(!path.empty(), Fault::kMissingInput, run,
              ": holds no checkpoint yet (no checkpoints/latest); train it first");
  const SafetensorsFile file = read_checkpoint(path);
  const DenoiserRun described = denoiser_run(file.metadata, path);
  StateDict weights = choice.ema ? with_prefix(file.tensors, "ema.") : StateDict();
  if (weights.empty()) weights = raw_weights(file.tensors);
  LoadedDenoiser loaded{described, described_network(described, path),
                        MetadataReader(file.metadata, path, "train it again").integer("step"), path,
                        said_of_best(run, file)};
  loaded.network.load_state_dict(weights);
  loaded.network.eval();
  return loaded;
}

}  // namespace echodiff
