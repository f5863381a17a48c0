// What the loops of the scorer, the value model and the segmenter share: the guarded step, and going on.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "dtrain/resume.h"
#include "nn/module.h"
#include "tensor/tensor.h"
#include "train/optimizer.h"
#include "train/parallel/communicator.h"
#include "train/run_dir.h"
#include "train/run_log.h"

namespace echodiff {

// What a step goes by and changes.
struct JudgeTraining {
  std::string name;                              // "scorer"
  std::vector<NamedTensor> parameters, buffers;  // of the network; buffers: what a forward pass moves
  Adam adam;
  LearningRateOptions rate;
  double clip = 0;  // largest gradient norm; 0 clips nothing
  Device device;
  std::unique_ptr<RunLog> log;  // of the first rank
  bool log_seconds = true;
  Progress progress;
  Communicator& ranks;
  int64_t micro_batches = 1;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

// config.toml and log.jsonl of the run, which goes on after `first_step`; --tensorboard's events beside them.
std::unique_ptr<RunLog> open_log(const RunDirectory& run, bool tensorboard, const Common& common, int64_t first_step);

// Warm-up over `warmup` steps, at most half of all, then half a cosine down to 0.
LearningRateOptions warmed_cosine(double rate, int64_t warmup, int64_t steps);

// The tensors of the network that no gradient reaches.
std::vector<NamedTensor> buffers_of(Module& network);
StateDict copy_of(const StateDict& state);

// Backward of the losses (scalars) of the step's micro-batches that loss(number) makes, clip, update, and a line in the
// log. false: a signal came in its
// midst, and everything is as it was before. Throws Error(kInternal) when the loss, the gradient norm or an updated
// parameter is not finite.
bool guarded_step(JudgeTraining& training, int64_t step, const std::function<Tensor(int64_t)>& loss);

// What a checkpoint from the midst of training holds beside the weights, and takes back. The log is on disk then.
std::vector<NamedTensor> training_state(JudgeTraining& training, int64_t steps_done);
int64_t load_training_state(const SafetensorsFile& saved, Adam& adam);  // returns the steps done
Metadata unfinished(Metadata facts);

// "interrupted: step 3 of 9 is saved; go on with --resume"; returns the exit code.
int say_interrupted(const Common& common, int64_t done, int64_t steps);

}  // namespace echodiff
