// Sizes that no network has are refused before anything multiplies them.
#include "nn/widths.h"

#include <gtest/gtest.h>

#include <limits>

#include "kernels/error.h"
#include "nn/denoiser.h"

namespace echodiff {
namespace {

TEST(Widths, BeyondReasonIsAUsageError) {
  EXPECT_NO_THROW(check_widths(64, {1, 2, 4, 1024}));
  const int64_t most = std::numeric_limits<int64_t>::max();
  const std::vector<std::vector<int64_t>> bad{
      {}, {0}, {1, -2}, {1, 1025}, {1, most / 2 + 1}, std::vector<int64_t>(17, 1)};
  for (const std::vector<int64_t>& mults : bad) {
    EXPECT_THROW(check_widths(64, mults), Error);
    try {
      Denoiser({.planes = 1, .image_size = 16, .dim = 64, .mults = mults}, 1);
      FAIL() << "made a network of " << mults.size() << " levels";
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::kUsage) << error.what();
    }
  }
  for (const int64_t dim : {int64_t{0}, int64_t{-1}, most}) EXPECT_THROW(check_widths(dim, {1}), Error);
}

}  // namespace
}  // namespace echodiff
