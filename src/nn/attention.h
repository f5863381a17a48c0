// The two self-attentions of a U-Net: lucidrains' (memory key/values, full or linear) and guided-diffusion's.
#pragma once

#include <optional>

#include "nn/conv2d.h"
#include "nn/norm.h"

namespace echodiff {

// lucidrains: RMSNorm, 1x1 to q, k, v, learned key/values put before the image's own, 1x1 back. No skip inside.
// Linear attention (Shen et al. 2018, arXiv:1812.01243) ends with one more RMSNorm.
struct MemoryAttentionOptions {
  bool linear = false;
  int64_t heads = 4, head_dim = 32, memory = 4;
};

class MemoryAttention : public Module {
 public:
  MemoryAttention(int64_t channels, const MemoryAttentionOptions& options);
  // x (N, C, H, W) -> the same shape. Linear attention in inference on the CPU takes one picture after the other: the
  // queries, keys and values of a whole batch of large maps would be the most memory that a U-Net takes.
  Tensor operator()(const Tensor& x) const;
  void visit(Visitor& v) override;

 protected:
  void reset_parameters(const Initialiser& init) override { init.normal("mem_kv", mem_kv_, 1); }

 private:
  Tensor attend(const Tensor& x) const;

  MemoryAttentionOptions options_;
  Tensor mem_kv_;  // keys, then values: (2, heads, memory, head_dim), or (2, heads, head_dim, memory) when linear
  RMSNorm norm_;
  Conv2d to_qkv_, to_out_;
  std::optional<RMSNorm> out_norm_;
};

// guided-diffusion: x + proj_out(attention(qkv(norm(x)))). The rows of qkv are [head][q|k|v][channel] in the legacy
// order, [q|k|v][head][channel] in the new one.
struct AttentionBlockOptions {
  int64_t heads = 1;
  bool new_order = false;
};

class AttentionBlock : public Module {
 public:
  AttentionBlock(int64_t channels, const AttentionBlockOptions& options);
  Tensor operator()(const Tensor& x) const;  // x (N, C, H, W) -> the same shape
  void visit(Visitor& v) override;

 protected:
  void reset_parameters(const Initialiser& init) override;

 private:
  AttentionBlockOptions options_;
  GroupNorm norm_;
  Tensor qkv_weight_, qkv_bias_;    // (3C, C, 1), (3C)
  Tensor proj_weight_, proj_bias_;  // (C, C, 1), (C)
};

}  // namespace echodiff
