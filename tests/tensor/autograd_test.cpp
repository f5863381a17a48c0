// Autograd: accumulation, order, freeing, the two traps of capturing an output and of long trajectories, and misuse.
#include "tensor/autograd.h"

#include <gtest/gtest.h>

#include "tensor/ops.h"
#include "tensor/storage.h"

namespace echodiff {
namespace {

Tensor leaf(const std::vector<double>& values) {
  Tensor x = from_vector({int64_t(values.size())}, values, DType::f64);
  return x.set_requires_grad(true);
}

TEST(Autograd, AddsWhatComesBackOnEveryPath) {
  const Tensor x = leaf({3});
  const Tensor y = x * x + x;  // dy/dx = 2 x + 1
  y.backward();
  EXPECT_EQ(x.grad().item(), 7);
}

TEST(Autograd, CastGivesTheGradientInItsInputsType) {
  Tensor x = from_vector({2}, {0.1, 3});
  x.set_requires_grad(true);
  const Tensor y = cast(x, DType::f64), dy = from_vector({2}, {1.0 / 3, 7}, DType::f64);
  EXPECT_EQ(y.to_vector(), x.to_vector());
  EXPECT_TRUE(cast(x, DType::f32).same_as(x));
  y.backward(dy);
  EXPECT_EQ(x.grad().dtype(), DType::f32);
  EXPECT_EQ(x.grad().to_vector(), dy.to(DType::f32).to_vector());
  EXPECT_THROW(cast(x, DType::i64), Error);
}

TEST(Autograd, Bf16IsRefusedOnTheCpuSayingWhatToDo) {
  try {
    cast(zeros({2, 3}), DType::bf16);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kUsage);
    EXPECT_NE(std::string(error.what()).find("device cuda"), std::string::npos) << error.what();
  }
}

TEST(Autograd, AddsOverCalls) {
  const Tensor x = leaf({3});
  (x * 2).backward();
  (x * 5).backward();
  EXPECT_EQ(x.grad().item(), 7);
}

// A node must wait for every consumer, whatever order they were made in.
TEST(Autograd, DiamondsRunYoungestFirst) {
  const Tensor x = leaf({2});
  const Tensor a = x * 3, b = a * a, c = a * b;  // c = 27 x^3
  (c + a).backward();
  EXPECT_EQ(x.grad().item(), 81 * 4 + 3);
}

TEST(Autograd, OnlyLeavesThatAskHaveGradients) {
  const Tensor x = leaf({2}), constant = full({1}, 5, DType::f64);
  const Tensor y = x * constant;
  const Tensor z = y * 2;
  z.backward();
  EXPECT_EQ(x.grad().item(), 10);
  EXPECT_FALSE(constant.grad().defined());
  EXPECT_FALSE(y.grad().defined());
}

TEST(Autograd, GradientArgument) {
  const Tensor x = leaf({1, 2, 3});
  const Tensor y = x * 2;
  EXPECT_THROW(y.backward(), Error);
  EXPECT_THROW(y.backward(full({2}, 1, DType::f64)), Error);
  y.backward(from_vector({3}, {1, 0, -1}, DType::f64));
  EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{2, 0, -2}));
}

TEST(Autograd, TheGraphIsFreedAsItRuns) {
  const Tensor x = leaf({2});
  const Tensor y = x * x;
  y.backward();
  EXPECT_THROW(y.backward(), Error);
}

TEST(Autograd, NoGradRecordsNothing) {
  const Tensor x = leaf({2});
  {
    const NoGrad outer;
    { const NoGrad inner; }
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE((x * x).requires_grad());
  }
  EXPECT_TRUE(grad_enabled());
  EXPECT_TRUE((x * x).requires_grad());
  EXPECT_FALSE((x * x).detach().requires_grad());
  EXPECT_THROW(x.detach().backward(), Error);
}

TEST(Autograd, WritingIsGuarded) {
  Tensor x = leaf({2});
  EXPECT_THROW(x.mutable_data<double>(), Error);
  Tensor y = x * x;
  EXPECT_THROW(y.mutable_data<double>(), Error);
  {
    const NoGrad no_grad;
    x.mutable_data<double>()[0] = 5;
  }
  EXPECT_THROW(y.backward(), Error);  // x was written after y was computed from it
}

// A trajectory that would overflow the stack if nodes were destroyed or visited recursively.
TEST(Autograd, LongTrajectories) {
  const Tensor x = leaf({1});
  {
    Tensor dropped = x;
    for (int i = 0; i < 100000; ++i) dropped = dropped + 0.5;
  }
  Tensor y = x;
  for (int i = 0; i < 100000; ++i) y = y + 0.5;
  y.backward();
  EXPECT_EQ(x.grad().item(), 1);
}

TEST(Autograd, AGraphKeepsOnlyWhatABackwardReads) {
  constexpr int64_t kBytes = 4 << 16;
  Tensor x = full({1 << 16}, 2);
  x.set_requires_grad(true);
  const int64_t before = memory_statistics().in_use;
  Tensor y = x * 3.0;
  for (int i = 0; i < 5; ++i) y = concat({y + x * 0.5}, 0);  // no backward here reads an input's elements
  EXPECT_LT(memory_statistics().in_use, before + 2 * kBytes);
  y.backward(full({1 << 16}, 1));
  EXPECT_EQ(x.grad().to_vector()[0], 3 + 5 * 0.5);
  Tensor square = x * x;  // x is read
  square = square * square;
  EXPECT_GT(memory_statistics().in_use, before + 3 * kBytes);
}

// Ops whose backward needs their own output must not own it: the graph would never be freed.
TEST(Autograd, GraphsDoNotLeak) {
  const Tensor x = Tensor(full({16, 16}, 0.3)).set_requires_grad(true);
  const int64_t before = memory_statistics().in_use;
  for (int i = 0; i < 3; ++i) {
    const Tensor unused = softmax(exp(tanh(sigmoid(x))), 1);
    EXPECT_GT(memory_statistics().in_use, before);
  }
  EXPECT_EQ(memory_statistics().in_use, before);
}

TEST(Autograd, BackwardThatReturnsNonsenseIsNamed) {
  const Tensor x = leaf({1, 2});
  const auto bad = [&](Gradients gradients) {
    return record("bad_op", x.clone(), {x}, [=](const Tensor&) { return gradients; });
  };
  const Tensor dy = full({2}, 1, DType::f64);
  EXPECT_THROW(bad({}).backward(dy), Error);
  EXPECT_THROW(bad({dy, dy}).backward(dy), Error);
  EXPECT_THROW(bad({full({2}, 1)}).backward(dy), Error);
  try {
    bad({full({3}, 1, DType::f64)}).backward(dy);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("bad_op"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("(3)"), std::string::npos);
  }
}

TEST(Autograd, AnUndefinedGradientIsZero) {
  const Tensor x = leaf({2}), y = leaf({3});
  record("first", x.clone(), {x, y}, [](const Tensor& dy) -> Gradients { return {dy, {}}; }).backward();
  EXPECT_EQ(x.grad().item(), 1);
  EXPECT_FALSE(y.grad().defined());
}

}  // namespace
}  // namespace echodiff
