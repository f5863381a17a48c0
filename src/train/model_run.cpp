#include "train/model_run.h"

#include <filesystem>

#include "tensor/io/text.h"
#include "train/metadata.h"

namespace echodiff {
namespace {

const char* text_of(bool flag) { return flag ? "true" : "false"; }

// What only diffusers' U-Net has, under "network.diffusers.".
void append_diffusers(const DenoiserOptions& net, Metadata* metadata) {
  const DiffusersDetails& d = net.diffusers;
  Metadata own{{"norm_num_groups", std::to_string(d.norm_num_groups)},
               {"norm_eps", number_text(d.norm_eps)},
               {"flip_sin_to_cos", text_of(d.flip_sin_to_cos)},
               {"freq_shift", number_text(d.freq_shift)},
               {"downsample_padding", std::to_string(d.downsample_padding)},
               {"act_fn", d.act_fn},
               {"add_attention", text_of(d.add_attention)},
               {"attn_norm_num_groups", std::to_string(d.attn_norm_num_groups)},
               {"mid_block_scale_factor", number_text(d.mid_block_scale_factor)},
               {"center_input_sample", text_of(d.center_input_sample)},
               {"time_embedding_dim", std::to_string(d.time_embedding_dim)},
               {"downsample_resnet", text_of(d.downsample_resnet)},
               {"upsample_resnet", text_of(d.upsample_resnet)}};
  if (net.up_attention_resolutions) own["up_attention_resolutions"] = join(*net.up_attention_resolutions);
  for (const auto& [key, value] : own) (*metadata)["network.diffusers." + key] = value;
}

void read_diffusers(const MetadataReader& read, DenoiserOptions* net) {
  const std::string prefix = "network.diffusers.";
  DiffusersDetails& d = net->diffusers;
  d.norm_num_groups = read.integer(prefix + "norm_num_groups");
  d.norm_eps = read.real(prefix + "norm_eps");
  d.flip_sin_to_cos = read.flag(prefix + "flip_sin_to_cos");
  d.freq_shift = read.real(prefix + "freq_shift");
  d.downsample_padding = read.integer(prefix + "downsample_padding");
  d.act_fn = read.text(prefix + "act_fn");
  d.add_attention = read.flag(prefix + "add_attention");
  d.attn_norm_num_groups = read.integer(prefix + "attn_norm_num_groups");
  d.mid_block_scale_factor = read.real(prefix + "mid_block_scale_factor");
  d.center_input_sample = read.flag(prefix + "center_input_sample");
  d.time_embedding_dim = read.integer(prefix + "time_embedding_dim");
  d.downsample_resnet = read.flag(prefix + "downsample_resnet");
  d.upsample_resnet = read.flag(prefix + "upsample_resnet");
  const std::string up = prefix + "up_attention_resolutions";
  if (read.has(up)) net->up_attention_resolutions = read.integers(up);
}

}  // namespace

Metadata to_metadata(const DenoiserRun& run) {
  const DenoiserOptions& net = run.options;
  Metadata metadata{{"kind", "diffusion"},
                    {"schedule", name_of(run.schedule)},
                    {"predict", name_of(run.prediction)},
                    {"timesteps", std::to_string(run.T)},
                    {"image_size", std::to_string(run.image_size)},
                    {"planes", join(run.planes)},
                    {"variance", run.variance},
                    {"network.architecture", net.architecture},
                    {"network.image_channels", std::to_string(net.image_channels)},
                    {"network.condition", net.condition},
                    {"network.dim", std::to_string(net.dim)},
                    {"network.mults", join(net.mults)},
                    {"network.blocks", std::to_string(net.blocks)},
                    {"network.heads", std::to_string(net.heads)},
                    {"network.head_dim", std::to_string(net.head_dim)},
                    {"network.dropout", number_text(net.dropout)},
                    {"network.learned_variance", text_of(net.learned_variance)},
                    {"network.attention_resolutions", join(net.attention_resolutions)},
                    {"network.scale_shift", text_of(net.scale_shift)},
                    {"network.new_attention_order", text_of(net.new_attention_order)},
                    {"network.resblock_updown", text_of(net.resblock_updown)}};
  if (net.time_dim > 0) metadata["network.time_dim"] = std::to_string(net.time_dim);
  if (net.architecture == "diffusers") append_diffusers(net, &metadata);
  return metadata;
}

DenoiserRun denoiser_run(const Metadata& metadata, const std::string& path) {
  const MetadataReader read(metadata, path, "it is not a checkpoint of dtrain diffusion");
  try {
    DenoiserRun run;
    check_input(read.text("kind") == "diffusion", Fault::kBadInput, path, ": is a checkpoint of kind ",
                read.text("kind"), ", expected diffusion; give the run directory of dtrain diffusion");
    run.schedule = parse_schedule(read.text("schedule"));
    run.prediction = parse_prediction(read.text("predict"));
    run.T = read.integer("timesteps");
    run.image_size = read.integer("image_size");
    run.planes = split(read.text("planes"));
    run.variance = read.text("variance");
    DenoiserOptions& net = run.options;
    net.architecture = read.text("network.architecture");
    net.image_channels = read.integer("network.image_channels");
    net.planes = int64_t(run.planes.size());
    net.condition = read.text("network.condition");
    net.image_size = run.image_size;
    net.dim = read.integer("network.dim");
    net.mults = read.integers("network.mults");
    net.blocks = read.integer("network.blocks");
    net.heads = read.integer("network.heads");
    net.head_dim = read.integer("network.head_dim");
    net.dropout = read.real("network.dropout");
    net.learned_variance = read.flag("network.learned_variance");
    net.attention_resolutions = read.integers("network.attention_resolutions");
    net.scale_shift = read.flag("network.scale_shift");
    net.new_attention_order = read.flag("network.new_attention_order");
    net.resblock_updown = read.flag("network.resblock_updown");
    if (read.has("network.time_dim")) net.time_dim = read.integer("network.time_dim");
    if (net.architecture == "diffusers") read_diffusers(read, &net);
    return run;
  } catch (const Error& error) {
    if (error.fault() != Fault::kUsage) throw;
    throw Error(Fault::kBadInput, path + ": metadata: " + error.what());
  }
}

LoadedDenoiser load_denoiser_run(const std::string& run, bool ema) {
  check_input(std::filesystem::exists(run), Fault::kMissingInput, run,
              ": no such run directory; give the --out of dtrain diffusion");
  const std::string path = run_checkpoint(run);
  check_input(!path.empty(), Fault::kMissingInput, run,
              ": holds no checkpoint yet (no checkpoints/latest); train it first");
  const SafetensorsFile file = read_checkpoint(path);
  const DenoiserRun described = denoiser_run(file.metadata, path);
  StateDict weights = ema ? with_prefix(file.tensors, "ema.") : StateDict();
  if (weights.empty()) weights = raw_weights(file.tensors);
  LoadedDenoiser loaded{described, Denoiser(described.options, 0),
                        MetadataReader(file.metadata, path, "train it again").integer("step")};
  loaded.network.load_state_dict(weights);
  loaded.network.eval();
  return loaded;
}

}  // namespace echodiff
