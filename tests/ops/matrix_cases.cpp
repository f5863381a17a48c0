// matmul and linear.
#include "tests/ops/cases.h"

namespace echodiff {
namespace {

// The second factor of a batched product is batched with the first.
OpCase product(const std::string& name, const Shape& a, const Shape& b, bool large = false) {
  const bool batched = a.rank() == 3;
  return {.op = "matmul",
          .name = name,
          .inputs = {batched ? batch(a) : plain(a), batched ? batch(b) : plain(b)},
          .fn = [](const std::vector<Tensor>& in) { return matmul(in[0], in[1]); },
          .gradcheck = !large};
}

OpCase lin(const std::string& name, const Shape& x, int64_t out, bool bias, bool large = false) {
  OpCase op_case{.op = "linear", .name = name, .inputs = {batch(x), parameter({out, x[x.rank() - 1]})}, .fn = {}};
  if (bias) op_case.inputs.push_back(parameter({out}));
  op_case.fn = [bias](const std::vector<Tensor>& in) { return linear(in[0], in[1], bias ? in[2] : Tensor()); };
  op_case.gradcheck = !large;
  return op_case;
}

}  // namespace

std::vector<OpCase> matrix_cases() {
  return {
      product("3x5 5x4", {3, 5}, {5, 4}),
      product("1x1 1x1", {1, 1}, {1, 1}),
      product("row by column", {1, 17}, {17, 1}),
      product("column by row", {9, 1}, {1, 7}),
      product("batched", {3, 4, 5}, {3, 5, 6}),
      product("batched, odd", {3, 17, 9}, {3, 9, 33}, true),
      product("130x67 67x65", {130, 67}, {67, 65}, true),
      lin("3 rows", {3, 5}, 4, true),
      lin("no bias", {3, 17}, 9, false),
      lin("one output", {3, 33}, 1, true),
      lin("one input", {3, 1}, 5, true),
      lin("tokens", {3, 4, 6}, 5, true),
      lin("512 to 256", {3, 512}, 256, true, true),
      lin("tokens, 77x64 to 192", {3, 77, 64}, 192, true, true),
  };
}

}  // namespace echodiff
