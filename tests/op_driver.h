// Every op, one list of cases; one driver runs every check on each of them (op_driver_test.cpp).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/philox.h"
#include "tensor/ops.h"
#include "tensor/tensor.h"

namespace echodiff {

// How the elements of an input are drawn. The kinks of an op (relu at 0, ties of a maximum) are avoided by the choice:
// a central difference across a kink is wrong, not the gradient.
enum class Values {
  normal,
  away_from_zero,  // |x| in [0.2, 2]
  positive,        // [0.5, 2]
  unit,            // [0, 1]
  distinct,        // a shuffled grid with steps of 0.1
  index,           // i64 in [0, limit)
};

struct OpInput {
  Shape shape;
  Values values = Values::normal;
  bool differentiable = true;
  bool batched = false;    // dimension 0 is the batch
  int64_t limit = 0;       // of Values::index
  bool parameter = false;  // f32 where activations are bf16
};

using OpFunction = std::function<Tensor(const std::vector<Tensor>& inputs)>;

struct OpCase {
  std::string op;    // the function's name in tensor/ops.h
  std::string name;  // what is special about this case
  std::vector<OpInput> inputs;
  OpFunction fn;
  double tolerance = 3e-6;  // of f32 against the f64 reference, relative to max|reference|
  bool gradcheck = true;    // off for sizes where differences would take minutes
  bool bf16 = true;         // off for what computes in f32 alone, or leaves nothing but rounding to compare
};

// x (N, ...) whose rows must not depend on their neighbours, and everything else.
OpInput batch(Shape shape, Values values = Values::normal);
OpInput plain(Shape shape, Values values = Values::normal);
OpInput parameter(Shape shape);
OpInput constant(Shape shape, Values values = Values::normal);  // needs no gradient
OpInput index_below(Shape shape, int64_t limit);

// All of tests/ops/*_cases.cpp.
std::vector<OpCase> all_op_cases();

// Inputs of a case: the same numbers, exact in f32, whatever the dtype. Differentiable ones require a gradient.
// rounded: the activations among them are exact in bf16, and in that dtype are bf16.
std::vector<Tensor> make_inputs(const OpCase& op_case, DType dtype, Device device = Device::kCpu, bool rounded = false);
// A cotangent for `like`: normal numbers, never ones, which hide errors that sum to zero.
Tensor make_cotangent(const Tensor& like, bool rounded = false);

// Each adds test failures that name the case.
void check_gradients(const OpCase& op_case);  // f64 analytic gradients against central differences
void check_fast_path(const OpCase& op_case);  // f32 on test_device() against the f64 reference: output and gradients
void check_bf16(const OpCase& op_case);       // bf16 on the device against the f64 reference of the same rounded inputs
void check_thread_counts(const OpCase& op_case);  // the same bits with 1, 2 and 3 threads
void check_rows(const OpCase& op_case);           // row n of a batch is, bit for bit, what it is alone

}  // namespace echodiff
