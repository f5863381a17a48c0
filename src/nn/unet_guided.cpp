#include "nn/unet_guided.h"

#include <algorithm>

#include "nn/skips.h"
#include "tensor/recompute.h"

namespace echodiff {
namespace {

constexpr Conv2dLayerOptions kConv3{.kernel = 3, .padding = 1};
constexpr Conv2dLayerOptions kZeroConv3{.kernel = 3, .padding = 1, .init = Init::zero};

std::variant<GroupNorm, Spade> make_norm(int64_t channels, int64_t planes) {
  if (planes > 0) return Spade(channels, planes);
  return GroupNorm(32, channels);
}

// silu(norm(x) * (1 + scale) + shift), without scale and shift where scale_and_shift is undefined
Tensor norm_silu(const std::variant<GroupNorm, Spade>& norm, const Tensor& x, const Tensor& masks,
                 const Tensor& scale_and_shift = {}) {
  if (const GroupNorm* group_norm = std::get_if<GroupNorm>(&norm)) return group_norm->silu(x, scale_and_shift);
  const Tensor h = std::get<Spade>(norm)(x, masks);
  return silu(scale_and_shift ? scale_shift(h, scale_and_shift) : h);
}

int64_t time_channels(const GuidedUnetOptions& options) {
  return options.time_channels > 0 ? options.time_channels : options.model_channels;
}

int64_t first_width(const GuidedUnetOptions& options) {
  check_input(!options.channel_mult.empty(), Fault::kUsage, "unet: expected one multiplier per level, got none");
  return options.model_channels * options.channel_mult.front();
}

}  // namespace

GuidedResBlock::GuidedResBlock(const GuidedResBlockOptions& options, const GuidedUnetOptions& unet)
    : options_(options),
      scale_shift_(unet.use_scale_shift_norm),
      in_norm_(make_norm(options.in, options.planes)),
      in_conv_(options.in, options.out, kConv3),
      time_(4 * time_channels(unet), (unet.use_scale_shift_norm ? 2 : 1) * options.out),
      out_norm_(make_norm(options.out, options.planes)),
      dropout_(unet.dropout),
      out_conv_(options.out, options.out, kZeroConv3) {
  if (options.in != options.out) skip_.emplace(options.in, options.out);
}

Tensor GuidedResBlock::operator()(const Tensor& x, const Tensor& time, const Tensor& masks) const {
  Tensor h = in_conv_(resampled(norm_silu(in_norm_, x, masks), options_.resample));
  const Tensor e = time_(silu(time));  // (N, out) or (N, 2 out)
  h = scale_shift_ ? norm_silu(out_norm_, h, masks, e) : norm_silu(out_norm_, add_channel(h, e), masks);
  h = out_conv_(dropout_(h));
  const Tensor skip = resampled(x, options_.resample);
  return traced((skip_ ? (*skip_)(skip) : skip) + h);
}

void GuidedResBlock::visit(Visitor& v) {
  const bool spade = options_.planes > 0;  // the norm stands outside the Sequential, whose indices shift
  std::visit([&](auto& norm) { v.child(spade ? "in_norm" : "in_layers.0", norm); }, in_norm_);
  v.child(spade ? "in_layers.1" : "in_layers.2", in_conv_);
  v.child("emb_layers.1", time_);
  std::visit([&](auto& norm) { v.child(spade ? "out_norm" : "out_layers.0", norm); }, out_norm_);
  v.child(spade ? "out_layers.1" : "out_layers.2", dropout_);
  v.child(spade ? "out_layers.2" : "out_layers.3", out_conv_);
  v.child("skip_connection", skip_);
}

GuidedResample::GuidedResample(int64_t channels, bool up)
    : up_(up), conv_(channels, channels, {.kernel = 3, .stride = up ? 1 : 2, .padding = 1}) {}

Tensor GuidedStage::operator()(Tensor x, const Tensor& time, const Tensor& masks) const {
  for (const Layer& layer : layers_) {
    if (const GuidedResBlock* block = std::get_if<GuidedResBlock>(&layer))
      x = (*block)(x, time, masks);
    else if (const AttentionBlock* attention = std::get_if<AttentionBlock>(&layer))
      x = (*attention)(x);
    else if (const GuidedResample* resample = std::get_if<GuidedResample>(&layer))
      x = (*resample)(x);
    else
      x = std::get<Conv2d>(layer)(x);
  }
  return traced(x);
}

void GuidedStage::visit(Visitor& v) {
  for (size_t i = 0; i < layers_.size(); ++i)
    std::visit([&](auto& layer) { v.child(std::to_string(i), layer); }, layers_[i]);
}

GuidedUnet::GuidedUnet(const GuidedUnetOptions& options, uint64_t seed)
    : options_(options),
      time_embed_(time_channels(options), TimeMlpStyle::guided),
      out_norm_(32, first_width(options)),
      out_conv_(first_width(options), options.out_channels, kZeroConv3) {
  const std::vector<int64_t>& resolutions = options.attention_resolutions;
  const auto attends = [&](int64_t factor) { return std::ranges::find(resolutions, factor) != resolutions.end(); };
  const auto stage = [](GuidedStage::Layer layer) {
    GuidedStage made;
    made.add(std::move(layer));
    return made;
  };
  const int64_t levels = int64_t(options.channel_mult.size());
  int64_t channels = first_width(options), factor = 1;
  std::vector<int64_t> skips{channels};  // widths
  input_blocks_.push_back(stage(Conv2d(options.in_channels, channels, kConv3)));
  for (int64_t level = 0; level < levels; ++level) {
    const int64_t width = options.model_channels * options.channel_mult[size_t(level)];
    for (int64_t i = 0; i < options.num_res_blocks; ++i) {
      GuidedStage block = stage(GuidedResBlock({.in = channels, .out = width}, options));
      channels = width;
      if (attends(factor)) block.add(attention(channels));
      input_blocks_.push_back(std::move(block));
      skips.push_back(channels);
    }
    if (level == levels - 1) break;
    if (options.resblock_updown)
      input_blocks_.push_back(
          stage(GuidedResBlock({.in = channels, .out = channels, .resample = Resample::down}, options)));
    else
      input_blocks_.push_back(stage(GuidedResample(channels, false)));
    skips.push_back(channels);
    factor *= 2;
  }
  const GuidedResBlockOptions middle{.in = channels, .out = channels, .planes = options.planes};
  middle_block_.add(GuidedResBlock(middle, options));
  middle_block_.add(attention(channels));
  middle_block_.add(GuidedResBlock(middle, options));
  for (int64_t level = levels - 1; level >= 0; --level) {
    const int64_t width = options.model_channels * options.channel_mult[size_t(level)];
    for (int64_t i = 0; i <= options.num_res_blocks; ++i) {
      const GuidedResBlockOptions joined{.in = channels + skips.back(), .out = width, .planes = options.planes};
      skips.pop_back();
      GuidedStage block = stage(GuidedResBlock(joined, options));
      channels = width;
      if (attends(factor)) block.add(attention(channels));
      if (level > 0 && i == options.num_res_blocks) {
        const GuidedResBlockOptions up{
            .in = channels, .out = channels, .planes = options.planes, .resample = Resample::up};
        if (options.resblock_updown)
          block.add(GuidedResBlock(up, options));
        else
          block.add(GuidedResample(channels, true));
        factor /= 2;
      }
      output_blocks_.push_back(std::move(block));
    }
  }
  initialise(seed);
}

AttentionBlock GuidedUnet::attention(int64_t channels) const {
  const int64_t per_head = options_.num_head_channels;
  check_input(per_head <= 0 || channels % per_head == 0, Fault::kUsage, "attention: ", channels,
              " channels are not a multiple of ", per_head, " channels per head");
  return AttentionBlock(channels, {.heads = per_head > 0 ? channels / per_head : options_.num_heads,
                                   .new_order = options_.use_new_attention_order});
}

Tensor GuidedUnet::operator()(const Tensor& x, const Tensor& t, const Tensor& masks, Tensor* deep) const {
  const int64_t factor = int64_t{1} << (options_.channel_mult.size() - 1);
  check(x.rank() == 4 && x.dim(1) == options_.in_channels && x.dim(2) % factor == 0 && x.dim(3) % factor == 0,
        "unet: x must be (N, ", options_.in_channels, ", H, W) with H and W multiples of ", factor, ", got ",
        x.shape());
  check(options_.planes == 0 ||
            (masks && masks.rank() == 4 && masks.dim(0) == x.dim(0) && masks.dim(1) == options_.planes),
        "unet: masks must be (N, ", options_.planes, ", H, W) with N of x ", x.shape(), ", got ",
        masks ? masks.shape() : Shape());
  const Tensor time = time_embed_(t);
  Skips skips;
  Tensor h = x;
  const bool shallow = deep != nullptr && *deep;
  const size_t outermost = size_t(options_.num_res_blocks) + 1;  // blocks of that level, either way
  const auto alone = [](const GuidedStage& stage) {
    return [block = &stage](const Tensor& x, const Tensor& e, const Tensor& c) { return (*block)(x, e, c); };
  };
  for (size_t i = 0; i < (shallow ? outermost : input_blocks_.size()); ++i) {
    h = recomputed(alone(input_blocks_[i]), h, time, masks);
    skips.push_back(h);
  }
  h = shallow ? *deep : recomputed(alone(middle_block_), h, time, masks);
  for (size_t i = shallow ? output_blocks_.size() - outermost : 0; i < output_blocks_.size(); ++i) {
    if (deep != nullptr && i == output_blocks_.size() - outermost) *deep = h;
    const auto stage = [block = &output_blocks_[i]](Tensor x, Tensor skip, const Tensor& e, const Tensor& c) {
      return (*block)(joined(std::move(x), std::move(skip)), e, c);
    };
    h = recomputed(stage, std::move(h), taken(skips), time, masks);
  }
  return traced(out_conv_(traced("out.1", out_norm_.silu(h))));
}

void GuidedUnet::visit(Visitor& v) {
  v.child("time_embed", time_embed_);
  v.child("input_blocks", input_blocks_);
  v.child("middle_block", middle_block_);
  v.child("output_blocks", output_blocks_);
  v.child("out.0", out_norm_);
  v.child("out.2", out_conv_);
}

}  // namespace echodiff
