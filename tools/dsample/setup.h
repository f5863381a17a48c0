// From flags to what the sampler needs: the model, its plan, the masks, the judges.
#pragma once

#include <string>
#include <vector>

#include "diffusion/samplers/plan.h"
#include "dsample/settings.h"
#include "quality/sampling/sampler.h"
#include "train/model_run.h"

namespace echodiff {

// Throws Error(kMissingInput) unless something is there; an empty path is nothing asked for.
void check_present(const std::string& path, const char* what);

struct SampledModel {
  LoadedDenoiser run;  // with the flags' --schedule --predict ... in place of what the run says
  SamplerOptions options;
  Schedule schedule;
  Device device;

  // Looks at `run`, which must outlive it.
  Network network() const;
};
SampledModel load_model(const SampleSettings& settings, const Common& common);

struct Conditions {
  std::vector<Tensor> masks;       // (1, P, H, W) each
  std::vector<std::string> files;  // of the masks; empty with --noise
  std::vector<std::string> planes;
};
// The first `count` masks of the data-set folder in name order.
Conditions read_masks(const SampleSettings& settings, const Common& common, const DenoiserRun& run, int64_t count);

Keep parse_keep(const std::string& name);

// --deepcache, --adadiff and --fit-adadiff, once the job's device and plan are set. Looks at `model`, which must
// outlive it. Throws Error: kUsage on a GPU and for a rule of another number of steps; kMissingInput, kBadInput.
void apply_early_exits(const SampleSettings& settings, const SampledModel& model, SamplerJob& job);

// A restart rule holds for the sampler it was fitted on: Error(kUsage) for another number of steps, kind of score or
// --deepcache, and with --adadiff.
void require_rule_fits(const SampleSettings& settings, const SamplerJob& job);

// es-ddpm: the plan from T' on, and the noise that begins with the pictures of the masks. Throws Error(kMissingInput)
// for a mask without a picture.
void start_from_pictures(const SampleSettings& settings, const SampledModel& model, const Conditions& conditions,
                         SamplerJob& job);

// A run of dtrain scorer or dtrain value as a judge of pictures of this size, computing on `device`. Throws Error:
// kMissingInput, kBadInput.
Judge load_judge(const std::string& run, int64_t height, int64_t width, Device device);

}  // namespace echodiff
