// The guarded step that the loops of the scorer, the value model and the segmenter share.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "tensor/tensor.h"
#include "train/optimizer.h"
#include "train/run_log.h"

namespace echodiff {

// What a step goes by and changes.
struct JudgeTraining {
  std::string name, kept;  // "scorer"; what is left when a step breaks: "nothing was saved"
  std::vector<NamedTensor> parameters;
  Adam adam;
  LearningRateOptions rate;
  double clip = 0;  // largest gradient norm; 0 clips nothing
  RunLog log;
  bool log_seconds = true;
  Progress progress;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

// Warm-up over `warmup` steps, at most half of all, then half a cosine down to 0.
LearningRateOptions warmed_cosine(double rate, int64_t warmup, int64_t steps);

// Backward of `loss` (a scalar), clip, update, and a line in the log. Throws Error(kInternal) when the loss, the
// gradient norm or an updated parameter is not finite.
void guarded_step(JudgeTraining& training, int64_t step, const Tensor& loss);

}  // namespace echodiff
