#include "tests/op_driver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/thread_pool.h"
#include "tensor/io/stored.h"
#include "tests/ops/cases.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

constexpr uint64_t kSeed = 20240607;
constexpr double kGradcheckTolerance = 1e-6;
constexpr double kBf16Tolerance = 1.0 / 64;  // relative to max|reference|; one rounding is up to 1/512
constexpr int64_t kMostElements = 96;        // central differences per input; a random direction covers the others

struct Results {
  Tensor output;
  std::vector<Tensor> gradients;  // undefined where the input is not differentiable
};

Results run_with_gradients(const OpCase& op_case, DType dtype, Device device = Device::kCpu, bool rounded = false) {
  std::vector<Tensor> inputs = make_inputs(op_case, dtype, device, rounded);
  Results results{op_case.fn(inputs), {}};
  const bool differentiable = results.output.requires_grad();
  if (differentiable) results.output.backward(make_cotangent(results.output, rounded));
  for (const Tensor& input : inputs) results.gradients.push_back(input.grad());
  return results;
}

double max_abs(const std::vector<double>& values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

// The tensor's f64 elements plus step * direction, outside the graph.
Tensor moved(const Tensor& x, const std::vector<double>& direction, double step) {
  Tensor y = x.clone();
  double* values = y.mutable_data<double>();
  for (size_t i = 0; i < direction.size(); ++i) values[i] += step * direction[i];
  return y;
}

double dot(const Tensor& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < b.size(); ++i) sum += a.data<double>()[i] * b[i];
  return sum;
}

// <dy, f(x + h v) - f(x - h v)> / 2h. Subtracting before summing keeps rounding errors to the elements that moved.
double directional_derivative(const OpCase& op_case, std::vector<Tensor> inputs, size_t which, const Tensor& dy,
                              const std::vector<double>& direction) {
  constexpr double kStep = 1e-5;
  const NoGrad no_grad;
  const Tensor x = inputs[which];
  inputs[which] = moved(x, direction, kStep);
  const Tensor above = op_case.fn(inputs);
  inputs[which] = moved(x, direction, -kStep);
  const Tensor below = op_case.fn(inputs);
  double sum = 0;
  for (int64_t i = 0; i < dy.count(); ++i)
    sum += dy.data<double>()[i] * (above.data<double>()[i] - below.data<double>()[i]);
  return sum / (2 * kStep);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined()) return false;
  if (!a.defined()) return true;
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) return false;
  const size_t bytes = size_t(a.count() * size_of(a.dtype()));
  if (a.dtype() == DType::f32) return std::memcmp(a.data<float>(), b.data<float>(), bytes) == 0;
  if (a.dtype() == DType::f64) return std::memcmp(a.data<double>(), b.data<double>(), bytes) == 0;
  return std::memcmp(a.data<int64_t>(), b.data<int64_t>(), bytes) == 0;
}

// Row n of dimension 0, which is the outermost in memory for every rank.
Tensor row_of(const Tensor& x, int64_t n) {
  Shape shape = x.shape();
  shape[0] = 1;
  Tensor row = empty(shape, x.dtype());
  const int64_t count = shape.count();
  if (x.dtype() == DType::i64)
    std::copy_n(x.data<int64_t>() + n * count, count, row.mutable_data<int64_t>());
  else
    std::copy_n(x.data<float>() + n * count, count, row.mutable_data<float>());
  return row;
}

class ThreadCount {
 public:
  explicit ThreadCount(int count) : before_(thread_count()) { set_thread_count(count); }
  ~ThreadCount() { set_thread_count(before_); }
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

std::string title(const OpCase& op_case) { return op_case.op + " [" + op_case.name + "]"; }

double draw(Values values, int64_t limit, Random& random) {
  switch (values) {
    case Values::normal: return random.normal();
    case Values::away_from_zero: return (random.bits() & 1 ? 1 : -1) * random.uniform(0.2, 2);
    case Values::positive: return random.uniform(0.5, 2);
    case Values::unit: return random.uniform();
    case Values::index: return double(random.below(limit));
    case Values::distinct: return 0;  // drawn as a whole
  }
  return 0;
}

std::vector<double> draw_all(const OpInput& input, uint64_t stream) {
  Random random(kSeed, stream);
  std::vector<double> values(size_t(input.shape.count()));
  for (double& value : values) value = double(float(draw(input.values, input.limit, random)));
  if (input.values == Values::distinct) {
    for (size_t i = 0; i < values.size(); ++i) values[i] = 0.1 * (double(i) - double(values.size()) / 2);
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[size_t(random.below(int64_t(i)))]);
    for (double& value : values) value = double(float(value));
  }
  return values;
}

