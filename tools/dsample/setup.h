// What the subcommands share: the network with its sampler, the masks, and the job made of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "diffusion/samplers/plan.h"
#include "quality/sampling/sampler.h"
#include "quality/sampling/sampler_facts.h"
#include "train/model_run.h"

namespace echodiff {

// Which network, and the sampler that calls it.
struct ModelSettings {
  std::string model, ema = "on", best = "on", sampler = "ddpm", clip = "auto";
  std::string schedule = "run", predict = "run", variance = "run";
  std::optional<int64_t> sample_steps, timesteps, image_size;
  std::string grid = "even";
  std::optional<double> grid_start, grid_end;
  std::optional<int64_t> mean_start;
  double eta = 0, guidance = 1;
  int64_t deepcache = 1;
};
void declare_model(Options& options, ModelSettings& settings);  // the two below, and where the sampler stops over
void declare_network(Options& options, ModelSettings& settings);
void declare_guidance(Options& options, ModelSettings& settings);
void declare_deepcache(Options& options, ModelSettings& settings);  // after the guidance, which it goes without

struct MaskSettings {
  std::string masks, planes;
  std::optional<int64_t> count, mask_count;
  int64_t batch = 8;
};
// `instead`: what can stand in the place of the count; nothing: it is required. Only a network without masks goes
// without --masks, which load_model checks.
void declare_masks(Options& options, MaskSettings& settings, const std::string& instead = "");

void check_flags(bool holds, const char* message);  // Error(kUsage)
// Throws Error(kMissingInput) unless something is there; an empty path is nothing asked for.
void check_present(const std::string& path, const char* what);

struct SampledModel {
  LoadedDenoiser run;  // with the flags' --schedule --predict ... in place of what the run says
  SamplerOptions options;
  Schedule schedule;
  Device device;
  std::optional<int64_t> mean_start;  // that the grid's file names

  // Looks at `run`, which must outlive it.
  Network network() const;
};
// Both must be there before either is read. Throws Error(kUsage) for a network that takes masks where neither they nor
// `given_conditions` are.
SampledModel load_model(const ModelSettings& settings, const MaskSettings& masks, const Common& common,
                        bool given_conditions = false);

struct Conditions {
  std::vector<Tensor> masks;       // (1, P, H, W) each
  std::vector<std::string> files;  // of the masks; empty with --noise
  std::vector<std::string> planes;
};
// The first `count` masks (no more than the settings' mask_count) of the data-set folder in name order, made square as
// the run's, their planes in the run's order. Without a folder, for a network without masks: one that is all sector.
Conditions read_masks(const MaskSettings& settings, const Common& common, const DenoiserRun& run, int64_t count);

// Without policy, conditions and judges.
SamplerJob sampler_job(const SampledModel& model, const ModelSettings& settings, const MaskSettings& masks,
                       const Common& common);
// Where the job, which has its masks, begins below T - 1: it does so at their means, as --mean-start says. Looks at
// `model`, which must outlive it. Throws Error(kUsage) where the flag asks for them and they have no place.
void start_at_means(const SampledModel& model, const ModelSettings& settings, const Common& common, SamplerJob& job);
// The picture of a data-set folder that belongs to the mask, made square as the run's; nothing where it has none.
std::optional<GrayImage> picture_of_mask(const std::string& folder, const std::string& file, const DenoiserRun& run);
SamplerFacts sampler_facts(const SampledModel& model, const ModelSettings& settings, const SamplerJob& job,
                           uint64_t seed);
// Shallow calls, once the job's device is set. Looks at `model`, which must outlive it. Throws Error(kUsage) on a GPU.
void share_deep_levels(const SampledModel& model, const char* flag, SamplerJob& job);

// A run of dtrain scorer or dtrain value as a judge of pictures of this size, drawn from masks with these planes (none:
// not known), computing on `device`. Throws Error: kMissingInput, kBadInput.
Judge load_judge(const std::string& run, int64_t height, int64_t width, Device device,
                 const std::vector<std::string>& planes, bool allow_unfinished);
// Asks about one picture of the job, grey all over, at time t, -1: finished. Throws what the judge throws.
void try_judge(const Judge& judge, const SamplerJob& job, int64_t t);

}  // namespace echodiff
