#include "nn/unet_diffusers.h"

#include "tensor/recompute.h"

namespace echodiff {
namespace {

constexpr Conv2dLayerOptions kConv3{.kernel = 3, .padding = 1};

int64_t first_width(const DiffusersUnetOptions& options) {
  check_input(!options.block_out_channels.empty(), Fault::kUsage, "unet: expected one width per level, got none");
  return options.block_out_channels.front();
}

int64_t time_width(const DiffusersUnetOptions& options) {
  const int64_t given = options.details.time_embedding_dim;
  return given > 0 ? given : 4 * first_width(options);
}

int64_t head_width(const DiffusersUnetOptions& options, int64_t channels) {
  return options.attention_head_dim > 0 ? options.attention_head_dim : channels;
}

int64_t heads_of(int64_t channels, int64_t head_dim) {
  check_input(head_dim > 0 && channels % head_dim == 0, Fault::kUsage, "attention: ", channels,
              " channels are not a multiple of ", head_dim, " channels per head");
  return channels / head_dim;
}

}  // namespace

DiffusersResnet::DiffusersResnet(const DiffusersResnetOptions& options, const DiffusersUnetOptions& unet,
                                 int64_t time_dim)
    : options_(options),
      act_fn_(unet.details.act_fn),
      scale_shift_(unet.scale_shift),
      norm1_(unet.details.norm_num_groups, options.in, unet.details.norm_eps),
      conv1_(options.in, options.out, kConv3),
      time_(time_dim, (unet.scale_shift ? 2 : 1) * options.out),
      norm2_(unet.details.norm_num_groups, options.out, unet.details.norm_eps),
      dropout_(unet.dropout),
      conv2_(options.out, options.out, kConv3) {
  if (options.in != options.out) shortcut_.emplace(options.in, options.out);
}

Tensor DiffusersResnet::activation(const Tensor& x) const {
  if (act_fn_ == "relu") return relu(x);
  return act_fn_ == "gelu" ? gelu(x) : silu(x);
}

Tensor DiffusersResnet::operator()(const Tensor& x, const Tensor& time) const {
  Tensor h = conv1_(resampled(activation(norm1_(x)), options_.resample));
  const Tensor e = time_(activation(time));  // (N, out) or (N, 2 out)
  h = scale_shift_ ? scale_shift(norm2_(h), e) : norm2_(add_channel(h, e));
  h = conv2_(dropout_(activation(h)));
  const Tensor skip = resampled(x, options_.resample);
  const Tensor y = (shortcut_ ? (*shortcut_)(skip) : skip) + h;
  return traced(options_.scale == 1 ? y : y * (1 / options_.scale));
}

void DiffusersResnet::visit(Visitor& v) {
  v.child("norm1", norm1_);
  v.child("conv1", conv1_);
  v.child("time_emb_proj", time_);
  v.child("norm2", norm2_);
  v.child("dropout", dropout_);
  v.child("conv2", conv2_);
  v.child("conv_shortcut", shortcut_);
}

DiffusersAttention::DiffusersAttention(int64_t channels, int64_t head_dim, int64_t groups, double eps, double scale)
    : heads_(heads_of(channels, head_dim)),
      scale_(scale),
      to_q_(channels, channels),
      to_k_(channels, channels),
      to_v_(channels, channels),
      to_out_(channels, channels) {
  if (groups > 0) norm_.emplace(groups, channels, eps);
}

Tensor DiffusersAttention::operator()(const Tensor& x) const {
  const Tensor tokens = to_tokens(norm_ ? (*norm_)(x) : x);  // (N, H W, C)
  const Tensor h = to_out_(attention(to_q_(tokens), to_k_(tokens), to_v_(tokens), heads_));
  const Tensor y = x + to_image(h, x.dim(2), x.dim(3));
  return traced(scale_ == 1 ? y : y * (1 / scale_));
}

void DiffusersAttention::visit(Visitor& v) {
  v.child("group_norm", norm_);
  v.child("to_q", to_q_);
  v.child("to_k", to_k_);
  v.child("to_v", to_v_);
  v.child("to_out.0", to_out_);
}

// Asymmetric: a zero after the last row and column is what padding by 2 gives but for its first row and column.
DiffusersResample::DiffusersResample(int64_t channels, bool up, int64_t padding)
    : up_(up),
      asymmetric_(!up && padding == 0),
      conv_(channels, channels, {.kernel = 3, .stride = up ? 1 : 2, .padding = asymmetric_ ? 2 : 1}) {}

Tensor DiffusersResample::operator()(const Tensor& x) const {
  if (up_) return traced(conv_(upsample_nearest2(x)));
  const Tensor y = conv_(x);
  return traced(asymmetric_ ? slice(slice(y, 2, 1, y.dim(2)), 3, 1, y.dim(3)) : y);
}

Tensor DiffusersBlock::resampled(const Tensor& x, const Tensor& time) const {
  if (const DiffusersResnet* resnet = std::get_if<DiffusersResnet>(&*resample_)) return (*resnet)(x, time);
  return std::get<DiffusersResample>(*resample_)(x);
}

Tensor DiffusersBlock::layer(size_t i, const Tensor& x, const Tensor& time) const {
  const Tensor h = resnets_[i](x, time);
  return attentions_.empty() ? h : attentions_[i](h);
}

Tensor DiffusersBlock::down(Tensor x, const Tensor& time, Skips& skips) const {
  for (size_t i = 0; i < resnets_.size(); ++i) {
    x = recomputed([this, i](const Tensor& h, const Tensor& e) { return layer(i, h, e); }, x, time);
    skips.push_back(x);
  }
  if (resample_) {
    x = resampled(x, time);
    skips.push_back(x);
  }
  return traced(x);
}

Tensor DiffusersBlock::up(Tensor x, const Tensor& time, Skips& skips) const {
  for (size_t i = 0; i < resnets_.size(); ++i) {
    x = recomputed([this, i](Tensor h, Tensor skip,
                             const Tensor& e) { return layer(i, joined(std::move(h), std::move(skip)), e); },
                   std::move(x), taken(skips), time);
  }
  return traced(resample_ ? resampled(x, time) : x);
}

void DiffusersBlock::visit(Visitor& v) {
  v.child("attentions", attentions_);
  v.child("resnets", resnets_);
  if (!resample_) return;
  const char* name = kind_ == Kind::down ? "downsamplers.0" : "upsamplers.0";
  std::visit([&](auto& layer) { v.child(name, layer); }, *resample_);
}

DiffusersUnet::DiffusersUnet(const DiffusersUnetOptions& options, uint64_t seed)
    : options_(options),
      conv_in_(options.in_channels, first_width(options), kConv3),
      time1_(first_width(options), time_width(options)),
      time2_(time_width(options), time_width(options)),
      norm_out_(options.details.norm_num_groups, first_width(options), options.details.norm_eps),
      conv_out_(first_width(options), options.out_channels, kConv3) {
  const std::string& act = options.details.act_fn;
  check_input(act == "silu" || act == "relu" || act == "gelu", Fault::kUsage,
              "act_fn: expected silu, relu or gelu, got ", act);
  check_input(options.details.downsample_padding == 0 || options.details.downsample_padding == 1, Fault::kUsage,
              "downsample_padding: expected 0 or 1, got ", options.details.downsample_padding);
  add_blocks(time_width(options));
  initialise(seed);
}

void DiffusersUnet::add_blocks(int64_t time_dim) {
  const DiffusersDetails& details = options_.details;
  const std::vector<int64_t>& widths = options_.block_out_channels;
  const int64_t levels = int64_t(widths.size());
  const auto resnet = [&](const DiffusersResnetOptions& block) { return DiffusersResnet(block, options_, time_dim); };
  const auto attention = [&](int64_t channels) {
    return DiffusersAttention(channels, head_width(options_, channels), details.norm_num_groups, details.norm_eps, 1);
  };
  const auto attends = [&](const std::vector<bool>& list, int64_t i) {
    check_input(list.empty() || int64_t(list.size()) == levels, Fault::kUsage, "unet: expected attention of ", levels,
                " blocks each way, got ", list.size());
    return !list.empty() && list[size_t(i)];
  };
  int64_t channels = widths.front();
  std::vector<int64_t> skips{channels};  // widths
  for (int64_t level = 0; level < levels; ++level) {
    const bool attended = attends(options_.down_attention, level);
    DiffusersBlock& block = down_blocks_.emplace_back(DiffusersBlock::Kind::down);
    for (int64_t i = 0; i < options_.layers_per_block; ++i) {
      block.add(resnet({.in = channels, .out = widths[size_t(level)]}));
      channels = widths[size_t(level)];
      if (attended) block.add(attention(channels));
      skips.push_back(channels);
    }
    if (level == levels - 1) break;
    if (attended && details.downsample_resnet)
      block.resample(resnet({.in = channels, .out = channels, .resample = Resample::down}));
    else
      block.resample(DiffusersResample(channels, false, details.downsample_padding));
    skips.push_back(channels);
  }
  const double scale = details.mid_block_scale_factor;
  for (int64_t i = 0; i < 2; ++i) mid_resnets_.push_back(resnet({.in = channels, .out = channels, .scale = scale}));
  if (details.add_attention) {
    // With scale-shift the middle's attention has no norm of its own unless it is asked for.
    const int64_t groups = details.attn_norm_num_groups > 0 ? details.attn_norm_num_groups
                           : options_.scale_shift           ? 0
                                                            : details.norm_num_groups;
    mid_attention_.emplace_back(channels, head_width(options_, channels), groups, details.norm_eps, scale);
  }
  for (int64_t i = 0; i < levels; ++i) {
    const int64_t level = levels - 1 - i, width = widths[size_t(level)];
    const bool attended = attends(options_.up_attention, i);
    DiffusersBlock& block = up_blocks_.emplace_back(DiffusersBlock::Kind::up);
    for (int64_t k = 0; k <= options_.layers_per_block; ++k) {
      block.add(resnet({.in = channels + skips.back(), .out = width}));
      skips.pop_back();
      channels = width;
      if (attended) block.add(attention(channels));
    }
    if (level == 0) break;
    if (attended && details.upsample_resnet)
      block.resample(resnet({.in = channels, .out = channels, .resample = Resample::up}));
    else
      block.resample(DiffusersResample(channels, true, 1));
  }
}

Tensor DiffusersUnet::operator()(const Tensor& x, const Tensor& t) const {
  const int64_t factor = int64_t{1} << (options_.block_out_channels.size() - 1);
  check(x.rank() == 4 && x.dim(1) == options_.in_channels && x.dim(2) % factor == 0 && x.dim(3) % factor == 0,
        "unet: x must be (N, ", options_.in_channels, ", H, W) with H and W multiples of ", factor, ", got ",
        x.shape());
  const DiffusersDetails& details = options_.details;
  const Tensor embedding =
      time_embedding(t, first_width(options_),
                     {.cos_first = details.flip_sin_to_cos, .freq_shift = details.freq_shift, .divide_last = true});
  const Tensor time = traced("time_embedding", time2_(silu(time1_(embedding.to(time1_.dtype())))));
  Tensor h = conv_in_(details.center_input_sample ? affine(x, 2, -1) : x);
  Skips skips{h};
  for (const DiffusersBlock& block : down_blocks_) h = block.down(h, time, skips);
  const auto middle = [this](Tensor x, const Tensor& e) {
    x = mid_resnets_[0](x, e);
    if (!mid_attention_.empty()) x = mid_attention_[0](x);
    return mid_resnets_[1](x, e);
  };
  h = traced("mid_block", recomputed(middle, std::move(h), time));
  for (const DiffusersBlock& block : up_blocks_) h = block.up(h, time, skips);
  return traced(conv_out_(traced("conv_act", silu(norm_out_(h)))));
}

void DiffusersUnet::visit(Visitor& v) {
  v.child("conv_in", conv_in_);
  v.child("time_embedding.linear_1", time1_);
  v.child("time_embedding.linear_2", time2_);
  v.child("down_blocks", down_blocks_);
  v.child("up_blocks", up_blocks_);
  v.child("mid_block.attentions", mid_attention_);
  v.child("mid_block.resnets", mid_resnets_);
  v.child("conv_norm_out", norm_out_);
  v.child("conv_out", conv_out_);
}

}  // namespace echodiff