// rounded: to what bf16 holds.
Tensor tensor_of(const Shape& shape, const std::vector<double>& values, DType dtype, Device device, bool rounded) {
  if (!rounded) return from_vector(shape, values, dtype).to(device);
  const Tensor nearest = nearest_stored(from_vector(shape, values), StoredType::bf16, "an input");
  return dtype == DType::bf16 ? nearest.to(device).to(dtype) : nearest.to(dtype).to(device);
}

// Output and gradients, relative to the largest element of each.
void expect_close(const OpCase& op_case, const Results& found, const Results& expected, double tolerance) {
  const auto compare = [&](const Tensor& a, const Tensor& b, const std::string& what) {
    ASSERT_EQ(a.defined(), b.defined()) << title(op_case) << ": " << what;
    if (!a.defined()) return;
    ASSERT_EQ(a.shape(), b.shape()) << title(op_case) << ": " << what;
    const std::vector<double> values = a.to_vector(), exact = b.to_vector();
    const double scale = std::max(1e-3, max_abs(exact));
    double worst = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const double error = std::abs(values[i] - exact[i]) / scale;
      worst = std::isnan(error) ? INFINITY : std::max(worst, error);
    }
    EXPECT_LE(worst, tolerance) << title(op_case) << ": " << what << " of " << name_of(a.dtype())
                                << " against the f64 reference";
  };
  compare(found.output, expected.output, "output");
  for (size_t i = 0; i < found.gradients.size(); ++i)
    compare(found.gradients[i], expected.gradients[i], "gradient of input " + std::to_string(i));
}

}  // namespace

OpInput batch(Shape shape, Values values) { return {.shape = std::move(shape), .values = values, .batched = true}; }
OpInput plain(Shape shape, Values values) { return {.shape = std::move(shape), .values = values}; }
OpInput parameter(Shape shape) { return {.shape = std::move(shape), .parameter = true}; }
OpInput constant(Shape shape, Values values) {
  return {.shape = std::move(shape), .values = values, .differentiable = false};
}
OpInput index_below(Shape shape, int64_t limit) {
  return {.shape = std::move(shape), .values = Values::index, .differentiable = false, .limit = limit};
}

std::vector<OpCase> all_op_cases() {
  std::vector<OpCase> all;
  for (const auto& list : {convolution_cases, matrix_cases, norm_cases, activation_cases, attention_cases, resize_cases,
                           arithmetic_cases, layout_cases, loss_cases, diffusion_cases})
    for (OpCase& op_case : list()) all.push_back(std::move(op_case));
  return all;
}

std::vector<Tensor> make_inputs(const OpCase& op_case, DType dtype, Device device, bool rounded) {
  std::vector<Tensor> inputs;
  for (const OpInput& input : op_case.inputs) {
    const std::vector<double> values = draw_all(input, inputs.size());
    const bool activation = input.differentiable && !input.parameter;
    const DType kept = input.values == Values::index         ? DType::i64
                       : dtype == DType::bf16 && !activation ? DType::f32
                                                             : dtype;
    Tensor x = tensor_of(input.shape, values, kept, device, rounded && activation);
    x.set_requires_grad(input.differentiable);
    inputs.push_back(x);
  }
  return inputs;
}

Tensor make_cotangent(const Tensor& like, bool rounded) {
  return tensor_of(like.shape(), draw_all(plain(like.shape()), 1000), like.dtype(), like.device(), rounded);
}

