// attention and linear_attention on tokens.
#include "tests/ops/cases.h"

namespace echodiff {
namespace {

OpCase soft(const std::string& name, int64_t B, int64_t queries, int64_t keys, int64_t heads, int64_t d,
            double scale = 0) {
  return {.op = "attention",
          .name = name,
          .inputs = {batch({B, queries, heads * d}), batch({B, keys, heads * d}), batch({B, keys, heads * d})},
          .fn = [=](const std::vector<Tensor>& in) { return attention(in[0], in[1], in[2], heads, scale); },
          .tolerance = 1e-5};
}

OpCase linear_one(const std::string& name, int64_t B, int64_t queries, int64_t keys, int64_t heads, int64_t d) {
  return {.op = "linear_attention",
          .name = name,
          .inputs = {batch({B, queries, heads * d}), batch({B, keys, heads * d}), batch({B, keys, heads * d})},
          .fn = [=](const std::vector<Tensor>& in) { return linear_attention(in[0], in[1], in[2], heads); },
          .tolerance = 1e-5};
}

// q, k, v in one tensor, and M shared keys and values before them.
OpCase joined(const std::string& op, const std::string& name, int64_t B, int64_t L, int64_t M, int64_t heads,
              int64_t d) {
  OpCase op_case{.op = op, .name = name, .inputs = {batch({B, L, 3 * heads * d})}, .fn = {}, .tolerance = 1e-5};
  if (M > 0) op_case.inputs.push_back(parameter({2, M, heads * d}));
  op_case.fn = [=](const std::vector<Tensor>& in) {
    const Tensor memory = M > 0 ? in[1] : Tensor();
    return op == "self_attention" ? self_attention(in[0], memory, heads) : linear_self_attention(in[0], memory, heads);
  };
  return op_case;
}

// The softmax of one key is 1: its gradient is 0, and all there is to compare is the rounding of terms of size 1, which
// the driver divides by 1e-3.
OpCase cancelling(OpCase op_case) {
  op_case.tolerance = 3e-4;
  op_case.bf16 = false;
  return op_case;
}

OpCase large(OpCase op_case) {
  op_case.gradcheck = false;
  return op_case;
}

}  // namespace

std::vector<OpCase> attention_cases() {
  return {
      soft("two heads", 3, 4, 5, 2, 3),
      cancelling(soft("one token", 3, 1, 1, 1, 4)),
      cancelling(soft("one key", 2, 5, 1, 2, 3)),
      soft("odd", 2, 7, 11, 3, 5),
      soft("scale 0.7", 2, 4, 6, 2, 4, 0.7),
      large(soft("256 queries, 260 keys, 4 x 32", 3, 256, 260, 4, 32)),
      large(soft("65 queries, 131 keys, 3 x 17", 3, 65, 131, 3, 17)),
      joined("self_attention", "memory", 3, 5, 2, 2, 3),
      joined("self_attention", "no memory", 2, 4, 0, 2, 3),
      large(joined("self_attention", "256 tokens, 4 x 32, memory", 3, 256, 4, 4, 32)),
      joined("linear_self_attention", "memory", 3, 5, 2, 2, 3),
      joined("linear_self_attention", "no memory", 2, 4, 0, 2, 3),
      large(joined("linear_self_attention", "1024 tokens, 4 x 32, memory", 3, 1024, 4, 4, 32)),
      large(joined("linear_self_attention", "131 tokens, 3 x 17, memory", 2, 131, 5, 3, 17)),
      linear_one("two heads", 3, 4, 5, 2, 3),
      cancelling(linear_one("one token", 3, 1, 1, 1, 4)),
      linear_one("odd", 2, 7, 11, 3, 5),
      large(linear_one("1024 queries, 1028 keys, 4 x 32", 3, 1024, 1028, 4, 32)),
      large(linear_one("65 queries, 131 keys, 3 x 17", 3, 65, 131, 3, 17)),
  };
}

}  // namespace echodiff
