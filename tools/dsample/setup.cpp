#include "dsample/setup.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include "diffusion/samplers/samplers.h"
#include "dsample/grid_file.h"
#include "quality/judges/judge.h"
#include "quality/sampling/mean_start.h"
#include "quality/sampling/network.h"
#include "tensor/io/text.h"
#include "train/data/dataset.h"
#include "train/data/image.h"
#include "train/data/loader.h"
#include "train/folder/fit.h"
#include "train/folder/listing.h"
#include "train/folder/planes.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

// What the run says, unless a flag says otherwise.
void apply_overrides(const ModelSettings& settings, DenoiserRun& run) {
  if (settings.schedule != "run") run.schedule = parse_schedule(settings.schedule);
  if (settings.predict != "run") run.prediction = parse_prediction(settings.predict);
  if (settings.variance != "run") run.variance = settings.variance;
  if (settings.timesteps) run.T = *settings.timesteps;
  if (settings.image_size) run.image_size = *settings.image_size;
}

struct ChosenGrid {
  Grid grid;
  std::optional<int64_t> mean_start;  // that its file names
};

ChosenGrid grid_of(const ModelSettings& settings, int64_t T) {
  const bool named = settings.grid == "even" || settings.grid == "logsnr" || settings.grid == "rho";
  if (named) {
    const GridKind kind = parse_grid_kind(settings.grid);
    return {{.kind = kind, .start = settings.grid_start, .end = settings.grid_end, .times = {}}, {}};
  }
  check_input(std::filesystem::exists(settings.grid), Fault::kUsage,
              "--grid: expected even, logsnr, rho or a file, found '", settings.grid, "'");
  check_input(!settings.grid_start && !settings.grid_end, Fault::kUsage,
              "--grid: a file says where it starts and ends; leave --grid-start and --grid-end out");
  const GridFile file = read_grid_file(settings.grid, T);
  return {{.kind = GridKind::given, .start = {}, .end = {}, .times = file.times}, file.mean_start};
}

SamplerOptions sampler_options(const ModelSettings& settings, const DenoiserRun& run, const Grid& grid) {
  SamplerOptions options;
  options.grid = grid;
  options.sampler = settings.sampler;
  options.steps = settings.sample_steps.value_or(0);
  options.eta = settings.eta;
  options.clip = settings.clip == "auto" ? sampler_of(settings.sampler).clips : settings.clip == "on";
  options.prediction = run.prediction;
  options.variance = parse_variance(run.variance);
  check_input(options.variance != Variance::learned || run.options.learned_variance, Fault::kUsage,
              "--variance: this model has no learned variance, use posterior or beta");
  return options;
}

void declare_sampler(Options& options, ModelSettings& settings) {
  std::vector<std::string> names, with_eta, unclipped;
  std::string summaries;
  for (const Sampler& sampler : samplers()) {
    names.push_back(sampler.name);
    summaries += concat_message(!summaries.empty() ? " | " : "", sampler.name, ": ", sampler.summary);
    if (sampler.takes_eta) with_eta.push_back(sampler.name);
    if (!sampler.clips) unclipped.push_back(sampler.name);
  }
  options.add_choice("--sampler", settings.sampler, "reverse process, " + summaries, names);
  options.add("--eta", settings.eta, join(with_eta, ", ") + ": share of fresh noise", {0, 1}, "fraction");
  options.add_choice("--clip", settings.clip,
                     "clamp the predicted picture in every step; auto: off for " + join(unclipped, ", ") + " only",
                     {"auto", "on", "off"});
  options.rule([&settings, names = join(with_eta, ", ")] {
    check_input(settings.eta == 0 || sampler_of(settings.sampler).takes_eta, Fault::kUsage, "--eta: only --sampler ",
                names, " takes it, leave it out");
  });
}

void declare_grid(Options& options, ModelSettings& settings) {
  std::vector<std::string> steps, gridded;
  for (const Sampler& sampler : samplers()) {
    const std::string name = sampler.name;
    steps.push_back(name + (sampler.usual_steps == 0 ? ": all" : concat_message(": ", sampler.usual_steps)));
    if (sampler.takes_grid) gridded.push_back(name);
  }
  options.add("--sample-steps", settings.sample_steps, "reverse steps; --grid says where they are", {1, 1000000},
              "steps", join(steps, ", "));
  options.add(
      "--grid", settings.grid,
      "where " + join(gridded, ", ") +
          " stop over: even in t | logsnr: even in log(alpha / sigma), best for few steps | rho: EDM's | a file "
          "of dsample fit-grid",
      "NAME|FILE");
  options.add("--grid-start", settings.grid_start, "first time as a share of all", {0, 1}, "share",
              "even: 1, logsnr and rho: 0.95");
  options.add("--grid-end", settings.grid_end, "last time as a share of all", {0, 1}, "share",
              "even: 0, logsnr and rho: 0.04");
  options.add("--mean-start", settings.mean_start,
              "where a grid begins below the last time: begin at what the network expects of the mask, the mean of so "
              "many predictions, and noise; as many calls once a mask; 0: noise alone, which makes dark pictures grey",
              {0, 10000}, "calls a mask", concat_message("as the grid's file says, else ", kMeanStart));
}

}  // namespace

