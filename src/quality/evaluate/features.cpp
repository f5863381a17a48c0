#include "quality/evaluate/features.h"

#include <algorithm>
#include <array>

#include "tensor/autograd.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

constexpr int64_t kBatch = 64;
constexpr std::array<double, 3> kMean{0.485, 0.456, 0.406}, kDeviation{0.229, 0.224, 0.225};  // torchvision's

// (N, 1, H, W) in [-1, 1] -> (N, 3, H, W)
Tensor as_colour(const Tensor& grey) {
  const int64_t pixels = grey.count();
  Tensor colour = empty({grey.dim(0), 3, grey.dim(2), grey.dim(3)});
  const float* in = grey.data<float>();
  float* out = colour.mutable_data<float>();  // channels-last: the three of a pixel lie together
  for (int64_t i = 0; i < pixels; ++i)
    for (size_t c = 0; c < 3; ++c) *out++ = float(((double(in[i]) + 1) / 2 - kMean[c]) / kDeviation[c]);
  return colour;
}

}  // namespace

Rows features_of(const ResNet18Run& run, const std::vector<GrayImage>& images) {
  const int64_t channels = run.options.in_channels, size = run.image_size;
  check_input(channels == 1 || channels == 3, Fault::kBadInput,
              "features: expected a network of 1 or 3 channels, found ", channels);
  Rows rows{int64_t(images.size()), 8 * run.options.width, {}};
  const NoGrad no_grad;
  for (size_t begin = 0; begin < images.size(); begin += kBatch) {
    std::vector<GrayImage> batch(images.begin() + int64_t(begin),
                                 images.begin() + std::min<int64_t>(int64_t(begin) + kBatch, rows.count));
    std::vector<const GrayImage*> pointers;
    for (GrayImage& image : batch) {
      if (size > 0 && (image.width != size || image.height != size)) image = resize_area(image, size, size);
      pointers.push_back(&image);
    }
    const Tensor grey = to_tensor(pointers);
    const std::vector<double> values = run.network.features(channels == 3 ? as_colour(grey) : grey).to_vector();
    rows.values.insert(rows.values.end(), values.begin(), values.end());
  }
  return rows;
}

}  // namespace echodiff
