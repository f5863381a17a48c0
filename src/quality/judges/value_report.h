// What a value model is worth by time: AUROC(t) over all pairs and within masks, calibration per bin of t.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quality/judges/judge_over_t.h"
#include "quality/judges/value_data.h"
#include "quality/judges/value_model.h"

namespace echodiff {

// Every frame of the trajectories. `seed` draws x_t of a model on x_t.
std::vector<JudgedFrame> judge_frames(const ValueModel& model, const ValueData& data,
                                      const std::vector<int64_t>& trajectories, uint64_t seed);

// Cross-entropy of the logits, good and poor frames weighing the same, as in training.
double balanced_loss(const std::vector<JudgedFrame>& frames);

// Fits each bin of t on its frames; a bin without any takes its nearest neighbour's.
void calibrate(ValueModel& model, const std::vector<JudgedFrame>& frames);

struct ValueReport {
  std::string text, json;  // to print; metrics.json
};
// On the test trajectories, with intervals by resampling masks. `fitted_on` are the frames that calibrated the model.
ValueReport value_report(ValueModel& model, const ValueData& data, const ValueSplit& split,
                         const std::vector<JudgedFrame>& fitted_on, uint64_t seed);

}  // namespace echodiff