void check_gradients(const OpCase& op_case) {
  std::vector<Tensor> inputs = make_inputs(op_case, DType::f64);
  const Tensor y = op_case.fn(inputs);
  ASSERT_EQ(y.dtype(), DType::f64) << title(op_case);
  const Tensor dy = make_cotangent(y);
  y.backward(dy);
  for (size_t which = 0; which < inputs.size(); ++which) {
    if (!op_case.inputs[which].differentiable) continue;
    const Tensor gradient = inputs[which].grad();
    ASSERT_TRUE(gradient.defined()) << title(op_case) << ": input " << which << " got no gradient";
    const int64_t count = inputs[which].count(), checked = std::min(count, kMostElements);
    std::vector<double> numeric, analytic;
    for (int64_t k = 0; k < checked; ++k) {
      const int64_t element = k * count / checked;
      std::vector<double> direction(size_t(count), 0);
      direction[size_t(element)] = 1;
      numeric.push_back(directional_derivative(op_case, inputs, which, dy, direction));
      analytic.push_back(gradient.data<double>()[element]);
    }
    const double scale = std::max(1e-3, max_abs(numeric));
    size_t worst = 0;
    for (size_t k = 0; k < numeric.size(); ++k)
      if (!(std::abs(analytic[k] - numeric[k]) <= std::abs(analytic[worst] - numeric[worst]))) worst = k;
    EXPECT_LT(std::abs(analytic[worst] - numeric[worst]) / scale, kGradcheckTolerance)
        << title(op_case) << ": input " << which << ", element " << int64_t(worst) * count / checked << ": gradient "
        << analytic[worst] << ", difference quotient " << numeric[worst];

    std::vector<double> direction = draw_all(plain(inputs[which].shape()), 2000 + which);
    const double length = std::sqrt(double(count));
    for (double& component : direction) component /= length;
    const double along = dot(gradient, direction);
    const double quotient = directional_derivative(op_case, inputs, which, dy, direction);
    EXPECT_LT(std::abs(along - quotient) / std::max(scale, std::abs(quotient)), kGradcheckTolerance)
        << title(op_case) << ": input " << which << " along a random direction: gradient " << along
        << ", difference quotient " << quotient;
  }
}

void check_fast_path(const OpCase& op_case) {
  expect_close(op_case, run_with_gradients(op_case, DType::f32, test_device()), run_with_gradients(op_case, DType::f64),
               op_case.tolerance);
}

void check_bf16(const OpCase& op_case) {
  const Results found = run_with_gradients(op_case, DType::bf16, Device::kCuda, true);
  if (found.output.requires_grad()) {
    EXPECT_EQ(found.output.dtype(), DType::bf16) << title(op_case);
  }
  expect_close(op_case, found, run_with_gradients(op_case, DType::f64, Device::kCpu, true), kBf16Tolerance);
}

void check_thread_counts(const OpCase& op_case) {
  Results one;
  {
    const ThreadCount threads(1);
    one = run_with_gradients(op_case, DType::f32);
  }
  for (const int count : {2, 3}) {
    const ThreadCount threads(count);
    const Results many = run_with_gradients(op_case, DType::f32);
    EXPECT_TRUE(same_bits(one.output, many.output)) << title(op_case) << ": output with " << count << " threads";
    for (size_t i = 0; i < one.gradients.size(); ++i)
      EXPECT_TRUE(same_bits(one.gradients[i], many.gradients[i]))
          << title(op_case) << ": gradient of input " << i << " with " << count << " threads";
  }
}

void check_rows(const OpCase& op_case) {
  int64_t rows = 0;
  for (const OpInput& input : op_case.inputs)
    if (input.batched) rows = input.shape[0];
  if (rows < 2) return;
  const NoGrad no_grad;
  const std::vector<Tensor> inputs = make_inputs(op_case, DType::f32);
  const Tensor together = op_case.fn(inputs);
  ASSERT_EQ(together.dim(0), rows) << title(op_case);
  for (int64_t n = 0; n < rows; ++n) {
    std::vector<Tensor> alone = inputs;
    for (size_t i = 0; i < alone.size(); ++i)
      if (op_case.inputs[i].batched) alone[i] = row_of(inputs[i], n);
    EXPECT_TRUE(same_bits(op_case.fn(alone), row_of(together, n))) << title(op_case) << ": row " << n;
  }
}

}  // namespace echodiff
