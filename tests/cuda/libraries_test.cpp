// cuBLASLt and cuDNN as kernels/ calls them, against the CPU's backend and the references.
#include <algorithm>
#include <vector>

#include "cuda/close_values.h"
#include "cuda/device_test.h"
#include "kernels/conv2d.h"
#include "kernels/cuda/backend.h"
#include "kernels/error.h"
#include "kernels/gemm.h"

namespace echodiff::cuda {
namespace {

struct Product {
  int64_t M, N, K;
  bool a_transposed, b_transposed, bias, accumulate;
};

void check_product(const Product& p) {
  SCOPED_TRACE(testing::Message() << p.M << " " << p.N << " " << p.K);
  const int64_t ldc = p.N + 3;
  const std::vector<float> a = normal(p.M * p.K, 1), b = normal(p.K * p.N, 2), bias = normal(p.N, 3);
  std::vector<float> expected = normal(p.M * ldc, 4);
  const DeviceBuffer da = to_device(a), db = to_device(b), dbias = to_device(bias), dc = to_device(expected);
  const auto view = [](const void* data, bool transposed, int64_t rows, int64_t columns) {
    const float* values = static_cast<const float*>(data);
    return transposed ? MatrixView<float>{values, 1, rows} : MatrixView<float>{values, columns, 1};
  };
  gemm(p.M, p.N, p.K, view(da.data(), p.a_transposed, p.M, p.K), view(db.data(), p.b_transposed, p.K, p.N),
       p.bias ? static_cast<const float*>(dbias.data()) : nullptr, static_cast<float*>(dc.data()), ldc, p.accumulate,
       context());
  reference::gemm(p.M, p.N, p.K, view(a.data(), p.a_transposed, p.M, p.K), view(b.data(), p.b_transposed, p.K, p.N),
                  expected.data(), ldc, p.accumulate);
  if (p.bias)
    for (int64_t m = 0; m < p.M; ++m)
      for (int64_t n = 0; n < p.N; ++n) expected[size_t(m * ldc + n)] += bias[size_t(n)];
  expect_close(to_host<float>(dc, expected.size()), expected);
}

class CudaGemm : public DeviceTest {};
TEST_F(CudaGemm, EqualsTheReferenceForViewsOfAllKinds) {
  for (const bool a : {false, true})
    for (const bool b : {false, true})
      for (const bool more : {false, true}) check_product({5, 7, 3, a, b, more, !more});
  check_product({1, 9, 4, false, true, true, false});
  check_product({9, 1, 4, true, false, false, true});
  check_product({3, 4, 1, false, false, true, true});
}

TEST_F(CudaGemm, TakesAViewThatStartsAnywhere) {
  const std::vector<float> a = normal(41, 1), b = normal(12, 2);
  const DeviceBuffer da = to_device(a), db = to_device(b), dc = to_device(std::vector<float>(40));
  gemm<float>(10, 3, 4, {static_cast<const float*>(da.data()) + 1, 4, 1}, {static_cast<const float*>(db.data()), 3, 1},
              nullptr, static_cast<float*>(dc.data()) + 3, 3, false, context());
  std::vector<float> expected(30);
  reference::gemm<float>(10, 3, 4, {a.data() + 1, 4, 1}, {b.data(), 3, 1}, expected.data(), 3, false);
  const std::vector<float> got = to_host<float>(dc, 33);
  expect_close({got.begin() + 3, got.end()}, expected);
}

TEST_F(CudaGemm, ASingleRowMayHaveAnyStride) {
  const std::vector<float> a = normal(5, 1), b = normal(10, 2);
  const DeviceBuffer da = to_device(a), db = to_device(b), dc = allocate(8, "c");
  gemm<float>(1, 2, 5, {static_cast<const float*>(da.data()), 1, 1}, {static_cast<const float*>(db.data()), 2, 1},
              nullptr, static_cast<float*>(dc.data()), 2, false, context());
  std::vector<float> expected(2);
  reference::gemm<float>(1, 2, 5, {a.data(), 1, 1}, {b.data(), 2, 1}, expected.data(), 2, false);
  expect_close(to_host<float>(dc, 2), expected);
}

TEST_F(CudaGemm, RefusesAViewWithoutAUnitStride) {
  const DeviceBuffer data = to_device(std::vector<float>(64));
  float* values = static_cast<float*>(data.data());
  EXPECT_THROW(gemm<float>(2, 2, 2, {values, 4, 2}, {values, 2, 1}, nullptr, values + 32, 2, false, context()), Error);
}

std::vector<Conv2dGeometry> geometries() {
  return {{2, 3, 7, 5, 4, 3, 3, 7, 5, 1, 1, 1, 1, 1, 1, 1},     // odd
          {1, 4, 9, 8, 6, 3, 3, 5, 4, 2, 2, 1, 1, 1, 1, 1},     // strided
          {3, 5, 4, 6, 2, 1, 1, 4, 6, 1, 1, 0, 0, 1, 1, 1},     // 1x1
          {1, 4, 8, 9, 6, 3, 2, 4, 5, 1, 2, 0, 1, 2, 1, 2},     // groups, dilation, no square
          {1, 1, 11, 11, 3, 7, 7, 6, 6, 2, 2, 3, 3, 1, 1, 1}};  // a ResNet's first
}

class CudaConv2d : public DeviceTest {};
TEST_F(CudaConv2d, EqualsTheCpuForwardAndBackward) {
  for (const Conv2dGeometry& g : geometries()) {
    const int64_t x_size = g.N * g.H * g.W * g.C, w_size = g.K * g.R * g.S * g.C / g.groups;
    const int64_t y_size = g.N * g.out_height * g.out_width * g.K;
    const std::vector<float> x = normal(x_size, 1), w = normal(w_size, 2), dy = normal(y_size, 3);
    const std::vector<float> bias = normal(std::max(g.K, g.C), 4);
    const DeviceBuffer on_x = to_device(x), on_w = to_device(w), on_dy = to_device(dy), on_bias = to_device(bias);
    const DeviceBuffer on_y = allocate(size_t(y_size) * 4, "y"), on_dx = allocate(size_t(x_size) * 4, "dx");
    const DeviceBuffer on_dw = allocate(size_t(w_size) * 4, "dw");
    const auto in = [](const DeviceBuffer& b) { return static_cast<const float*>(b.data()); };
    const auto out = [](const DeviceBuffer& b) { return static_cast<float*>(b.data()); };
    for (const bool biased : {false, true}) {
      SCOPED_TRACE(testing::Message() << "C " << g.C << " H " << g.H << " bias " << biased);
      std::vector<float> y(size_t(y_size), 0.0f), dx(size_t(x_size), 0.0f), dw(size_t(w_size), 0.0f);
      cpu::conv2d_forward(g, x.data(), w.data(), biased ? bias.data() : nullptr, y.data());
      conv2d_forward(g, in(on_x), in(on_w), biased ? in(on_bias) : nullptr, out(on_y), context());
      expect_close(to_host<float>(on_y, y.size()), y);
      cpu::conv2d_backward_data(g, dy.data(), w.data(), biased ? bias.data() : nullptr, dx.data());
      conv2d_backward_data(g, in(on_dy), in(on_w), biased ? in(on_bias) : nullptr, out(on_dx), context());
      expect_close(to_host<float>(on_dx, dx.size()), dx);
      cpu::conv2d_backward_weight(g, x.data(), dy.data(), dw.data());
      conv2d_backward_weight(g, in(on_x), in(on_dy), out(on_dw), context());
      expect_close(to_host<float>(on_dw, dw.size()), dw);
    }
  }
}

}  // namespace
}  // namespace echodiff::cuda
