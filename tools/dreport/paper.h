// What the paper reports of its own runs, and what follows from it by arithmetic.
#pragma once

#include <cstdint>

namespace echodiff::paper {

// Section 2.1: pictures sampled without a judge, two minutes each on one A6000; T of section 5.1.
constexpr int64_t kSampled = 3406, kAcceptable = 1311, kPoor = 2095, kTimesteps = 2000;
constexpr double kMinutesPerPicture = 2;

constexpr double kPoorShare = double(kPoor) / double(kSampled);                      // 61.5 %
constexpr double kHoursOnPoor = double(kPoor) * kMinutesPerPicture / 60;             // 69.83
constexpr int64_t kCallsOnPoor = kPoor * kTimesteps;                                 // 4,190,000
constexpr double kCallsPerAccepted = double(kTimesteps) * kSampled / kAcceptable;    // 5,196, never stated there
constexpr double kMinutesPerAccepted = kMinutesPerPicture * kSampled / kAcceptable;  // 5.2

// Table 1: means of 3,000 pictures each.
constexpr int64_t kTablePictures = 3000;
struct MetricRow {
  double noise, contrast, laplacian_variance;
};
constexpr MetricRow kWithout{0.31, 28.82, 469.87}, kWith{0.26, 30.34, 147.34};

}  // namespace echodiff::paper
