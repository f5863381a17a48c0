// The flags of dtrain diffusion, and what they mean for the network, the optimiser and the loader.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "dtrain/resume.h"
#include "train/data/augment.h"
#include "train/ema.h"
#include "train/model_run.h"
#include "train/optimizer.h"

namespace echodiff {

struct DiffusionFlags {
  std::string data, out, planes, init, replay;
  ResumeFlags resume;
  int64_t image_size = 64, batch = 8, accumulate = 1, micro_batches = 1;
  std::optional<int64_t> steps, epochs;

  DenoiserRun model;  // but what stands beside it as text
  std::string schedule = "linear", predict = "eps", mults = "1,2,4", attention_resolutions;
  std::string fit = "pad";
  std::optional<double> min_snr_gamma;
  double mask_drop = 0, schedule_shift = 0;

  std::string optimizer = "adam";
  LearningRateOptions learning_rate;
  std::vector<double> betas{0.9, 0.99};
  double eps = 1e-8, weight_decay = 0, clip = 1.0;
  EmaOptions ema;
  int64_t ema_snapshots = 0;
  AugmentOptions augment;

  int64_t save_every = 1000, keep = 3, log_every = 1;
  int64_t val_every = 500, val_count = 8;
  int64_t sample_every = 1000, sample_count = 4, sample_steps = 20;
  std::string stop_on = "never";
  int64_t patience = 10, copy_count = 16;
  double copy_limit = 0.25;
  bool print_summary = false, tensorboard = false, checkpoint_activations = false, dry_run = false;

  // Forward and backward passes of a step, and pictures of a pass.
  int64_t passes() const { return accumulate * micro_batches; }
  int64_t pictures() const { return batch / micro_batches; }
  AdamOptions adam() const;
  // What the flags say of the run; planes and image size come from the data.
  DenoiserRun run() const;
};

// --fit, of every trainer that reads a data-set folder.
void add_fit(Options& options, std::string& fit);

// Adds every flag and the rules that tie them together. The flags must outlive the program's run.
void add_flags(Options& options, DiffusionFlags& flags);

}  // namespace echodiff
