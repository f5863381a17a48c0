// Features are those of the network, whatever the batch and the number of channels.
#include "quality/evaluate/distribution.h"

#include <gtest/gtest.h>

#include "kernels/error.h"
#include "tensor/autograd.h"
#include "train/data/image.h"
#include "train/phantom/phantom.h"

namespace echodiff {
namespace {

ResNet18Run untrained(int64_t channels, int64_t image_size) {
  const ResNet18Options options{.in_channels = channels, .classes = 1, .width = 4};
  ResNet18Run run{options, ResNet18(options, 5), image_size};
  run.network.eval();
  return run;
}

TEST(Features, OneChannelBatchesOfAnySizeAndResizing) {
  const ResNet18Run run = untrained(1, 32);
  std::vector<GrayImage> images;
  for (int64_t i = 0; i < 70; ++i) images.push_back(make_phantom({.size = 64, .seed = 3}, i).image);
  const Rows rows = features_of(run, images);
  ASSERT_EQ(rows.count, 70);
  ASSERT_EQ(rows.width, 32);
  ASSERT_EQ(rows.values.size(), 70u * 32u);
  const NoGrad no_grad;
  for (int64_t i : {0, 63, 64, 69}) {
    const GrayImage small = resize_area(images[size_t(i)], 32, 32);
    const std::vector<double> alone = run.network.features(to_tensor({&small})).to_vector();
    for (int64_t j = 0; j < rows.width; ++j) EXPECT_EQ(rows.row(i)[j], alone[size_t(j)]);
  }
}

TEST(Features, ThreeChannelsAreScaledAsTorchvisionDoes) {
  const ResNet18Run run = untrained(3, 0);
  const GrayImage image{32, 32, std::vector<uint8_t>(32 * 32, 51)};  // 0.2
  Tensor colour = empty({1, 3, 32, 32});
  for (int64_t i = 0; i < 32 * 32; ++i) {
    colour.mutable_data<float>()[3 * i] = float((0.2 - 0.485) / 0.229);
    colour.mutable_data<float>()[3 * i + 1] = float((0.2 - 0.456) / 0.224);
    colour.mutable_data<float>()[3 * i + 2] = float((0.2 - 0.406) / 0.225);
  }
  const NoGrad no_grad;
  const std::vector<double> expected = run.network.features(colour).to_vector();
  const Rows rows = features_of(run, {image});
  for (size_t j = 0; j < expected.size(); ++j) EXPECT_NEAR(rows.values[j], expected[j], 1e-4);
}

TEST(Features, OtherChannelsAreRefused) {
  EXPECT_THROW(features_of(untrained(2, 0), {GrayImage{32, 32, std::vector<uint8_t>(32 * 32, 0)}}), Error);
}

}  // namespace
}  // namespace echodiff
