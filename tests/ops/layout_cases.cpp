// Ops that only move elements: between them every pair of memory layouts.
#include "tests/ops/cases.h"

namespace echodiff {
namespace {

OpCase moves(const std::string& op, const std::string& name, const Shape& x,
             const std::function<Tensor(const Tensor&)>& f, bool by_row = true) {
  return {.op = op, .name = name, .inputs = {by_row ? batch(x) : plain(x)}, .fn = [f](const std::vector<Tensor>& in) {
            return f(in[0]);
          }};
}

OpCase joins(const std::string& name, const std::vector<Shape>& shapes, int64_t dim) {
  OpCase op_case{.op = "concat", .name = name, .inputs = {}, .fn = [dim](const std::vector<Tensor>& in) {
                   return concat(in, dim);
                 }};
  for (const Shape& shape : shapes) op_case.inputs.push_back(dim == 0 ? plain(shape) : batch(shape));
  return op_case;
}

}  // namespace

std::vector<OpCase> layout_cases() {
  return {
      moves("reshape", "image to rows", {3, 4, 2, 5},
            [](const Tensor& x) {
              return reshape(x, Shape{x.dim(0), -1});
            }),
      moves("reshape", "rows to image", {3, 24},
            [](const Tensor& x) {
              return reshape(x, Shape{x.dim(0), 2, 3, 4});
            }),
      moves("reshape", "image to image", {3, 4, 2, 5},
            [](const Tensor& x) {
              return reshape(x, Shape{x.dim(0), 2, 4, 5});
            }),
      moves(
          "reshape", "rank 3 to rank 2", {3, 4, 5},
          [](const Tensor& x) {
            return reshape(x, {-1, 5});
          },
          false),
      moves("permute", "image to (N, H, C, W)", {3, 4, 2, 5},
            [](const Tensor& x) {
              return permute(x, {0, 2, 1, 3});
            }),
      moves("permute", "rank 3", {3, 4, 5},
            [](const Tensor& x) {
              return permute(x, {0, 2, 1});
            }),
      moves(
          "permute", "rank 3, batch last", {3, 4, 5},
          [](const Tensor& x) {
            return permute(x, {1, 2, 0});
          },
          false),
      moves("permute", "rank 5", {2, 3, 2, 2, 3},
            [](const Tensor& x) {
              return permute(x, {0, 3, 1, 4, 2});
            }),
      moves(
          "permute", "transposed matrix", {7, 5},
          [](const Tensor& x) {
            return permute(x, {1, 0});
          },
          false),
      moves(
          "expand", "image", {1, 3, 1, 4},
          [](const Tensor& x) {
            return expand(x, {2, 3, 5, 4});
          },
          false),
      moves(
          "expand", "tokens", {1, 4, 6},
          [](const Tensor& x) {
            return expand(x, {3, 4, 6});
          },
          false),
      moves("slice", "channels", {3, 7, 2, 3}, [](const Tensor& x) { return slice(x, 1, 2, 5); }),
      moves("slice", "rows of an image", {3, 2, 5, 3}, [](const Tensor& x) { return slice(x, 2, 1, 4); }),
      moves(
          "slice", "batch", {5, 2, 3, 3}, [](const Tensor& x) { return slice(x, 0, 1, 3); }, false),
      moves("slice", "last of rank 3", {3, 4, 9}, [](const Tensor& x) { return slice(x, 2, 3, 9); }),
      moves("to_tokens", "image", {3, 5, 2, 4}, to_tokens),
      moves("to_image", "tokens", {3, 8, 5}, [](const Tensor& x) { return to_image(x, 2, 4); }),
      joins("channels", {{3, 2, 3, 4}, {3, 5, 3, 4}, {3, 1, 3, 4}}, 1),
      joins("rows of an image", {{3, 2, 3, 4}, {3, 2, 1, 4}}, 2),
      joins("batch", {{2, 2, 3, 4}, {1, 2, 3, 4}}, 0),
      joins("tokens", {{3, 4, 6}, {3, 2, 6}}, 1),
      joins("one part", {{3, 4}}, 1),
      // The same tensor twice: both gradients must arrive.
      {.op = "concat",
       .name = "a tensor with itself",
       .inputs = {batch({3, 2, 3, 4})},
       .fn =
           [](const std::vector<Tensor>& in) {
             return concat({in[0], in[0]}, 1);
           }},
  };
}

}  // namespace echodiff
