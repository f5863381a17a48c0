#include "nn/denoiser.h"

#include <algorithm>

#include "nn/widths.h"

namespace echodiff {
namespace {

constexpr int64_t kMostParts = 4096;  // more of anything is a mistake, or a file made to break what multiplies them

void check_options(const DenoiserOptions& o) {
  const bool guided = o.architecture == "guided", diffusers = o.architecture == "diffusers";
  const bool lucidrains = o.architecture == "lucidrains" || o.architecture == "lucidrains1";
  check_input(guided || diffusers || lucidrains, Fault::kUsage,
              "architecture: expected lucidrains, lucidrains1, guided or diffusers, got ", o.architecture);
  check_input(o.condition == "concat" || o.condition == "spade", Fault::kUsage,
              "condition: expected concat or spade, got ", o.condition);
  check_input(o.condition == "concat" || guided, Fault::kUsage, "condition: spade needs architecture guided, got ",
              o.architecture);
  check_input(o.condition == "concat" || o.planes > 0, Fault::kUsage, "condition: spade needs at least one mask plane");
  check_widths(o.dim, o.mults);
  for (const auto& [what, count] : {std::pair{"image channels", o.image_channels}, {"blocks", o.blocks}})
    check_input(count > 0 && count <= kMostParts, Fault::kUsage, what, ": expected 1 to ", kMostParts, ", got ", count);
  check_input(o.augment_labels == 0 || (o.condition == "concat" && o.planes > 0), Fault::kUsage,
              "augment: needs masks that enter as input channels (condition concat)");
  check_input(o.augment_labels >= 0 && o.augment_labels <= kMostParts, Fault::kUsage,
              "augment labels: expected at most ", kMostParts, ", got ", o.augment_labels);
  check_input(o.planes >= 0 && o.planes <= kMostParts, Fault::kUsage, "planes: expected at most ", kMostParts, ", got ",
              o.planes);
  check_input(lucidrains ? o.blocks == 2 : o.blocks > 0, Fault::kUsage, "blocks: expected ",
              lucidrains ? "2" : "at least 1", " for architecture ", o.architecture, ", got ", o.blocks);
  const int64_t multiple = guided                            ? 32
                           : diffusers                       ? o.diffusers.norm_num_groups
                           : o.architecture == "lucidrains1" ? 8
                                                             : 4;
  check_input(multiple > 0, Fault::kUsage, "norm_num_groups: expected at least 1, got ", multiple);
  check_input(o.dim > 0 && o.dim % multiple == 0, Fault::kUsage, "dim: expected a multiple of ", multiple,
              " for architecture ", o.architecture, ", got ", o.dim);
  check_input(o.heads > 0 && o.head_dim >= (lucidrains ? 1 : 0) && o.heads <= kMostParts && o.head_dim <= kMostParts,
              Fault::kUsage, "heads: expected positive numbers of at most ", kMostParts, ", got ", o.heads,
              " heads of ", o.head_dim, " channels");
  check_input(o.dropout >= 0 && o.dropout < 1, Fault::kUsage, "dropout: expected [0, 1), got ", o.dropout);
  const int64_t factor = o.patch << (o.mults.size() - 1);
  check_input(o.image_size % factor == 0, Fault::kUsage, "image size: expected a multiple of ", factor, " for ",
              o.mults.size(), " levels", o.patch > 1 ? concat_message(" and patches of ", o.patch) : "", ", got ",
              o.image_size);
}

std::vector<bool> attention_by_level(const DenoiserOptions& o, const std::vector<int64_t>& resolutions) {
  std::vector<bool> list;
  for (size_t level = 0; level < o.mults.size(); ++level)
    list.push_back(std::ranges::find(resolutions, int64_t{1} << level) != resolutions.end());
  return list;
}

DiffusersUnet make_diffusers(const DenoiserOptions& o, int64_t in, int64_t out, uint64_t seed) {
  DiffusersUnetOptions options{.in_channels = in,
                               .out_channels = out,
                               .block_out_channels = {},
                               .down_attention = attention_by_level(o, o.attention_resolutions),
                               .layers_per_block = o.blocks,
                               .attention_head_dim = o.head_dim,
                               .dropout = o.dropout,
                               .scale_shift = o.scale_shift,
                               .details = o.diffusers};
  for (const int64_t mult : o.mults) options.block_out_channels.push_back(o.dim * mult);
  options.up_attention = attention_by_level(o, o.up_attention_resolutions.value_or(o.attention_resolutions));
  std::reverse(options.up_attention.begin(), options.up_attention.end());
  return DiffusersUnet(options, seed);
}

std::variant<Unet, GuidedUnet, DiffusersUnet> make_network(const DenoiserOptions& o, uint64_t seed) {
  check_options(o);
  const bool spade = o.condition == "spade";
  const int64_t pixels = o.patch * o.patch;  // of a patch
  const int64_t in = pixels * (o.image_channels + (spade ? 0 : o.planes + o.augment_labels));
  const int64_t out = pixels * (o.learned_variance ? 2 : 1) * o.image_channels;
  if (o.architecture == "diffusers") return make_diffusers(o, in, out, seed);
  if (o.architecture == "guided")
    return GuidedUnet({.in_channels = in,
                       .out_channels = out,
                       .model_channels = o.dim,
                       .num_res_blocks = o.blocks,
                       .channel_mult = o.mults,
                       .attention_resolutions = o.attention_resolutions,
                       .num_heads = o.heads,
                       .num_head_channels = o.head_dim > 0 ? o.head_dim : -1,
                       .dropout = o.dropout,
                       .use_scale_shift_norm = o.scale_shift,
                       .resblock_updown = o.resblock_updown,
                       .use_new_attention_order = o.new_attention_order,
                       .planes = spade ? pixels * o.planes : 0,
                       .time_channels = o.time_dim},
                      seed);
  return Unet({.dim = o.dim,
               .mults = o.mults,
               .channels = in,
               .out_channels = out,
               .heads = o.heads,
               .head_dim = o.head_dim,
               .dropout = o.dropout,
               .norm = o.architecture == "lucidrains1" ? UnetNorm::group : UnetNorm::rms},
              seed);
}

}  // namespace

Denoiser::Denoiser(const DenoiserOptions& options, uint64_t seed)
    : options_(options), patches_(options.patch, options.patch_basis), network_(make_network(options, seed)) {}

StateDict Denoiser::without_labels(const DenoiserOptions& options, StateDict weights) {
  if (options.augment_labels == 0) return weights;
  const char* first = options.architecture == "guided"      ? "input_blocks.0.0.weight"
                      : options.architecture == "diffusers" ? "conv_in.weight"
                                                            : "init_conv.weight";
  const NoGrad no_grad;
  const int64_t channels = options.patch * options.patch * (options.image_channels + options.planes);
  for (NamedTensor& entry : weights)
    if (entry.name == first) entry.tensor = slice(entry.tensor, 1, 0, channels);  // (K, C, R, S), the labels last
  return weights;
}

void Denoiser::check_has_deep_levels() const {
  check_input(options_.mults.size() > 1 && options_.architecture != "diffusers", Fault::kUsage,
              "deepcache: needs a U-Net of lucidrains or guided-diffusion with two levels or more; this one is ",
              options_.architecture, " with ", options_.mults.size(), "; leave it out");
}

Tensor Denoiser::operator()(const Tensor& x_t, const Tensor& t, const Tensor& condition, Tensor* deep) const {
  if (deep != nullptr) check_has_deep_levels();
  check(x_t.rank() == 4 && x_t.dim(1) == options_.image_channels, "denoiser: x_t must be (N, ", options_.image_channels,
        ", H, W), got ", x_t.shape());
  const Shape given = condition ? condition.shape() : Shape();
  const int64_t told = options_.augment_labels;
  const auto planes = [&](int64_t count) { return Shape{x_t.dim(0), count, x_t.dim(2), x_t.dim(3)}; };
  const bool labelled = told > 0 && given == planes(options_.planes + told);
  const Shape expected = options_.planes > 0 ? planes(options_.planes) : Shape();
  check(given == expected || labelled, "denoiser: condition must be ", expected, " for x_t ", x_t.shape(), ", got ",
        given);
  const bool concatenated = condition && options_.condition == "concat";
  const DType outside = x_t.dtype(), inside = bf16_ ? DType::bf16 : outside;
  const auto in_patches = [&](const Tensor& x) { return cast(patches_.split(x), inside); };
  std::vector<Tensor> parts{x_t};
  if (concatenated) parts.push_back(condition);
  if (told > 0 && !labelled) parts.push_back(full(planes(told), 0, x_t.dtype(), x_t.device()));
  const Tensor input = in_patches(parts.size() > 1 ? concat(parts, 1) : x_t);
  const Tensor masks = condition && !concatenated ? in_patches(condition) : Tensor();  // for SPADE
  const Tensor times = t.to(x_t.device());
  Tensor output;
  if (const Unet* unet = std::get_if<Unet>(&network_))
    output = (*unet)(input, times, deep);
  else if (const DiffusersUnet* unet = std::get_if<DiffusersUnet>(&network_))
    output = (*unet)(input, times);
  else
    output = std::get<GuidedUnet>(network_)(input, times, masks, deep);
  return patches_.join(cast(output, outside));
}

void Denoiser::visit(Visitor& v) {
  v.child("", patches_);
  std::visit([&](auto& network) { v.child("", network); }, network_);
}

}  // namespace echodiff
