// time_embedding, dropout and cast.
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

// There and back: through the other type that the device has. Both ways round.
OpCase there_and_back(const Shape& x) {
  const auto fn = [](const std::vector<Tensor>& in) {
    const DType dtype = in[0].dtype();
    const DType other = in[0].device() == Device::kCuda ? (dtype == DType::f32 ? DType::bf16 : DType::f32)
                                                        : (dtype == DType::f32 ? DType::f64 : DType::f32);
    return cast(cast(in[0], other), dtype);
  };
  return {.op = "cast",
          .name = concat_message(x),
          .inputs = {batch(x)},
          .fn = fn,
          .tolerance = 1.0 / 256,
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
      there_and_back({3, 5, 3, 4}),
      there_and_back({19, 131}),
  };
}

}  // namespace echodiff
