// Augmentation that the network is told of: labels are zero for a picture as it was, picture and masks move together.
#include "train/data/told_augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace echodiff {
namespace {

constexpr int64_t kSize = 48, kPlanes = 2;

// A round sector, and in it a disc that the picture shows as bright as the plane says.
struct Picture {
  std::vector<float> image = std::vector<float>(kSize * kSize), planes = std::vector<float>(kSize * kSize * kPlanes),
                     labels = std::vector<float>(kAugmentLabels, 9);

  Picture() {
    for (int64_t row = 0; row < kSize; ++row)
      for (int64_t column = 0; column < kSize; ++column) {
        const size_t i = size_t(row * kSize + column);
        const bool sector = std::hypot(row - 24, column - 24) < 20, disc = std::hypot(row - 20, column - 28) < 8;
        image[i] = disc ? 0.2f : sector ? -0.6f : -1;
        planes[kPlanes * i] = disc;
        planes[kPlanes * i + 1] = sector;
      }
  }
  void change(double probability, uint64_t n) {
    augment_and_tell(probability, Random(3, n), kSize, kPlanes, image.data(), planes.data(), labels.data());
  }
  bool moved() const {
    return std::any_of(labels.begin(), labels.begin() + 6, [](float label) { return label != 0; });
  }
  bool shaded() const {
    return std::any_of(labels.begin() + 6, labels.end(), [](float label) { return label != 0; });
  }
};

TEST(ToldAugment, WithProbabilityNoughtChangesNothingAndTellsNothing) {
  const Picture before;
  for (uint64_t n = 0; n < 20; ++n) {
    Picture picture;
    picture.change(0, n);
    EXPECT_EQ(picture.image, before.image);
    EXPECT_EQ(picture.planes, before.planes);
    EXPECT_EQ(picture.labels, std::vector<float>(kAugmentLabels, 0));
  }
}

TEST(ToldAugment, TellsWhatItDidAndDoesWhatItTells) {
  const Picture before;
  int64_t moved = 0, shaded = 0, untouched = 0;
  for (uint64_t n = 0; n < 300; ++n) {
    Picture picture;
    picture.change(0.2, n);
    EXPECT_EQ(picture.planes != before.planes || picture.image != before.image, picture.moved() || picture.shaded())
        << n;
    if (!picture.moved()) {
      EXPECT_EQ(picture.image != before.image, picture.shaded()) << n;
    }
    moved += picture.moved(), shaded += picture.shaded(), untouched += !picture.moved() && !picture.shaded();
  }
  EXPECT_NEAR(double(moved) / 300, 1 - 0.8 * 0.8 * 0.8, 0.1);
  EXPECT_NEAR(double(shaded) / 300, 1 - 0.8 * 0.8 * 0.8, 0.1);
  EXPECT_NEAR(double(untouched) / 300, std::pow(0.8, 6), 0.1);
}

TEST(ToldAugment, PictureAndMasksMoveTogetherAndTheOutsideIsBlack) {
  for (uint64_t n = 0; n < 200; ++n) {
    Picture picture;
    picture.change(1, n);
    if (picture.labels[8] > 0) picture = Picture();  // a shadow may darken the disc below what is around it
    int64_t wrong = 0, disc = 0;
    double inside = 0, around = 0, around_count = 0;
    for (size_t i = 0; i < picture.image.size(); ++i) {
      const bool is_disc = picture.planes[kPlanes * i] == 1, in_sector = picture.planes[kPlanes * i + 1] == 1;
      EXPECT_TRUE(picture.planes[kPlanes * i] == 0 || is_disc);
      EXPECT_GE(picture.image[i], -1);
      EXPECT_LE(picture.image[i], 1);
      if (!in_sector) {
        EXPECT_EQ(picture.image[i], -1) << n;
      }
      wrong += is_disc && !in_sector;
      disc += is_disc;
      (is_disc ? inside : around) += in_sector ? picture.image[i] : 0;
      around_count += in_sector && !is_disc;
    }
    EXPECT_LE(wrong, 2) << n;  // of rounding, where the disc touches the border
    if (disc > 20) {
      EXPECT_GT(inside / double(disc), around / around_count) << n;
    }
  }
}

// A picture that is its mask stays its mask, to the pixels along the edge.
TEST(ToldAugment, MovesEveryPixelAsTheMasksMove) {
  for (uint64_t n = 0; n < 100; ++n) {
    Picture picture;
    for (size_t i = 0; i < picture.image.size(); ++i) picture.image[i] = picture.planes[kPlanes * i] == 1 ? 1.0f : -1;
    Picture alone = picture;
    picture.change(1, n);
    if (picture.shaded()) {  // undo what changed the grey: bright is what lies above black
      for (float& value : picture.image) value = value > -0.99f ? 1.0f : -1;
    }
    int64_t off = 0;
    for (size_t i = 0; i < picture.image.size(); ++i)
      off += picture.planes[kPlanes * i] == 1 && picture.image[i] < -0.9f;
    EXPECT_EQ(off, 0) << n;
    EXPECT_NE(alone.planes, picture.planes) << n;
  }
}

// How bright all of it is, and where: what the labels say is what happened.
struct Sum {
  double grey = 0, x = 0, y = 0;

  explicit Sum(const Picture& picture) {
    double disc = 0;
    for (size_t i = 0; i < picture.image.size(); ++i) {
      grey += (picture.image[i] + 1) / 2;
      if (picture.planes[kPlanes * i] == 0) continue;
      disc += 1, x += double(i % kSize), y += double(i / kSize);
    }
    x /= disc, y /= disc;
  }
};

TEST(ToldAugment, LabelsAreInTheUnitsThatTheHeaderSays) {
  const Picture before;
  const Sum was(before);
  int64_t shifts = 0, gains = 0, zooms = 0;
  for (uint64_t n = 0; n < 2000; ++n) {
    Picture picture;
    picture.change(0.1, n);
    const std::vector<float>& told = picture.labels;
    const auto only = [&](size_t first, size_t last) {  // labels first..last alone
      for (size_t l = 0; l < told.size(); ++l)
        if ((told[l] != 0) != (l >= first && l <= last)) return false;
      return true;
    };
    const Sum is(picture);
    if (only(4, 5)) {
      EXPECT_NEAR(is.x - was.x, told[4] * kSize, 0.6) << n;
      EXPECT_NEAR(is.y - was.y, told[5] * kSize, 0.6) << n;
      ++shifts;
    }
    if (only(6, 6) && told[6] < 0) {  // nothing is clipped
      EXPECT_NEAR(is.grey / was.grey, std::exp2(told[6]), 1e-4) << n;
      ++gains;
    }
    if (only(0, 1)) {  // the disc's middle is 4.5 right of and 3.5 above the picture's
      EXPECT_NEAR(is.x - 23.5, (was.x - 23.5) * std::exp2(told[0]), 0.6) << n;
      EXPECT_NEAR(is.y - 23.5, (was.y - 23.5) * std::exp2(told[1]), 0.6) << n;
      ++zooms;
    }
  }
  EXPECT_GT(std::min({shifts, gains, zooms}), 30);
}

TEST(ToldAugment, IsAFunctionOfTheNumberAlone) {
  Picture first, again, other;
  first.change(0.5, 12);
  again.change(0.5, 12);
  other.change(0.5, 13);
  EXPECT_EQ(first.image, again.image);
  EXPECT_EQ(first.labels, again.labels);
  EXPECT_NE(first.labels, other.labels);
}

}  // namespace
}  // namespace echodiff