void declare_model(Options& options, ModelSettings& settings) {
  declare_network(options, settings);
  declare_grid(options, settings);
}

void declare_network(Options& options, ModelSettings& settings) {
  options.add("--model", settings.model, "run directory of dtrain diffusion or dweights import", "RUN").required();
  options.add("--image-size", settings.image_size, "width and height", {8, 1024}, "pixels", "as the model says");
  options.add_choice("--ema", settings.ema, "averaged weights, where the run has them", {"on", "off"});
  declare_best(options, settings.best);
  declare_sampler(options, settings);
  options.add_choice("--variance", settings.variance, "ddpm: variance of a step; run: as the model says",
                     {"run", "posterior", "beta", "learned"});
  options.add_choice("--schedule", settings.schedule, "noise schedule; run: as the model says",
                     {"run", "linear", "cosine", "sigmoid"});
  options.add_choice("--predict", settings.predict, "what the network answers; run: as the model says",
                     {"run", "eps", "v", "x0"});
  options.add("--timesteps", settings.timesteps, "time steps of training", {1, 1000000}, "steps", "as the model says");
}

void declare_guidance(Options& options, ModelSettings& settings) {
  options.add("--guidance", settings.guidance,
              "classifier-free guidance over the organ masks; other than 1: two calls a step", {0, 100}, "factor");
}

void declare_deepcache(Options& options, ModelSettings& settings) {
  options.add("--deepcache", settings.deepcache,
              "compute the network whole in every so many-th step only; between them its outermost level alone, with "
              "what the deeper ones said last; 1: off",
              {1, 1000000}, "steps");
  options.rule([&settings] {
    check_flags(settings.deepcache == 1 || settings.guidance == 1,
                "--deepcache: goes without --guidance, leave it out");
  });
}

void declare_masks(Options& options, MaskSettings& settings, const std::string& instead) {
  options.add("--masks", settings.masks, "data-set folder; its masks are taken in name order, over and over", "DIR",
              instead.empty() ? "for a network without masks only" : instead + ", or for a network without masks");
  options.add("--count", settings.count, "trajectories", {1, 1000000000}, "trajectories", instead).is_required =
      instead.empty();
  options.add("--mask-count", settings.mask_count, "the first N masks of --masks alone", {1, 1000000000}, "masks",
              "all");
  options.rule([&settings, instead] {
    check_flags(!settings.masks.empty() || settings.planes.empty(), "--planes: of --masks, give --masks DIR");
    check_flags(!settings.masks.empty() || !settings.mask_count, "--mask-count: of --masks, give --masks DIR");
  });
  options.add("--planes", settings.planes, "planes of the masks, in place of dataset.json", "NAME=VALUE,...");
  options.add("--batch", settings.batch, "trajectories under way at once; changes no picture", {1, 100000},
              "trajectories");
}

void check_flags(bool holds, const char* message) { check_input(holds, Fault::kUsage, message); }

void check_present(const std::string& path, const char* what) {
  std::error_code error;
  check_input(path.empty() || fs::exists(path, error), Fault::kMissingInput, path, ": expected ", what,
              ", found nothing there; check the path");
}

Network SampledModel::network() const { return network_of(run, device); }

SampledModel load_model(const ModelSettings& settings, const MaskSettings& masks, const Common& common,
                        bool given_conditions) {
  check_present(settings.model, "a diffusion run");
  check_present(masks.masks, "a data-set folder");
  const Device device = parse_device(common.device);
  LoadedDenoiser run = load_denoiser_run(settings.model, {.ema = settings.ema == "on", .best = settings.best == "on"});
  if (!run.best.empty()) note(common, run.best);
  check_input(given_conditions || !masks.masks.empty() || run.options.planes == 0, Fault::kUsage,
              "--masks: expected a data-set folder, as ", settings.model, " takes masks (", join(run.planes),
              "), give --masks DIR");
  check_input(settings.guidance == 1 || run.mask_drop.value_or(1) > 0, Fault::kUsage, "--guidance: ", settings.model,
              " was trained with every mask there, so what it says without them means nothing; leave it out, or train "
              "with --mask-drop");
  check_input(run.options.image_channels == 1, Fault::kBadInput, settings.model,
              ": expected a network of grey pictures, found ", run.options.image_channels,
              " channels; import it with --image-channels 1");
  run.network.to(device);
  run.network.use_bf16(common.bf16);
  apply_overrides(settings, run);
  const ChosenGrid chosen = grid_of(settings, run.T);
  const SamplerOptions options = sampler_options(settings, run, chosen.grid);
  Schedule schedule = schedule_of(run);
  return {std::move(run), options, std::move(schedule), device, chosen.mean_start};
}

