// time_embedding and dropout.
#include "tests/ops/cases.h"

namespace echodiff {
namespace {

OpCase drop(const std::string& name, const Shape& x, double p) {
  return {.op = "dropout", .name = name, .inputs = {plain(x)}, .fn = [p](const std::vector<Tensor>& in) {
            return dropout(in[0], p, 5, 77);
          }};
}

OpCase embed(const std::string& name, int64_t dim, const TimeEmbeddingOptions& options) {
  OpInput t = index_below({3}, 2000);
  t.batched = true;
  // Nothing to differentiate: the input is an integer.
  return {.op = "time_embedding",
          .name = name,
          .inputs = {t},
          .fn = [=](const std::vector<Tensor>& in) { return time_embedding(in[0], dim, options); },
          .gradcheck = false};
}

}  // namespace

std::vector<OpCase> diffusion_cases() {
  return {
      drop("half", {3, 5, 3, 4}, 0.5),
      drop("none", {3, 7}, 0),
      drop("most", {19, 3}, 0.9),
      embed("sin first", 16, {}),
      embed("cos first, no shift", 32, {.cos_first = true, .freq_shift = 0}),
      embed("odd", 33, {.cos_first = true, .freq_shift = 0}),
  };
}

}  // namespace echodiff
