#include "nn/attention.h"

#include "nn/pictures.h"

namespace echodiff {

MemoryAttention::MemoryAttention(int64_t channels, const MemoryAttentionOptions& options)
    : options_(options),
      mem_kv_(make_parameter(options.linear ? Shape{2, options.heads, options.head_dim, options.memory}
                                            : Shape{2, options.heads, options.memory, options.head_dim})),
      norm_(channels),
      to_qkv_(channels, 3 * options.heads * options.head_dim, {.bias = false}),
      to_out_(options.heads * options.head_dim, channels) {
  if (options.linear) out_norm_.emplace(channels);
}

Tensor MemoryAttention::operator()(const Tensor& x) const {
  if (!options_.linear || !can_part(x)) return traced(attend(x));
  PoolVector<Tensor> pictures;
  for (int64_t n = 0; n < x.dim(0); ++n) pictures.push_back(attend(picture(x, n)));
  return concat(pictures, 0);
}

Tensor MemoryAttention::attend(const Tensor& x) const {
  const int64_t heads = options_.heads, d = options_.head_dim, M = options_.memory;
  const Tensor qkv = to_tokens(to_qkv_(norm_(x)));  // (N, H W, 3 heads d)
  const Tensor memory =
      reshape(permute(mem_kv_, options_.linear ? PoolVector<int64_t>{0, 3, 1, 2} : PoolVector<int64_t>{0, 2, 1, 3}),
              {2, M, heads * d});
  const Tensor mixed = options_.linear ? linear_self_attention(qkv, memory, heads) : self_attention(qkv, memory, heads);
  if (!options_.linear && ActivationTrace::current() != nullptr)  // PyTorch's shape: (N, heads, H W, head_dim)
    traced("attend",
           permute(reshape(mixed, {mixed.dim(0), mixed.dim(1), options_.heads, options_.head_dim}), {0, 2, 1, 3}));
  const Tensor y = to_out_(to_image(mixed, x.dim(2), x.dim(3)));
  return out_norm_ ? (*out_norm_)(y) : y;
}

void MemoryAttention::visit(Visitor& v) {
  v.parameter("mem_kv", mem_kv_);
  v.child("norm", norm_);
  v.child("to_qkv", to_qkv_);
  v.child(out_norm_ ? "to_out.0" : "to_out", to_out_);
  v.child("to_out.1", out_norm_);
}

AttentionBlock::AttentionBlock(int64_t channels, const AttentionBlockOptions& options)
    : options_(options),
      norm_(32, channels),
      qkv_weight_(make_parameter({3 * channels, channels, 1})),
      qkv_bias_(make_parameter({3 * channels})),
      proj_weight_(make_parameter({channels, channels, 1})),
      proj_bias_(make_parameter({channels})) {
  check_input(channels % options.heads == 0, Fault::kUsage, "attention: ", channels, " channels are not a multiple of ",
              options.heads, " heads");
}

Tensor AttentionBlock::operator()(const Tensor& x) const {
  const int64_t C = x.dim(1), heads = options_.heads, d = C / heads;
  Tensor weight = qkv_weight_, bias = qkv_bias_;
  if (!options_.new_order) {
    // Reordering the rows once is cheaper than reordering every token's q, k and v.
    weight = permute(reshape(weight, {heads, 3, d * C}), {1, 0, 2});
    bias = permute(reshape(bias, {heads, 3, d}), {1, 0, 2});
  }
  const Tensor tokens = to_tokens(norm_(x));                                               // (N, H W, C)
  const Tensor qkv = linear(tokens, reshape(weight, {3 * C, C}), reshape(bias, {3 * C}));  // (N, H W, 3C)
  const Tensor mixed = self_attention(qkv, {}, heads);
  const Tensor h = linear(mixed, reshape(proj_weight_, {C, C}), proj_bias_);
  return traced(x + to_image(h, x.dim(2), x.dim(3)));
}

void AttentionBlock::visit(Visitor& v) {
  v.child("norm", norm_);
  v.parameter("qkv.weight", qkv_weight_);
  v.parameter("qkv.bias", qkv_bias_);
  v.parameter("proj_out.weight", proj_weight_);
  v.parameter("proj_out.bias", proj_bias_);
}

void AttentionBlock::reset_parameters(const Initialiser& init) {
  init.layer(qkv_weight_, qkv_bias_, Init::torch, "qkv.");
  init.layer(proj_weight_, proj_bias_, Init::zero, "proj_out.");
}

}  // namespace echodiff
