// Resizing, pixel shuffles and pooling.
#include "tests/ops/cases.h"

namespace echodiff {
namespace {

OpCase to_size(const std::string& name, const Shape& x, int64_t height, int64_t width, const ResizeOptions& options) {
  return {.op = "resize", .name = name, .inputs = {batch(x)}, .fn = [=](const std::vector<Tensor>& in) {
            return resize(in[0], height, width, options);
          }};
}

OpCase image(const std::string& op, const std::string& name, const Shape& x, Tensor (*function)(const Tensor&),
             Values values = Values::normal) {
  return {.op = op,
          .name = name,
          .inputs = {batch(x, values)},
          .fn = [function](const std::vector<Tensor>& in) { return function(in[0]); },
          .gradcheck = x.count() < 2000};
}

}  // namespace

std::vector<OpCase> resize_cases() {
  using enum ResizeMode;
  std::vector<OpCase> cases{
      to_size("nearest, up", {3, 3, 4, 5}, 7, 10, {.mode = nearest}),
      to_size("nearest, down", {2, 3, 7, 8}, 3, 3, {.mode = nearest}),
      to_size("bilinear, up", {3, 3, 4, 5}, 9, 7, {.mode = bilinear}),
      to_size("bilinear, corners", {3, 3, 4, 5}, 8, 10, {.mode = bilinear, .align_corners = true}),
      to_size("bilinear, to one pixel, corners", {3, 2, 4, 5}, 1, 1, {.mode = bilinear, .align_corners = true}),
      to_size("bilinear, down, antialias", {2, 2, 9, 8}, 4, 3, {.mode = bilinear, .antialias = true}),
      to_size("bilinear, from one pixel", {3, 2, 1, 1}, 3, 4, {.mode = bilinear}),
      to_size("bicubic, up", {3, 2, 5, 4}, 10, 9, {.mode = bicubic}),
      to_size("bicubic, corners", {2, 2, 5, 4}, 7, 9, {.mode = bicubic, .align_corners = true}),
      to_size("bicubic, down, antialias", {2, 2, 9, 8}, 4, 5, {.mode = bicubic, .antialias = true}),
  };
  cases.push_back(image("upsample_nearest2", "odd", {3, 5, 3, 4}, upsample_nearest2));
  cases.push_back(image("upsample_nearest2", "one pixel", {3, 1, 1, 1}, upsample_nearest2));
  cases.push_back(image("upsample_nearest2", "large", {3, 33, 17, 16}, upsample_nearest2));
  cases.push_back(image("pixel_shuffle", "2", {3, 12, 3, 4}, [](const Tensor& x) { return pixel_shuffle(x, 2); }));
  cases.push_back(image("pixel_shuffle", "3", {2, 9, 2, 1}, [](const Tensor& x) { return pixel_shuffle(x, 3); }));
  cases.push_back(image("pixel_unshuffle", "2", {3, 3, 6, 4}, [](const Tensor& x) { return pixel_unshuffle(x, 2); }));
  cases.push_back(
      image("pixel_unshuffle", "2, large", {3, 33, 16, 18}, [](const Tensor& x) { return pixel_unshuffle(x, 2); }));

  const auto pool = [&](const std::string& op, const std::string& name, const Shape& x, const PoolOptions& options,
                        Tensor (*function)(const Tensor&, const PoolOptions&)) {
    cases.push_back({.op = op,
                     .name = name,
                     .inputs = {batch(x, op == "max_pool2d" ? Values::distinct : Values::normal)},
                     .fn = [=](const std::vector<Tensor>& in) { return function(in[0], options); }});
  };
  pool("max_pool2d", "2x2", {3, 3, 5, 6}, {}, max_pool2d);
  pool("max_pool2d", "3x3, stride 2, padding 1", {2, 3, 7, 6}, {.kernel = 3, .stride = 2, .padding = 1}, max_pool2d);
  pool("max_pool2d", "ceil mode", {2, 2, 6, 6}, {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true},
       max_pool2d);
  pool("max_pool2d", "dilation 2", {2, 2, 7, 8}, {.kernel = 3, .stride = 1, .dilation = 2}, max_pool2d);
  pool("avg_pool2d", "2x2", {3, 3, 5, 6}, {}, avg_pool2d);
  pool("avg_pool2d", "3x3, stride 2, padding 1", {2, 3, 7, 6}, {.kernel = 3, .stride = 2, .padding = 1}, avg_pool2d);
  pool("avg_pool2d", "padding not counted", {2, 3, 7, 6},
       {.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false}, avg_pool2d);
  pool("avg_pool2d", "ceil mode", {2, 2, 6, 5}, {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true},
       avg_pool2d);
  cases.push_back(
      image("adaptive_avg_pool2d", "1x1", {3, 5, 4, 3}, [](const Tensor& x) { return adaptive_avg_pool2d(x, 1, 1); }));
  cases.push_back(
      image("adaptive_avg_pool2d", "3x2", {3, 3, 7, 5}, [](const Tensor& x) { return adaptive_avg_pool2d(x, 3, 2); }));
  cases.push_back(image("adaptive_avg_pool2d", "larger", {2, 3, 2, 3},
                        [](const Tensor& x) { return adaptive_avg_pool2d(x, 3, 5); }));
  return cases;
}

}  // namespace echodiff
