// dtrain diffusion before, between and after its steps: what it goes by, how it begins or goes on, what it saves.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dtrain/copy_meter.h"
#include "dtrain/diffusion_data.h"
#include "dtrain/flags.h"
#include "dtrain/resume.h"
#include "dtrain/validation_watch.h"
#include "train/data/loader.h"
#include "train/parallel/communicator.h"
#include "train/run_dir.h"
#include "train/run_log.h"

namespace echodiff {

// What the loop goes by and changes.
struct DiffusionTraining {
  const DiffusionFlags& flags;
  const Common& common;
  const DiffusionData& data;
  int64_t steps, first_step;  // all, and those done before
  LearningRateOptions rates;
  DenoiserRun run;
  Schedule schedule;
  Device device;
  Denoiser network, averaged;
  std::vector<NamedTensor> parameters;  // of the network
  Adam optimizer;
  Ema ema;
  std::vector<Ema> power_emas;  // with --ema-snapshots
  Metadata facts;               // that decide the bits, beside the network and its schedule
  ValidationWatch watch;
  std::optional<CopyMeter> copies;    // where copies end it
  std::shared_ptr<EventFile> events;  // with --tensorboard
  Communicator& ranks;
};

int64_t total_steps(const DiffusionFlags& flags, const DiffusionData& data);

// The networks and the optimiser before the first of `steps`, or as the newest checkpoint of --out has them.
DiffusionTraining begin_training(const DiffusionFlags& flags, const Common& common, const DiffusionData& data,
                                 DenoiserRun run, const StateDict& initial, int64_t steps, Communicator& ranks);
std::string config_text(DiffusionTraining& training);

// Of a checkpoint after `steps_done` steps.
Metadata metadata_of(const DiffusionTraining& training, const ValidationWatch& watch, int64_t steps_done);
// Where the disk does not take what it writes, that is said after `what`, training goes on, and the answer is false.
bool done_or_warned(const Common& common, const std::string& what, const std::function<void()>& write);

// What a checkpoint after `steps_done` steps holds: handles.
std::vector<NamedTensor> saved_tensors(DiffusionTraining& training, int64_t steps_done);
// The log is on disk first, as far as the disk takes it.
void save(DiffusionTraining& training, PatientLog& log, int64_t steps_done);
// The power-function averages as they are, for dtrain ema; the same.
void snapshot_or_warn(const DiffusionTraining& training, int64_t steps_done);
// Where the disk does not take it, training goes on.
void save_or_warn(DiffusionTraining& training, PatientLog& log, int64_t steps_done);

}  // namespace echodiff
