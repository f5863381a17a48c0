// conv2d and conv_transpose2d: strides, dilation, groups, odd sizes, and sizes the fast path blocks and vectorises.
#include "tests/ops/cases.h"

namespace echodiff {
namespace {

OpCase conv(const std::string& name, const Shape& x, const Shape& weight, const Conv2dOptions& options,
            bool bias = true) {
  OpCase op_case{.op = "conv2d", .name = name, .inputs = {batch(x), parameter(weight)}, .fn = {}};
  if (bias) op_case.inputs.push_back(parameter({weight[0]}));
  op_case.fn = [=](const std::vector<Tensor>& in) { return conv2d(in[0], in[1], bias ? in[2] : Tensor(), options); };
  return op_case;
}

OpCase large(OpCase op_case) {
  op_case.gradcheck = false;
  op_case.tolerance = 1e-5;
  return op_case;
}

// 3x3 convolutions that take the Winograd path, with its own tolerance.
OpCase winograd(OpCase op_case) {
  op_case.gradcheck = false;
  op_case.tolerance = 3e-5;
  return op_case;
}

OpCase transpose(const std::string& name, const Shape& x, const Shape& weight, const ConvTranspose2dOptions& options,
                 bool bias = true) {
  OpCase op_case{.op = "conv_transpose2d", .name = name, .inputs = {batch(x), parameter(weight)}, .fn = {}};
  if (bias) op_case.inputs.push_back(parameter({weight[1] * options.groups}));
  op_case.fn = [=](const std::vector<Tensor>& in) {
    return conv_transpose2d(in[0], in[1], bias ? in[2] : Tensor(), options);
  };
  return op_case;
}

}  // namespace

std::vector<OpCase> convolution_cases() {
  return {
      conv("3x3", {3, 5, 7, 6}, {4, 5, 3, 3}, {.padding = {1, 1}}),
      conv("3x3, no padding", {2, 3, 5, 4}, {2, 3, 3, 3}, {}),
      conv("3x3, no bias", {2, 3, 5, 4}, {7, 3, 3, 3}, {.padding = {1, 1}}, false),
      conv("1x1", {3, 9, 4, 5}, {17, 9, 1, 1}, {}),
      conv("1x1, stride 2", {2, 4, 5, 7}, {3, 4, 1, 1}, {.stride = {2, 2}}, false),
      conv("7x7", {2, 4, 9, 8}, {3, 4, 7, 7}, {.padding = {3, 3}}),
      conv("7x7, stride 2", {2, 1, 13, 11}, {5, 1, 7, 7}, {.stride = {2, 2}, .padding = {3, 3}}, false),
      conv("3x3, stride 2", {3, 4, 8, 7}, {6, 4, 3, 3}, {.stride = {2, 2}, .padding = {1, 1}}),
      conv("4x4, stride 2", {2, 3, 8, 6}, {3, 3, 4, 4}, {.stride = {2, 2}, .padding = {1, 1}}),
      conv("stride (2, 1), padding (1, 0)", {2, 3, 7, 6}, {2, 3, 3, 3}, {.stride = {2, 1}, .padding = {1, 0}}),
      conv("dilation 2", {2, 3, 8, 9}, {4, 3, 3, 3}, {.padding = {2, 2}, .dilation = {2, 2}}),
      conv("groups 2", {2, 6, 5, 5}, {8, 3, 3, 3}, {.padding = {1, 1}, .groups = 2}),
      conv("depthwise", {2, 5, 6, 5}, {5, 1, 3, 3}, {.padding = {1, 1}, .groups = 5}),
      conv("3x5 kernel", {2, 3, 5, 7}, {4, 3, 3, 5}, {.padding = {1, 2}}),
      conv("1x1 image", {3, 4, 1, 1}, {17, 4, 3, 3}, {.padding = {1, 1}}),
      conv("one channel in and out", {3, 1, 6, 5}, {1, 1, 3, 3}, {.padding = {1, 1}}),
      conv("one output channel", {3, 16, 4, 4}, {1, 16, 1, 1}, {}),
      winograd(conv("winograd, 32 to 32, 64x64", {3, 32, 64, 64}, {32, 32, 3, 3}, {.padding = {1, 1}})),
      winograd(conv("winograd, 32 to 48, 9x17", {3, 32, 9, 17}, {48, 32, 3, 3}, {.padding = {1, 1}})),
      winograd(conv("winograd, 80 to 32, 8x8", {3, 80, 8, 8}, {32, 80, 3, 3}, {.padding = {1, 1}}, false)),
      winograd(conv("winograd, 48 to 80, no padding, 31x33", {3, 48, 31, 33}, {80, 48, 3, 3}, {})),
      winograd(conv("winograd, padding (2, 0), 19x12", {3, 32, 19, 12}, {32, 32, 3, 3}, {.padding = {2, 0}})),
      winograd(conv("winograd, 32 to 32, 128x128", {2, 32, 128, 128}, {32, 32, 3, 3}, {.padding = {1, 1}})),
      winograd(conv("winograd, 256 to 128, 12x12", {3, 256, 12, 12}, {128, 256, 3, 3}, {.padding = {1, 1}})),
      large(conv("4 to 64, 7x7, 33x31", {3, 4, 33, 31}, {64, 4, 7, 7}, {.padding = {3, 3}})),
      large(conv("65 to 130, 9x17", {3, 65, 9, 17}, {130, 65, 3, 3}, {.padding = {1, 1}})),
      large(conv("128 to 96, 1x1, 16x16", {3, 128, 16, 16}, {96, 128, 1, 1}, {})),
      large(conv("64 to 64, stride 2, 31x32", {3, 64, 31, 32}, {64, 64, 3, 3}, {.stride = {2, 2}, .padding = {1, 1}})),
      large(conv("64 to 64, groups 4, 15x16", {3, 64, 15, 16}, {64, 16, 3, 3}, {.padding = {1, 1}, .groups = 4})),
      transpose("4x4, stride 2", {2, 4, 4, 5}, {4, 3, 4, 4}, {.stride = {2, 2}, .padding = {1, 1}}),
      transpose("2x2, stride 2, no bias", {3, 3, 3, 4}, {3, 5, 2, 2}, {.stride = {2, 2}}, false),
      transpose("output padding", {2, 3, 4, 3}, {3, 4, 3, 3},
                {.stride = {2, 2}, .padding = {1, 1}, .output_padding = {1, 1}}),
      transpose("groups 2", {2, 4, 3, 3}, {4, 3, 3, 3}, {.stride = {2, 2}, .padding = {1, 1}, .groups = 2}),
      transpose("dilation 2", {2, 3, 4, 5}, {3, 2, 3, 3}, {.padding = {2, 2}, .dilation = {2, 2}}),
      transpose("1x1 image", {3, 2, 1, 1}, {2, 1, 3, 3}, {}),
      large(transpose("32 to 17, 16x15", {3, 32, 16, 15}, {32, 17, 4, 4}, {.stride = {2, 2}, .padding = {1, 1}})),
  };
}

}  // namespace echodiff
