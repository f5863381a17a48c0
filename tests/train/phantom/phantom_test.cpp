// The phantom: what its pictures promise (dark outside the sector, masks inside, a visible vein, quality that varies)
// and that a picture depends on its seed, number and size alone.
#include "train/phantom/phantom.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <string>

#include "kernels/error.h"

namespace echodiff {
namespace {

struct Region {
  double sum = 0;
  int64_t count = 0;
  double mean() const { return count == 0 ? 0 : sum / double(count); }
};

// Mean grey and size of background, liver and vein.
std::array<Region, 3> regions(const Phantom& phantom) {
  std::array<Region, 3> result;
  for (size_t i = 0; i < phantom.mask.pixels.size(); ++i) {
    Region& region = result[phantom.mask.pixels[i]];
    region.sum += phantom.image.pixels[i];
    ++region.count;
  }
  return result;
}

TEST(Phantom, DependsOnSeedNumberAndSizeOnly) {
  const Phantom a = make_phantom({64, 1}, 5);
  make_phantom({32, 9}, 17);
  const Phantom b = make_phantom({64, 1}, 5);
  EXPECT_EQ(a.image.pixels, b.image.pixels);
  EXPECT_EQ(a.mask.pixels, b.mask.pixels);
  EXPECT_NE(a.image.pixels, make_phantom({64, 1}, 6).image.pixels);
  EXPECT_NE(a.image.pixels, make_phantom({64, 2}, 5).image.pixels);
}

TEST(Phantom, ShowsTheSameAnatomyAtEverySize) {
  const Phantom small = make_phantom({32, 1}, 3), large = make_phantom({128, 1}, 3);
  int64_t differ = 0;
  for (int64_t row = 0; row < 32; ++row) {
    for (int64_t column = 0; column < 32; ++column) {
      differ += small.mask.at(row, column) != large.mask.at(4 * row + 2, 4 * column + 2);
    }
  }
  EXPECT_LT(differ, 50);  // only along borders
  EXPECT_EQ(small.quality, large.quality);
}

TEST(Phantom, KeepsToTheSector) {
  for (int64_t i = 0; i < 20; ++i) {
    const Phantom phantom = make_phantom({48, 3}, i);
    ASSERT_EQ(phantom.image.width, 48);
    ASSERT_EQ(phantom.image.height, 48);
    int64_t inside = 0;
    for (size_t at = 0; at < phantom.sector.pixels.size(); ++at) {
      const uint8_t sector = phantom.sector.pixels[at];
      ASSERT_TRUE(sector == 0 || sector == 255);
      ASSERT_LE(phantom.mask.pixels[at], kPortalVeinValue);
      if (sector == 0) {
        ASSERT_EQ(phantom.image.pixels[at], 0);
        ASSERT_EQ(phantom.mask.pixels[at], 0);
      }
      inside += sector != 0;
    }
    EXPECT_GT(inside, 48 * 48 / 3);
    EXPECT_LT(inside, 48 * 48 * 3 / 4);
  }
}

TEST(Phantom, VeinIsLargeAndDarkEnoughToLearn) {
  int64_t with_vein = 0, large_enough = 0, good = 0, visible = 0;
  double liver_share = 0;
  for (int64_t i = 0; i < 100; ++i) {
    const Phantom phantom = make_phantom({32, 1}, i);
    const auto [background, liver, vein] = regions(phantom);
    liver_share += double(liver.count) / (32 * 32) / 100;
    if (vein.count == 0) continue;
    ++with_vein;
    large_enough += vein.count >= 8;
    if (phantom.defect != "none") continue;
    ++good;
    visible += liver.mean() - vein.mean() >= 25;
  }
  EXPECT_GE(with_vein, 85);
  EXPECT_GE(large_enough, with_vein * 8 / 10);
  EXPECT_GE(visible, good * 9 / 10) << "of " << good;
  EXPECT_GT(liver_share, 0.12);
  EXPECT_LT(liver_share, 0.5);
}

// Every gate of the quality rule meets pictures that pass and that fail.
TEST(Phantom, QualityVaries) {
  std::set<std::string> defects;
  int64_t good = 0;
  double darkest = 255, brightest = 0;
  for (int64_t i = 0; i < 120; ++i) {
    const Phantom phantom = make_phantom({32, 4}, i);
    EXPECT_GE(phantom.quality, 0);
    EXPECT_LT(phantom.quality, 1);
    EXPECT_EQ(phantom.quality >= 0.6, phantom.defect == "none");
    defects.insert(phantom.defect);
    good += phantom.defect == "none";
    const double liver = regions(phantom)[1].mean();
    darkest = std::min(darkest, liver);
    brightest = std::max(brightest, liver);
  }
  EXPECT_EQ(defects, (std::set<std::string>{"none", "noise", "blur", "gain"}));
  EXPECT_GT(good, 60);
  EXPECT_LT(good, 100);
  EXPECT_LT(darkest, 40);
  EXPECT_GT(brightest, 70);
}

TEST(Phantom, RefusesAbsurdSizes) {
  for (const int64_t size : {-1, 0, 15, 1025}) EXPECT_THROW(make_phantom({size, 1}, 0), Error) << size;
}

}  // namespace
}  // namespace echodiff
