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

OpCase large(OpCase op_case) {
  op_case.gradcheck = false;
  return op_case;
}

}  // namespace

std::vector<OpCase> attention_cases() {
  return {
      soft("two heads", 3, 4, 5, 2, 3),
      soft("one token", 3, 1, 1, 1, 4),
      soft("one key", 2, 5, 1, 2, 3),
      soft("odd", 2, 7, 11, 3, 5),
      soft("scale 0.7", 2, 4, 6, 2, 4, 0.7),
      large(soft("256 queries, 260 keys, 4 x 32", 3, 256, 260, 4, 32)),
      large(soft("65 queries, 131 keys, 3 x 17", 3, 65, 131, 3, 17)),
      linear_one("two heads", 3, 4, 5, 2, 3),
      linear_one("one token", 3, 1, 1, 1, 4),
      linear_one("odd", 2, 7, 11, 3, 5),
      large(linear_one("1024 queries, 1028 keys, 4 x 32", 3, 1024, 1028, 4, 32)),
      large(linear_one("65 queries, 131 keys, 3 x 17", 3, 65, 131, 3, 17)),
  };
}

}  // namespace echodiff
