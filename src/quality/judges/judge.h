// A judge is one call, whatever is behind it: that is all the sampler knows of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace echodiff {

// images (n, 1, H, W) in [-1, 1], t (n) i64 the time of each (-1: finished), condition (n, P, H, W), all on the CPU ->
// n scores in 0..1. Must give a picture the same score in any batch.
using Judge = std::function<std::vector<double>(const Tensor& images, const Tensor& t, const Tensor& condition)>;
// To [-1, 1], as judges see what is on its way.
void clamp_pictures(Tensor& images);
// The judge's scores, held to be one for each picture and finite, and rounded to float as a recording holds them: a
// replay then decides the same. Throws Error(kInternal) for others.
std::vector<double> ask(const Judge& judge, const Tensor& images, const Tensor& t, const Tensor& condition);

// The newest checkpoint of a run of dtrain scorer (which looks at the picture alone) or of dtrain value, for pictures
// of height x width; it computes on `device`.
// Throws Error: kMissingInput; kBadInput when it was trained on another size.
// Of a value model that knows the names of its masks' planes: kBadInput too, with both lists, when those are not
// `planes` in this order (none: nothing is known of them).
Judge load_judge_run(const std::string& run, int64_t height, int64_t width, Device device = Device::kCpu,
                     const std::vector<std::string>& planes = {}, bool allow_unfinished = false);

}  // namespace echodiff
