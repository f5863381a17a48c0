// Tensor: shapes, the layout of each rank, sharing and copying, and what throws.
#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "kernels/philox.h"
#include "tensor/autograd.h"
#include "tensor/ops.h"
#include "train/draws.h"

namespace echodiff {
namespace {

std::vector<double> counting(int64_t n) {
  std::vector<double> values(static_cast<size_t>(n));
  for (size_t i = 0; i < values.size(); ++i) values[i] = double(i);
  return values;
}

TEST(Shape, CountsAndStrides) {
  EXPECT_EQ(Shape().count(), 1);
  EXPECT_EQ((Shape{2, 0, 3}.count()), 0);
  EXPECT_EQ((Shape{2, 3, 4}.strides()), (PoolVector<int64_t>{12, 4, 1}));
  EXPECT_EQ((Shape{2, 3, 4, 5}.strides()), (PoolVector<int64_t>{60, 1, 15, 3}));  // channels last
  EXPECT_EQ(concat_message(Shape{2, 3}), "(2, 3)");
}

TEST(Tensor, Rank4IsChannelsLast) {
  const Tensor x = from_vector({2, 3, 2, 2}, counting(24));
  EXPECT_EQ(x.to_vector(), counting(24));
  // n = 0, pixel (0, 0): the three channels are neighbours.
  EXPECT_EQ(x.data<float>()[0], 0);
  EXPECT_EQ(x.data<float>()[1], 4);
  EXPECT_EQ(x.data<float>()[2], 8);
  EXPECT_EQ(x.data<float>()[3], 1);
}

TEST(Tensor, OtherRanksAreRowMajor) {
  for (const Shape& shape : {Shape{24}, Shape{4, 6}, Shape{2, 3, 4}, Shape{2, 1, 3, 2, 2}}) {
    const Tensor x = from_vector(shape, counting(24));
    for (int64_t i = 0; i < 24; ++i) EXPECT_EQ(x.data<float>()[i], float(i)) << shape;
  }
}

TEST(Tensor, CopiesShareAndClonesDoNot) {
  Tensor x = full({3}, 1);
  Tensor shared = x, copy = x.clone(), aside = x.detach();
  x.mutable_data<float>()[1] = 5;
  EXPECT_EQ(shared.to_vector()[1], 5);
  EXPECT_EQ(aside.to_vector()[1], 5);
  EXPECT_EQ(copy.to_vector()[1], 1);
  EXPECT_TRUE(shared.same_as(x));
  EXPECT_FALSE(copy.same_as(x));
}

TEST(Tensor, Conversions) {
  const Tensor x = from_vector({2, 2}, {1.5, -2, 0.1, 3});
  EXPECT_EQ(x.to(DType::f64).dtype(), DType::f64);
  EXPECT_EQ(x.to(DType::f64).to_vector()[2], double(0.1F));
  EXPECT_EQ(x.to(DType::i64).to_vector(), (std::vector<double>{1, -2, 0, 3}));
  EXPECT_TRUE(x.to(DType::f32).same_as(x));
  EXPECT_EQ(arange(3).to_vector(), (std::vector<double>{0, 1, 2}));
  EXPECT_EQ(full({}, 2.5).item(), 2.5);
}

TEST(Tensor, CopyFrom) {
  Tensor x = zeros({2, 3, 1, 2});
  const Tensor y = from_vector({2, 3, 1, 2}, counting(12));
  x.copy_from(y);
  EXPECT_EQ(x.to_vector(), counting(12));
  EXPECT_THROW(x.copy_from(zeros({12})), Error);
  EXPECT_THROW(x.copy_from(zeros({2, 3, 1, 2}, DType::f64)), Error);
}

TEST(Tensor, DerivedElementsLiveUntilTheNextWrite) {
  Tensor x = full({2}, 3);
  int made = 0;
  const auto doubled = [&](float* into) {
    ++made;
    for (int64_t i = 0; i < 2; ++i) into[i] = 2 * x.data<float>()[i];
  };
  EXPECT_EQ(x.derived(2, doubled)[1], 6);
  EXPECT_EQ(Tensor(x).derived(2, doubled)[1], 6);
  EXPECT_EQ(made, 1);
  x.mutable_data<float>()[1] = 5;
  EXPECT_EQ(x.derived(2, doubled)[1], 10);
  EXPECT_EQ(made, 2);
}

// Inference packs a weight once; what it answers must follow the weight, and be what training computes, to the bit.
TEST(Tensor, InferenceFollowsTheWeight) {
  const Tensor x = draw_noise(1, Draw::noise, 0, {1, 32, 8, 8});
  for (int64_t kernel : {1, 3, 5}) {
    Tensor weight = draw_noise(2, Draw::noise, kernel, {48, 32, kernel, kernel});
    for (int i = 0; i < 2; ++i) {
      weight.mutable_data<float>()[7 + i] += 1;
      const Tensor trained = conv2d(x, weight, {}, {});
      const NoGrad no_grad;
      EXPECT_EQ(conv2d(x, weight, {}, {}).to_vector(), trained.to_vector());
      EXPECT_EQ(conv2d(x, weight, {}, {}).to_vector(), trained.to_vector());
    }
  }
}

TEST(Tensor, Misuse) {
  const Tensor undefined;
  EXPECT_FALSE(undefined.defined());
  EXPECT_THROW(undefined.shape(), Error);
  Tensor x = full({2, 3}, 1);
  EXPECT_THROW(x.data<double>(), Error);
  EXPECT_THROW(x.item(), Error);
  EXPECT_THROW(x.dim(2), Error);
  EXPECT_EQ(x.dim(-1), 3);
  EXPECT_THROW(empty({2, -1}), Error);
  EXPECT_THROW(from_vector({3}, {1, 2}), Error);
  EXPECT_THROW(arange(3).set_requires_grad(true), Error);
  EXPECT_THROW(x.alias({5}), Error);
}

TEST(Tensor, NormalRowsAreEachOnesOwn) {
  const Tensor x = normal_rows({3, 5, 1, 1}, 9, {4, 0, 4}, {1, 2, 3});
  for (const auto& [row, stream, step] : {std::array<int64_t, 3>{0, 4, 1}, {1, 0, 2}, {2, 4, 3}}) {
    std::vector<float> expected(5);
    fill_normal(expected.data(), 5, 9, uint64_t(stream), uint64_t(step));
    for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(x.data<float>()[row * 5 + i], expected[size_t(i)]) << row << ", " << i;
  }
  EXPECT_EQ(normal_rows({0, 5}, 9, {}, {}).count(), 0);
  EXPECT_THROW(normal_rows({2, 5}, 9, {1}, {1}), Error);
}

TEST(Tensor, EmptyTensorsAreLegal) {
  const Tensor x = zeros({0, 3, 4, 4});
  EXPECT_EQ(x.count(), 0);
  EXPECT_TRUE(x.to_vector().empty());
}

}  // namespace
}  // namespace echodiff
