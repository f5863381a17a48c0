// group_norm, rms_norm, layer_norm, batch_norm.
#include "tests/ops/cases.h"

namespace echodiff {
namespace {

OpCase group(const std::string& name, const Shape& x, int64_t groups, double eps = 1e-5, bool large = false) {
  return {.op = "group_norm",
          .name = name,
          .inputs = {batch(x), parameter({x[1]}), parameter({x[1]})},
          .fn = [=](const std::vector<Tensor>& in) { return group_norm(in[0], groups, in[1], in[2], eps); },
          .gradcheck = !large};
}

OpCase rms(const std::string& name, const Shape& x, bool large = false) {
  return {.op = "rms_norm",
          .name = name,
          .inputs = {batch(x), parameter({1, x[1], 1, 1})},
          .fn = [](const std::vector<Tensor>& in) { return rms_norm(in[0], in[1]); },
          .gradcheck = !large};
}

// modulated: with scale and shift
OpCase group_silu(const std::string& name, const Shape& x, int64_t groups, bool modulated, bool large = false) {
  OpCase op_case{.op = "group_norm_silu",
                 .name = name,
                 .inputs = {batch(x), parameter({x[1]}), parameter({x[1]})},
                 .fn = {},
                 .gradcheck = !large};
  if (modulated) op_case.inputs.push_back(batch({x[0], 2 * x[1]}));
  op_case.fn = [=](const std::vector<Tensor>& in) {
    return group_norm_silu(in[0], groups, in[1], in[2], 1e-5, modulated ? in[3] : Tensor());
  };
  return op_case;
}

OpCase rms_silu(const std::string& name, const Shape& x, bool modulated, bool large = false) {
  OpCase op_case{.op = "rms_norm_silu",
                 .name = name,
                 .inputs = {batch(x), parameter({1, x[1], 1, 1})},
                 .fn = {},
                 .gradcheck = !large};
  if (modulated) op_case.inputs.push_back(batch({x[0], 2 * x[1]}));
  op_case.fn = [=](const std::vector<Tensor>& in) { return rms_norm_silu(in[0], in[1], modulated ? in[2] : Tensor()); };
  return op_case;
}

OpCase layer(const std::string& name, const Shape& x, bool large = false) {
  const int64_t C = x[x.rank() - 1];
  return {.op = "layer_norm",
          .name = name,
          .inputs = {batch(x), parameter({C}), parameter({C})},
          .fn = [](const std::vector<Tensor>& in) { return layer_norm(in[0], in[1], in[2]); },
          .gradcheck = !large};
}

// Statistics over the batch: rows do depend on their neighbours in training, by definition.
OpCase batch_statistics(const std::string& name, const Shape& x, bool training, bool large = false) {
  return {.op = "batch_norm",
          .name = name,
          .inputs = {training ? plain(x) : batch(x), parameter({x[1]}), parameter({x[1]}), constant({x[1]}),
                     constant({x[1]}, Values::positive)},
          .fn =
              [=](const std::vector<Tensor>& in) {
                Tensor mean = in[3].clone(), var = in[4].clone();  // updated in place
                return batch_norm(in[0], in[1], in[2], mean, var, {.training = training});
              },
          .gradcheck = !large};
}

// The same with the residual and ReLU behind it.
OpCase batch_statistics_relu(const std::string& name, const Shape& x, bool training, bool large = false) {
  return {.op = "batch_norm_relu",
          .name = name,
          .inputs = {training ? plain(x) : batch(x), parameter({x[1]}), parameter({x[1]}), constant({x[1]}),
                     constant({x[1]}, Values::positive), training ? plain(x) : batch(x)},
          .fn =
              [=](const std::vector<Tensor>& in) {
                Tensor mean = in[3].clone(), var = in[4].clone();  // updated in place
                return batch_norm_relu(in[0], in[1], in[2], mean, var, in[5], {.training = training});
              },
          .gradcheck = !large};
}

}  // namespace

std::vector<OpCase> norm_cases() {
  return {
      batch_statistics_relu("training", {3, 2, 3, 4}, true),
      batch_statistics_relu("evaluation", {2, 3, 4, 3}, false),
      batch_statistics_relu("64 channels, 17x16", {3, 64, 17, 16}, true, true),
      group_silu("2 groups", {2, 6, 3, 5}, 2, false),
      group_silu("2 groups, modulated", {3, 6, 4, 3}, 2, true),
      group_silu("32 groups of 33x19, modulated", {2, 64, 33, 19}, 32, true, true),
      rms_silu("odd", {2, 5, 3, 4}, false),
      rms_silu("modulated", {3, 5, 4, 3}, true),
      rms_silu("64 channels, 33x19, modulated", {2, 64, 33, 19}, true, true),
      group("8 channels, 2 groups", {3, 8, 4, 5}, 2),
      group("one group", {3, 6, 3, 3}, 1),
      group("a group per channel", {3, 5, 4, 3}, 5),
      group("one pixel", {3, 8, 1, 1}, 2),
      group("12 channels, 4 groups, eps 1e-6", {2, 12, 5, 3}, 4, 1e-6),
      group("64 channels, 8 groups, 32x31", {3, 64, 32, 31}, 8, 1e-5, true),
      group("48 channels, 16 groups, 17x16", {3, 48, 17, 16}, 16, 1e-5, true),
      rms("5 channels", {3, 5, 4, 3}),
      rms("one pixel", {3, 9, 1, 1}),
      rms("17 channels", {2, 17, 2, 3}),
      rms("64 channels, 32x31", {3, 64, 32, 31}, true),
      layer("rank 2", {3, 7}),
      layer("tokens", {3, 4, 9}),
      layer("tokens, 77x129", {3, 77, 129}, true),
      batch_statistics("training", {4, 5, 3, 4}, true),
      batch_statistics("training, one pixel", {5, 3, 1, 1}, true),
      batch_statistics("evaluation", {3, 5, 3, 4}, false),
      batch_statistics("training, 64 channels, 15x16", {3, 64, 15, 16}, true, true),
      batch_statistics("evaluation, 64 channels, 15x16", {3, 64, 15, 16}, false, true),
  };
}

}  // namespace echodiff
