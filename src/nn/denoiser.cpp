#include "nn/denoiser.h"

namespace echodiff {
namespace {

void check_options(const DenoiserOptions& o) {
  const bool guided = o.architecture == "guided";
  check_input(guided || o.architecture == "lucidrains" || o.architecture == "lucidrains1", Fault::kUsage,
              "architecture: expected lucidrains, lucidrains1 or guided, got ", o.architecture);
  check_input(o.condition == "concat" || o.condition == "spade", Fault::kUsage,
              "condition: expected concat or spade, got ", o.condition);
  check_input(o.condition == "concat" || guided, Fault::kUsage, "condition: spade needs architecture guided, got ",
              o.architecture);
  check_input(o.condition == "concat" || o.planes > 0, Fault::kUsage, "condition: spade needs at least one mask plane");
  check_input(!o.mults.empty(), Fault::kUsage, "mults: expected one multiplier per level, got none");
  for (const int64_t mult : o.mults)
    check_input(mult > 0, Fault::kUsage, "mults: expected positive multipliers, got ", mult);
  check_input(guided ? o.blocks > 0 : o.blocks == 2, Fault::kUsage, "blocks: expected ", guided ? "at least 1" : "2",
              " for architecture ", o.architecture, ", got ", o.blocks);
  const int64_t multiple = guided ? 32 : o.architecture == "lucidrains1" ? 8 : 4;
  check_input(o.dim > 0 && o.dim % multiple == 0, Fault::kUsage, "dim: expected a multiple of ", multiple,
              " for architecture ", o.architecture, ", got ", o.dim);
  check_input(o.heads > 0 && (guided || o.head_dim > 0), Fault::kUsage, "heads: expected positive numbers, got ",
              o.heads, " heads of ", o.head_dim, " channels");
  check_input(o.dropout >= 0 && o.dropout < 1, Fault::kUsage, "dropout: expected [0, 1), got ", o.dropout);
  const int64_t factor = int64_t{1} << (o.mults.size() - 1);
  check_input(o.image_size % factor == 0, Fault::kUsage, "image size: expected a multiple of ", factor, " for ",
              o.mults.size(), " levels, got ", o.image_size);
}

std::variant<Unet, GuidedUnet> make_network(const DenoiserOptions& o, uint64_t seed) {
  check_options(o);
  const bool spade = o.condition == "spade";
  const int64_t in = o.image_channels + (spade ? 0 : o.planes), out = (o.learned_variance ? 2 : 1) * o.image_channels;
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
                       .planes = spade ? o.planes : 0},
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
    : options_(options), network_(make_network(options, seed)) {}

Tensor Denoiser::operator()(const Tensor& x_t, const Tensor& t, const Tensor& condition) const {
  check(x_t.rank() == 4 && x_t.dim(1) == options_.image_channels, "denoiser: x_t must be (N, ", options_.image_channels,
        ", H, W), got ", x_t.shape());
  const Shape expected = options_.planes > 0 ? Shape{x_t.dim(0), options_.planes, x_t.dim(2), x_t.dim(3)} : Shape();
  const Shape given = condition ? condition.shape() : Shape();
  check(given == expected, "denoiser: condition must be ", expected, " for x_t ", x_t.shape(), ", got ", given);
  const bool concatenated = condition && options_.condition == "concat";
  const Tensor input = concatenated ? concat({x_t, condition}, 1) : x_t;
  if (const Unet* unet = std::get_if<Unet>(&network_)) return (*unet)(input, t);
  return std::get<GuidedUnet>(network_)(input, t, concatenated ? Tensor() : condition);
}

void Denoiser::visit(Visitor& v) {
  std::visit([&](auto& network) { v.child("", network); }, network_);
}

}  // namespace echodiff
