#include "quality/judges/threshold_judge.h"

#include "tensor/ops.h"
#include "train/data/image.h"

namespace echodiff {

Metrics measure_sample(const GrayImage& image, const Thresholds* thresholds, const Tensor& condition) {
  if (thresholds == nullptr) return measure(image);
  if (thresholds->region == "image") return measure(image, thresholds->metric);
  const int64_t planes = condition.dim(1);
  GrayImage sector{image.width, image.height, std::vector<uint8_t>(image.pixels.size())};
  for (size_t i = 0; i < sector.pixels.size(); ++i)
    sector.pixels[i] = condition.data<float>()[int64_t(i + 1) * planes - 1] != 0 ? 1 : 0;
  return measure(image, thresholds->metric, &sector);
}

Judge threshold_judge(const Thresholds& thresholds) {
  return [thresholds](const Tensor& images, const Tensor&, const Tensor& conditions) {
    const int64_t height = images.dim(2), width = images.dim(3);
    require_same_size(thresholds, width, height, "the sample");
    std::vector<double> scores;
    for (int64_t i = 0; i < images.dim(0); ++i) {
      const GrayImage image = to_gray(images.data<float>() + i * height * width, height, width);
      scores.push_back(is_good(measure_sample(image, &thresholds, slice(conditions, 0, i, i + 1)), thresholds) ? 1 : 0);
    }
    return scores;
  };
}

}  // namespace echodiff
