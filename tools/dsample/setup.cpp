#include "dsample/setup.h"

#include <algorithm>
#include <filesystem>

#include "diffusion/samplers/samplers.h"
#include "quality/judges/judge.h"
#include "quality/judges/scorer.h"
#include "quality/sampling/network.h"
#include "quality/sampling/policy/es_ddpm.h"
#include "quality/sampling/policy/restart.h"
#include "tensor/io/text.h"
#include "train/data/dataset.h"
#include "train/data/image.h"
#include "train/data/loader.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

// What the run says, unless a flag says otherwise.
void apply_overrides(const SampleSettings& settings, DenoiserRun& run) {
  if (settings.schedule != "run") run.schedule = parse_schedule(settings.schedule);
  if (settings.predict != "run") run.prediction = parse_prediction(settings.predict);
  if (settings.variance != "run") run.variance = settings.variance;
  if (settings.timesteps) run.T = *settings.timesteps;
  if (settings.image_size) run.image_size = *settings.image_size;
}

SamplerOptions sampler_options(const SampleSettings& settings, const DenoiserRun& run) {
  SamplerOptions options;
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

}  // namespace

void check_present(const std::string& path, const char* what) {
  std::error_code error;
  check_input(path.empty() || fs::exists(path, error), Fault::kMissingInput, path, ": expected ", what,
              ", found nothing there; check the path");
}

Network SampledModel::network() const { return network_of(run, device); }

SampledModel load_model(const SampleSettings& settings, const Common& common) {
  const Device device = parse_device(common.device);
  LoadedDenoiser run = load_denoiser_run(settings.model, settings.ema == "on");
  check_input(run.options.image_channels == 1, Fault::kBadInput, settings.model,
              ": expected a network of grey pictures, found ", run.options.image_channels,
              " channels; import it with --image-channels 1");
  run.network.to(device);
  run.network.use_bf16(common.bf16);
  apply_overrides(settings, run);
  const SamplerOptions options = sampler_options(settings, run);
  Schedule schedule = make_schedule(run.schedule, run.T);
  return {std::move(run), options, std::move(schedule), device};
}

Conditions read_masks(const SampleSettings& settings, const Common& common, const DenoiserRun& run, int64_t count) {
  DatasetOptions options;
  options.directory = settings.masks;
  options.image_size = run.image_size;
  options.planes = settings.planes;
  options.need_images = false;
  options.need_masks = run.options.planes != 1;
  const Dataset data = load_dataset(options);
  const int64_t planes = int64_t(data.plane_names.size());
  check_input(run.options.planes == 0 || planes == run.options.planes, Fault::kBadInput, settings.masks, ": expected ",
              run.options.planes, " planes as the model has (", join(run.planes), "), found ", join(data.plane_names),
              "; use its data set or --planes");
  // Names are no proof: an imported model has none of its own.
  if (run.options.planes > 0 && run.planes != data.plane_names)
    note(common, concat_message("planes ", join(data.plane_names), " are taken for the model's ", join(run.planes)));
  Conditions conditions;
  conditions.planes = data.plane_names;
  const size_t used = std::min(data.examples.size(), size_t(count));
  for (size_t i = 0; i < used; ++i) {
    const Example& example = data.examples[i];
    conditions.masks.push_back(condition_of(example));
    conditions.files.push_back(example.file);
  }
  return conditions;
}

Keep parse_keep(const std::string& name) {
  return name == "xt" ? Keep::xt : name == "x0hat" ? Keep::x0hat : Keep::finish;
}

void apply_early_exits(const SampleSettings& settings, const SampledModel& model, SamplerJob& job) {
  if (settings.deepcache == 1 && settings.adadiff.empty() && settings.fit_adadiff.empty()) return;
  check_input(model.device == Device::kCpu, Fault::kUsage, settings.deepcache > 1 ? "--deepcache" : "--adadiff",
              ": computes on the CPU, add --device cpu");
  job.whole_every = settings.deepcache;
  job.caching = caching_network_of(model.run);
  if (settings.adadiff.empty()) return;
  check_present(settings.adadiff, "a rule that --fit-adadiff wrote");
  job.exits = read_exit_rule(settings.adadiff);
  job.exit_error = settings.adadiff_error;
  check_input(job.exits->steps == job.plan.count(), Fault::kUsage, settings.adadiff, ": was fitted on ",
              job.exits->steps, " steps, found a sampler of ", job.plan.count(), "; fit it on this sampler");
}

void require_rule_fits(const SampleSettings& settings, const SamplerJob& job) {
  if (settings.policy != "restart") return;
  const RestartRule rule = read_restart_rule(settings.rule);
  check_input(rule.steps == job.plan.count(), Fault::kUsage, settings.rule, ": was fitted on ", rule.steps,
              " steps, found a sampler of ", job.plan.count(), "; fit it on a recording of this sampler");
  check_input(rule.deepcache == job.whole_every, Fault::kUsage, settings.rule, ": was fitted for --deepcache ",
              rule.deepcache, ", found ", job.whole_every, "; fit it on a recording made with --deepcache ",
              job.whole_every);
  check_input(!job.exits, Fault::kUsage, settings.rule, ": was fitted without --adadiff, leave it out");
  check_input(rule.on == job.score_on, Fault::kUsage, settings.rule,
              ": was fitted on scores of the other of x0hat and xt; change --score-on");
}

void start_from_pictures(const SampleSettings& settings, const SampledModel& model, const Conditions& conditions,
                         SamplerJob& job) {
  const std::string& folder = settings.start_images.empty() ? settings.masks : settings.start_images;
  check_present(folder, "a data-set folder");
  const int64_t size = model.run.image_size;
  std::vector<Tensor> pictures;
  for (const std::string& file : conditions.files) {
    const GrayImage image = resize_area(read_png(folder + "/images/" + file), size, size);
    pictures.push_back(to_tensor({&image}));
  }
  const int64_t last = std::max<int64_t>(1, int64_t(settings.start * double(model.run.T))) - 1;
  job.plan = es_ddpm_plan(model.schedule, model.options, last);
  job.noise = es_ddpm_start(model.schedule, job.plan.steps[0].t, std::move(pictures), job.noise);
}

Judge load_judge(const std::string& run, int64_t height, int64_t width, Device device) {
  check_present(run, "a judge's run");
  return load_judge_run(run, height, width, device);
}

}  // namespace echodiff
