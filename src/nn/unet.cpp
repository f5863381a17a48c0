#include "nn/unet.h"

#include "nn/pictures.h"
#include "tensor/recompute.h"

namespace echodiff {
namespace {

// Elements of a full-resolution map from which on pictures pass the outermost level one after the other: several such
// maps of a batch leave the caches between one op and the next. Deeper, where weights outweigh maps, they go together.
constexpr int64_t kLargeMap = 1 << 20;
constexpr Conv2dLayerOptions kConv3{.kernel = 3, .padding = 1};

std::variant<RMSNorm, GroupNorm> make_norm(int64_t channels, UnetNorm norm) {
  if (norm == UnetNorm::rms) return RMSNorm(channels);
  return GroupNorm(8, channels);
}

MemoryAttentionOptions attention_options(const UnetOptions& options, bool full) {
  return {.linear = !full, .heads = options.heads, .head_dim = options.head_dim};
}

}  // namespace

UnetBlock::UnetBlock(int64_t in, int64_t out, double dropout, UnetNorm norm)
    : proj_(in, out, kConv3), norm_(make_norm(out, norm)), dropout_(dropout) {}

Tensor UnetBlock::operator()(Tensor x, const Tensor& scale_and_shift) const {
  x = proj_(x);
  x = std::visit([&](const auto& norm) { return norm.silu(x, scale_and_shift); }, norm_);
  return traced(dropout_(traced("act", x)));
}

void UnetBlock::visit(Visitor& v) {
  v.child("proj", proj_);
  std::visit([&](auto& norm) { v.child("norm", norm); }, norm_);
  v.child("dropout", dropout_);
}

ResnetBlock::ResnetBlock(int64_t in, int64_t out, const UnetOptions& options)
    : time_(4 * options.dim, 2 * out),
      block1_(in, out, options.dropout, options.norm),
      block2_(out, out, 0, options.norm) {
  if (in != out) res_conv_.emplace(in, out);
}

// Each map goes as soon as nothing reads it any more: the last blocks' are the most memory that sampling takes.
Tensor ResnetBlock::operator()(Tensor x, const Tensor& time) const {
  const Tensor scale_and_shift = traced("mlp", time_(traced("mlp.0", silu(time))));  // (N, 2 out)
  Tensor h = block1_(x, scale_and_shift);
  x = res_conv_ ? (*res_conv_)(x) : traced("res_conv", x);
  h = block2_(std::move(h));
  return traced(h + x);
}

void ResnetBlock::visit(Visitor& v) {
  v.child("mlp.1", time_);
  v.child("block1", block1_);
  v.child("block2", block2_);
  v.child("res_conv", res_conv_);
}

UnetResample::UnetResample(int64_t in, int64_t out, Kind kind)
    : kind_(kind), conv_(kind == Kind::down ? 4 * in : in, out, kind == Kind::down ? Conv2dLayerOptions{} : kConv3) {}

Tensor UnetResample::operator()(const Tensor& x) const {
  if (kind_ == Kind::down) return traced(conv_(pixel_unshuffle(x, 2)));
  return traced(conv_(kind_ == Kind::up ? upsample_nearest2(x) : x));
}

void UnetResample::visit(Visitor& v) { v.child(kind_ == Kind::same ? "" : "1", conv_); }

UnetLevel::UnetLevel(int64_t block_in, int64_t channels, int64_t out, bool full_attention, UnetResample::Kind kind,
                     const UnetOptions& options)
    : block1_(block_in, channels, options),
      block2_(block_in, channels, options),
      attention_(channels, attention_options(options, full_attention)),
      resample_(channels, out, kind) {}

Tensor UnetLevel::down(Tensor x, const Tensor& time, Skips& skips) const {
  x = recomputed([this](Tensor h, const Tensor& e) { return block1_(std::move(h), e); }, std::move(x), time);
  skips.push_back(x);
  x = recomputed([this](Tensor h, const Tensor& e) { return attended(block2_(std::move(h), e)); }, std::move(x), time);
  skips.push_back(x);
  return resample_(x);
}

Tensor UnetLevel::attended(const Tensor& x) const { return attention_(x) + x; }

Tensor UnetLevel::up(Tensor x, const Tensor& time, Skips& skips) const {
  x = recomputed(
      [this](Tensor h, Tensor skip, const Tensor& e) { return block1_(joined(std::move(h), std::move(skip)), e); },
      std::move(x), taken(skips), time);
  x = recomputed([this](Tensor h, Tensor skip,
                        const Tensor& e) { return attended(block2_(joined(std::move(h), std::move(skip)), e)); },
                 std::move(x), taken(skips), time);
  return resample_(x);
}

void UnetLevel::visit(Visitor& v) {
  v.child("0", block1_);
  v.child("1", block2_);
  v.child("2", attention_);
  v.child("3", resample_);
}

Unet::Unet(const UnetOptions& options, uint64_t seed)
    : options_(options),
      lowest_(options.mults.empty() ? 0 : options.dim * options.mults.back()),
      init_conv_(options.channels, options.dim, {.kernel = 7, .padding = 3}),
      time_mlp_(options.dim, TimeMlpStyle::lucidrains),
      mid_block1_(lowest_, lowest_, options),
      mid_block2_(lowest_, lowest_, options),
      mid_attention_(lowest_, attention_options(options, true)),
      final_block_(2 * options.dim, options.dim, options),
      final_conv_(options.dim, options.out_channels) {
  check_input(!options.mults.empty(), Fault::kUsage, "unet: expected one multiplier per level, got none");
  const int64_t levels = int64_t(options.mults.size());
  const auto width = [&](int64_t i) { return i == 0 ? options.dim : options.dim * options.mults[size_t(i - 1)]; };
  for (int64_t i = 0; i < levels; ++i) {
    const bool last = i == levels - 1;
    const UnetResample::Kind kind = last ? UnetResample::Kind::same : UnetResample::Kind::down;
    downs_.emplace_back(width(i), width(i), width(i + 1), last, kind, options);
  }
  for (int64_t i = levels - 1; i >= 0; --i) {
    const UnetResample::Kind kind = i == 0 ? UnetResample::Kind::same : UnetResample::Kind::up;
    ups_.emplace_back(width(i + 1) + width(i), width(i + 1), width(i), i == levels - 1, kind, options);
  }
  initialise(seed);
}

Tensor Unet::operator()(const Tensor& input, const Tensor& t, Tensor* deep) const {
  const int64_t factor = int64_t{1} << (options_.mults.size() - 1);
  check(input.rank() == 4 && input.dim(1) == options_.channels && input.dim(2) % factor == 0 &&
            input.dim(3) % factor == 0,
        "unet: x must be (N, ", options_.channels, ", H, W) with H and W multiples of ", factor, ", got ",
        input.shape());
  const Tensor time = time_mlp_(t);
  const int64_t N = input.dim(0);
  if (!can_part(input) || options_.dim * input.dim(2) * input.dim(3) < kLargeMap) {
    Skips skips;
    Tensor x = enter(input, time, skips);
    return traced(leave(inner(std::move(x), time, deep), time, skips));
  }
  PoolVector<Skips> skips(static_cast<size_t>(N));
  PoolVector<Tensor> parts;
  for (int64_t n = 0; n < N; ++n) parts.push_back(enter(picture(input, n), picture(time, n), skips[size_t(n)]));
  Tensor x = concat(parts, 0);
  parts.clear();
  x = inner(std::move(x), time, deep);
  for (int64_t n = 0; n < N; ++n) parts.push_back(leave(picture(x, n), picture(time, n), skips[size_t(n)]));
  return concat(parts, 0);
}

Tensor Unet::enter(const Tensor& input, const Tensor& time, Skips& skips) const {
  Tensor x = init_conv_(input);  // (N, dim, H, W)
  skips.push_back(x);
  return downs_.front().down(std::move(x), time, skips);
}

Tensor Unet::inner(Tensor x, const Tensor& time, Tensor* deep) const {
  if (deep != nullptr && *deep) return *deep;
  Skips skips;
  for (size_t i = 1; i < downs_.size(); ++i) x = downs_[i].down(std::move(x), time, skips);
  const auto middle = [this](Tensor h, const Tensor& e) {
    h = mid_block1_(std::move(h), e);
    h = mid_attention_(h) + h;
    return mid_block2_(std::move(h), e);
  };
  x = recomputed(middle, std::move(x), time);
  for (size_t i = 0; i + 1 < ups_.size(); ++i) x = ups_[i].up(std::move(x), time, skips);
  if (deep != nullptr) *deep = x;
  return x;
}

Tensor Unet::leave(Tensor x, const Tensor& time, Skips& skips) const {
  x = ups_.back().up(std::move(x), time, skips);
  x = recomputed(
      [this](Tensor h, Tensor skip, const Tensor& e) { return final_block_(joined(std::move(h), std::move(skip)), e); },
      std::move(x), taken(skips), time);
  return final_conv_(x);
}

void Unet::visit(Visitor& v) {
  v.child("init_conv", init_conv_);
  v.child("time_mlp", time_mlp_);
  v.child("downs", downs_);
  v.child("ups", ups_);
  v.child("mid_block1", mid_block1_);
  v.child("mid_attn", mid_attention_);
  v.child("mid_block2", mid_block2_);
  v.child("final_res_block", final_block_);
  v.child("final_conv", final_conv_);
}

}  // namespace echodiff
