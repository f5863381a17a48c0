// The threshold file as a judge of finished pictures, and the metrics of a sample.
#pragma once

#include "quality/judges/judge.h"
#include "quality/labels/thresholds.h"
#include "tensor/io/png.h"

namespace echodiff {

// Of a sample's 8 bits: over the whole picture or over its sector, the last plane of `condition` (1, P, H, W), as the
// thresholds say; over the whole picture with the usual constants where there are none.
Metrics measure_sample(const GrayImage& image, const Thresholds* thresholds, const Tensor& condition);

// 1 for a good picture, 0 for a poor one. Throws Error(kBadInput) for pictures of another size than the thresholds'.
Judge threshold_judge(const Thresholds& thresholds);

}  // namespace echodiff
