#include "nn/attention.h"

#include "nn/trace.h"

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

// tokens (N, L, heads*d) -> (N, memory + L, heads*d); part 0: keys, 1: values.
Tensor MemoryAttention::with_memory(const Tensor& tokens, int64_t part) const {
  const int64_t heads = options_.heads, d = options_.head_dim, n = options_.memory;
  Tensor memory = slice(mem_kv_, 0, part, part + 1);
  memory = options_.linear ? permute(reshape(memory, {heads, d, n}), {2, 0, 1})
                           : permute(reshape(memory, {heads, n, d}), {1, 0, 2});  // (memory, heads, d)
  memory = expand(reshape(memory, {1, n, heads * d}), {tokens.dim(0), n, heads * d});
  return concat({memory, tokens}, 1);
}

Tensor MemoryAttention::operator()(const Tensor& x) const {
  const int64_t inner = options_.heads * options_.head_dim;
  const Tensor qkv = to_tokens(to_qkv_(norm_(x)));  // (N, H W, 3 inner)
  const Tensor q = slice(qkv, 2, 0, inner);
  const Tensor k = with_memory(slice(qkv, 2, inner, 2 * inner), 0);
  const Tensor v = with_memory(slice(qkv, 2, 2 * inner, 3 * inner), 1);
  const Tensor mixed = options_.linear ? linear_attention(q, k, v, options_.heads) : attention(q, k, v, options_.heads);
  if (!options_.linear && ActivationTrace::current() != nullptr)  // PyTorch's shape: (N, heads, H W, head_dim)
    traced("attend",
           permute(reshape(mixed, {mixed.dim(0), mixed.dim(1), options_.heads, options_.head_dim}), {0, 2, 1, 3}));
  Tensor y = to_out_(to_image(mixed, x.dim(2), x.dim(3)));
  if (out_norm_) y = (*out_norm_)(y);
  return traced(y);
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
  const Tensor mixed = attention(slice(qkv, 2, 0, C), slice(qkv, 2, C, 2 * C), slice(qkv, 2, 2 * C, 3 * C), heads);
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
