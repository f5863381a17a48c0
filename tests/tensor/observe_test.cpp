// Observers: what they see, nesting, and the NaN trap.
#include "tensor/observe.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "tensor/ops.h"

namespace echodiff {
namespace {

class Log : public Observer {
 public:
  void forward(const char* op, std::span<const Tensor>, const Tensor&) override { seen.push_back(op); }
  void backward(const char* op, const Tensor&, std::span<const Tensor>) override {
    seen.push_back(std::string("d ") + op);
  }
  std::vector<std::string> seen;
};

Tensor leaf() { return Tensor(full({2, 2}, 0.5)).set_requires_grad(true); }

TEST(Observers, SeeForwardAndBackwardInOrder) {
  const Tensor x = leaf();
  Log outer;
  {
    Log inner;
    sum(relu(x)).backward();
    EXPECT_EQ(inner.seen, (std::vector<std::string>{"relu", "sum", "d sum", "d relu"}));
  }
  relu(x);
  EXPECT_EQ(outer.seen, (std::vector<std::string>{"relu", "sum", "d sum", "d relu", "relu"}));
}

TEST(Observers, Statistics) {
  const double inf = std::numeric_limits<double>::infinity();
  const TensorStatistics s = statistics_of(from_vector({4}, {3, -1, inf, 2}));
  EXPECT_EQ(s.min, -1);
  EXPECT_EQ(s.max, 3);
  EXPECT_NEAR(s.mean, 4.0 / 3, 1e-12);
  EXPECT_NEAR(s.rms, std::sqrt(14.0 / 3), 1e-12);
  EXPECT_EQ(s.not_finite, 1);
}

TEST(Observers, NanTrapNamesTheFirstOp) {
  const NanTrap trap;
  const Tensor x = leaf();
  EXPECT_NO_THROW(sum(x * 2).backward());
  const Tensor big = affine(x, 1e38, 0);
  try {
    relu(mul(big, big));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kInternal);
    EXPECT_NE(std::string(error.what()).find("output of mul (2, 2)"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("max 5e+37"), std::string::npos) << error.what();
  }
}

TEST(Observers, NanTrapSeesGradients) {
  const Tensor x = leaf();
  const Tensor y = record("bad_op", x.clone(), {x}, [](const Tensor& dy) -> Gradients {
    return {full(dy.shape(), std::numeric_limits<double>::quiet_NaN())};
  });
  const NanTrap trap;
  EXPECT_THROW(sum(y).backward(), Error);
}

TEST(Observers, DumpAndTimerPrintEveryOp) {
  std::ostringstream text, table;
  {
    TensorDump dump(text);
    OpTimer timer;
    sum(relu(leaf())).backward();
    timer.print(table);
  }
  for (const char* op : {"relu (2, 2) min 0.5", "sum ()", "d relu (2, 2)"})
    EXPECT_NE(text.str().find(op), std::string::npos) << text.str();
  for (const char* op : {"relu", "d sum", "ms"}) EXPECT_NE(table.str().find(op), std::string::npos) << table.str();
}

}  // namespace
}  // namespace echodiff