namespace {

Conditions no_masks(const DenoiserRun& run) {
  Conditions conditions;
  conditions.masks.push_back(full({1, 1, run.image_size, run.image_size}, 1.0));
  conditions.files = {""};
  conditions.planes = {"sector"};
  return conditions;
}

}  // namespace

Conditions read_masks(const MaskSettings& settings, const Common& common, const DenoiserRun& run, int64_t count) {
  if (settings.masks.empty()) return no_masks(run);
  DatasetOptions options;
  options.directory = settings.masks;
  options.image_size = run.image_size;
  options.planes = settings.planes;
  options.fit = run.fit;
  options.need_images = false;
  options.need_masks = run.options.planes > 1 || fs::is_directory(fs::path(settings.masks) / "masks");
  Dataset data = load_dataset(options);
  if (run.options.planes > 0) order_planes(data, run.planes, "the model", settings.masks);
  for (const std::string& line : data.notes) note(common, line);
  Conditions conditions;
  conditions.planes = data.plane_names;
  const size_t used = std::min(data.examples.size(), size_t(std::min(count, settings.mask_count.value_or(count))));
  for (size_t i = 0; i < used; ++i) {
    const Example& example = data.examples[i];
    conditions.masks.push_back(condition_of(example));
    conditions.files.push_back(example.file);
  }
  return conditions;
}

SamplerJob sampler_job(const SampledModel& model, const ModelSettings& settings, const MaskSettings& masks,
                       const Common& common) {
  SamplerJob job;
  job.plan = make_plan(model.schedule, model.options);
  job.device = model.device;
  job.noise = default_noise(common.seed);
  job.count = masks.count.value_or(0);
  job.batch = masks.batch;
  job.guidance = settings.guidance;
  if (settings.deepcache > 1) {
    share_deep_levels(model, "--deepcache", job);
    job.whole_every = settings.deepcache;
  }
  return job;
}

void start_at_means(const SampledModel& model, const ModelSettings& settings, const Common& common, SamplerJob& job) {
  const bool below = job.plan.steps[0].t < model.schedule.T - 1;
  check_input(below || settings.mean_start.value_or(0) == 0, Fault::kUsage,
              "--mean-start: this sampler begins at the last time, where noise alone is right; leave it out, or begin "
              "lower with --grid-start");
  const int64_t draws = settings.mean_start.value_or(model.mean_start.value_or(kMeanStart));
  if (!below || draws == 0) return;
  begin_at_means(model.schedule,
                 std::make_shared<MeanPictures>(model.schedule, job, model.network(), common.seed, draws), job);
}

std::optional<GrayImage> picture_of_mask(const std::string& folder, const std::string& file, const DenoiserRun& run) {
  const std::string path = partner_in(folder + "/images", file);
  if (path.empty()) return std::nullopt;
  return fit_area(read_picture(path), run.image_size, run.fit);
}

SamplerFacts sampler_facts(const SampledModel& model, const ModelSettings& settings, const SamplerJob& job,
                           uint64_t seed) {
  SamplerFacts facts;
  facts.sampler = settings.sampler;
  facts.schedule = name_of(model.run.schedule);
  facts.log_snr_shift = model.run.log_snr_shift;
  facts.prediction = name_of(model.run.prediction);
  facts.sample_steps = job.plan.count();
  facts.T = model.run.T;
  facts.size = model.run.image_size;
  facts.deepcache = job.whole_every;
  facts.mean_start = job.mean_start;
  facts.eta = settings.eta;
  facts.guidance = job.guidance;
  facts.clip = model.options.clip;
  facts.ema = settings.ema == "on";
  facts.seed = seed;
  return facts;
}

void share_deep_levels(const SampledModel& model, const char* flag, SamplerJob& job) {
  check_input(model.device == Device::kCpu, Fault::kUsage, flag, ": computes on the CPU, add --device cpu");
  job.caching = caching_network_of(model.run);
}

Judge load_judge(const std::string& run, int64_t height, int64_t width, Device device,
                 const std::vector<std::string>& planes, bool allow_unfinished) {
  check_present(run, "a judge's run");
  return load_judge_run(run, height, width, device, planes, allow_unfinished);
}

void try_judge(const Judge& judge, const SamplerJob& job, int64_t t) {
  const Tensor& condition = job.conditions[0];
  ask(judge, zeros({1, 1, condition.dim(2), condition.dim(3)}), from_indices({t}), condition);
}

}  // namespace echodiff
