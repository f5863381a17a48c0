// Which grid is taken: the fewest calls among those that are not shown to be worse.
#include "quality/evaluate/grid_choice.h"

#include <gtest/gtest.h>

#include "kernels/error.h"

namespace echodiff {
namespace {

MeasuredGrid measured(double calls, double kid, double half_width, int64_t covered, double grey) {
  MeasuredGrid grid;
  grid.calls = calls;
  grid.kid = {kid, kid - half_width, kid + half_width};
  grid.kid_minus_best = {kid - 0.1, kid - 0.1 - half_width, kid - 0.1 + half_width};  // where the best one's is 0.1
  grid.coverage = wilson(covered, 400);
  grid.grey = grey;
  grid.real_grey = 50;
  grid.grey_by_chance = 1;
  return grid;
}

TEST(GridChoice, TheCheapestThatIsNotShownToBeWorse) {
  const MeasuredGrid best = measured(8, 0.1, 0.1, 300, 50);
  EXPECT_EQ(choose_grid({best, measured(4, 0.19, 0.1, 300, 50)}), 1u);  // may be as good
  EXPECT_EQ(choose_grid({best, measured(4, 0.35, 0.1, 300, 50)}), 0u);
  EXPECT_EQ(choose_grid({best, measured(4, 0.19, 0.1, 270, 50)}), 0u);  // coverage .675 for .75
  EXPECT_EQ(choose_grid({best, measured(4, 0.19, 0.1, 280, 50)}), 1u);
  EXPECT_EQ(choose_grid({best, measured(4, 0.19, 0.1, 300, 52.5)}), 0u);  // too bright
  MeasuredGrid uncertain = measured(4, 0.19, 0.1, 300, 52.5);
  uncertain.grey_by_chance = 3;
  EXPECT_EQ(choose_grid({best, uncertain}), 1u);
  EXPECT_EQ(choose_grid({best, measured(4, 0.19, 0.1, 300, 51.9)}), 1u);
}

TEST(GridChoice, OfEquallyManyCallsTheLeastKid) {
  EXPECT_EQ(
      choose_grid({measured(5, 0.3, 0.2, 300, 50), measured(5, 0.2, 0.2, 300, 50), measured(6, 0.1, 0.2, 300, 50)}),
      1u);
}

TEST(GridChoice, TheBestMustBeGreyEnoughToo) {
  // The least KID is too dark: the others are held against the least of themselves.
  EXPECT_EQ(choose_grid({measured(5, 0.1, 0.01, 300, 40), measured(6, 0.3, 0.01, 300, 50)}), 1u);
  EXPECT_EQ(choose_grid({measured(5, 0.1, 0.01, 300, 40), measured(6, 0.3, 0.01, 300, 41)}), 0u);  // none is
  EXPECT_THROW(choose_grid({}), Error);
}

}  // namespace
}  // namespace echodiff
