// dsample: pictures from a diffusion run, conditioned on the masks of a data-set folder, with a judge in the loop if
// wanted. The sampling itself is quality/sampler.h; here are its flags, inputs and outputs.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "cli.h"
#include "diffusion/samplers/plan.h"
#include "dsample_noise.h"
#include "dsample_output.h"
#include "kernels/thread_pool.h"
#include "quality/policy/none.h"
#include "quality/policy/paper.h"
#include "quality/policy/posthoc.h"
#include "quality/policy/random.h"
#include "quality/sampler.h"
#include "quality/scorer.h"
#include "train/dataset.h"
#include "train/model_run.h"

namespace {

using namespace echodiff;
namespace fs = std::filesystem;

struct Settings {
  std::string model, masks, out, scorer, noise, trace, planes, shard = "0/1";
  std::string ema = "on", sampler = "ddpm", clip = "auto", policy = "none", score_on = "x0hat", keep = "finish";
  std::string schedule = "run", predict = "run", variance = "run";
  std::optional<int64_t> count, sample_steps, accept, timesteps, image_size;
  int64_t batch = 8, tail_steps = 10;
  double eta = 0, guidance = 1, tau = 0.95, discard_rate = 0.5, discard_at = 0.2;
  PaperOptions paper;
  bool keep_discarded = false;
};

struct Shard {
  int64_t index = 0, of = 1;
};

Shard parse_shard(const std::string& text) {
  Shard shard;
  char slash = 0, rest = 0;
  std::istringstream in(text);
  const bool fits = (in >> shard.index >> slash >> shard.of) && slash == '/' && !(in >> rest) && shard.index >= 0 &&
                    shard.of >= 1 && shard.index < shard.of;
  check_input(fits, Fault::kUsage, "--shard: expected i/n with 0 <= i < n, found '", text, "'");
  return shard;
}

Policy make_policy(const Settings& settings, uint64_t seed) {
  if (settings.policy == "none") return none_policy();
  if (settings.policy == "posthoc") return posthoc_policy();
  if (settings.policy == "random") return random_policy({settings.discard_rate, settings.discard_at, seed});
  PaperOptions options = settings.paper;
  options.tau = settings.tau;
  return paper_policy(options);
}

void check_flags(const Settings& settings) {
  const auto rule = [](bool holds, const char* message) { check_input(holds, Fault::kUsage, message); };
  rule(settings.noise.empty() != settings.masks.empty(),
       "--masks: expected either --masks DIR or --noise FILE, give one");
  rule(settings.count || !settings.noise.empty(),
       "--count: expected a number of trajectories, found none, add --count N");
  rule(!settings.count || settings.noise.empty(), "--count: comes from the --noise file, leave it out");
  rule(settings.policy == "none" || !settings.scorer.empty(),
       "--scorer: this --policy needs a judge, add --scorer RUN");
  rule(settings.eta == 0 || settings.sampler == "ddim", "--eta: only --sampler ddim takes it, leave it out");
  rule(settings.trace.empty() || settings.policy == "none" || settings.policy == "posthoc",
       "--trace: expected whole trajectories, use --policy none or posthoc");
  rule(settings.trace.empty() || (!settings.accept && parse_shard(settings.shard).of == 1),
       "--trace: expected all trajectories, leave out --accept and --shard");
  parse_shard(settings.shard);
  make_policy(settings, 0);
}

void check_present(const std::string& path, const char* what) {
  std::error_code error;
  check_input(path.empty() || fs::exists(path, error), Fault::kMissingInput, path, ": expected ", what,
              ", found nothing there; check the path");
}

struct Conditions {
  std::vector<Tensor> planes;      // (1, P, H, W) each
  std::vector<std::string> files;  // of the masks; empty with --noise
};

// The masks of the data-set folder in name order.
Conditions read_masks(const Settings& settings, const Common& common, const DenoiserRun& run, int64_t size,
                      int64_t count) {
  DatasetOptions options;
  options.directory = settings.masks;
  options.image_size = size;
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
  const size_t used = std::min(data.examples.size(), size_t(count));
  for (size_t i = 0; i < used; ++i) {
    const Example& example = data.examples[i];
    Tensor masks = empty({1, planes, size, size});
    float* out = masks.mutable_data<float>();
    for (int64_t pixel = 0; pixel < size * size; ++pixel)
      for (const GrayImage& plane : example.planes) *out++ = float(plane.pixels[size_t(pixel)]);
    conditions.planes.push_back(masks);
    conditions.files.push_back(example.file);
  }
  return conditions;
}

SamplerOptions sampler_options(const Settings& settings, const DenoiserRun& run) {
  SamplerOptions options;
  options.kind = parse_sampler(settings.sampler);
  options.steps = settings.sample_steps.value_or(default_steps(options.kind, run.T));
  options.eta = settings.eta;
  // diffusers' DPM-Solver++ doesn't clamp; the other two do as denoising-diffusion-pytorch.
  options.clip = settings.clip == "auto" ? options.kind != SamplerKind::dpmpp : settings.clip == "on";
  options.prediction = run.prediction;
  options.variance = parse_variance(run.variance);
  check_input(options.variance != Variance::learned || run.options.learned_variance, Fault::kUsage,
              "--variance: this model has no learned variance, use posterior or beta");
  return options;
}

// What the run says, unless a flag says otherwise.
void apply_overrides(const Settings& settings, DenoiserRun& run) {
  if (settings.schedule != "run") run.schedule = parse_schedule(settings.schedule);
  if (settings.predict != "run") run.prediction = parse_prediction(settings.predict);
  if (settings.variance != "run") run.variance = settings.variance;
  if (settings.timesteps) run.T = *settings.timesteps;
  if (settings.image_size) run.image_size = *settings.image_size;
}

SummaryFacts facts_of(const Settings& settings, const DenoiserRun& run, const SamplerOptions& options) {
  SummaryFacts facts;
  facts.policy = settings.policy;
  facts.sampler = settings.sampler;
  facts.score_on = settings.score_on;
  facts.keep = settings.keep;
  facts.schedule = name_of(run.schedule);
  facts.prediction = name_of(run.prediction);
  facts.T = run.T;
  facts.batch = settings.batch;
  facts.eta = settings.eta;
  facts.guidance = settings.guidance;
  facts.tau = settings.tau;
  facts.clip = options.clip;
  return facts;
}

int sample(const Settings& settings, const Common& common) {
  set_thread_count(int(common.threads));
  check_present(settings.model, "a diffusion run");
  check_present(settings.masks, "a data-set folder");
  check_present(settings.noise, "a safetensors file");
  check_present(settings.scorer, "a scorer run");

  LoadedDenoiser run = load_denoiser_run(settings.model, settings.ema == "on");
  check_input(run.options.image_channels == 1, Fault::kBadInput, settings.model,
              ": expected a network of grey pictures, found ", run.options.image_channels,
              " channels; import it with --image-channels 1");
  const Device device = parse_device(common.device);
  run.network.to(device);
  apply_overrides(settings, run);
  const SamplerOptions options = sampler_options(settings, run);
  const Schedule schedule = make_schedule(run.schedule, run.T);
  const Shard shard = parse_shard(settings.shard);

  SamplerJob job;
  job.plan = make_plan(schedule, options);
  job.policy = make_policy(settings, common.seed);
  job.batch = settings.batch;
  job.shard = shard.index;
  job.shards = shard.of;
  job.accept = settings.accept;
  job.guidance = settings.guidance;
  job.tau = settings.tau;
  job.score_on = settings.score_on == "xt" ? ScoreOn::xt : ScoreOn::x0hat;
  job.keep = settings.keep == "xt" ? Keep::xt : settings.keep == "x0hat" ? Keep::x0hat : Keep::finish;
  if (settings.tail_steps > 0)
    job.tail = [&](int64_t t) { return make_tail(schedule, options, t, settings.tail_steps); };
  Conditions conditions;
  if (settings.noise.empty()) {
    job.count = *settings.count;
    job.noise = default_noise(common.seed);
    conditions = read_masks(settings, common, run, run.image_size, job.count);
  } else {
    const GivenNoise given = read_given_noise(settings.noise, job.plan.count());
    job.count = given.count();
    job.noise = given.source();
    conditions.planes = given.conditions;
    check_input(given.conditions[0].dim(1) == run.options.planes || run.options.planes == 0, Fault::kBadInput,
                settings.noise, ": cond: expected ", run.options.planes, " planes as the model has, found ",
                given.conditions[0].dim(1));
  }
  job.conditions = conditions.planes;
  const int64_t height = job.conditions[0].dim(2), width = job.conditions[0].dim(3);

  Judge judge;
  if (!settings.scorer.empty()) {
    const std::shared_ptr<Scorer> scorer = std::make_shared<Scorer>(load_scorer_run(settings.scorer));
    check_input(scorer->options().image_size == height && height == width, Fault::kBadInput, settings.scorer,
                ": expected a scorer trained on pictures of ", width, "x", height, ", found one for ",
                scorer->options().image_size, "; train one on this size");
    scorer->to(device);
    judge = [scorer](const Tensor& images) { return scorer->score(images); };
  }
  const bool conditioned = run.options.planes > 0;
  const Network network = [&run, conditioned, device](const Tensor& x, const Tensor& t, const Tensor& condition) {
    return run.network(x.to(device), t, conditioned ? condition.to(device) : Tensor()).to(Device::kCpu);
  };

  SampleFolder folder(settings.out, settings.keep_discarded);
  folder.write_config(common.resolved_toml);
  std::optional<Trace> trace;
  if (!settings.trace.empty()) trace.emplace(job.plan, job.count, height, width, job.noise);
  Progress progress("sampling", job.count * job.plan.count(), "steps", common.quiet);
  int64_t kept = 0, decided = 0;
  SamplerHooks hooks;
  hooks.stop = interrupted;
  hooks.on_record = [&](const SampleRecord& record) {
    kept += record.kept() ? 1 : 0;
    ++decided;
    folder.write(record, conditions.files.empty() ? "" : conditions.files[size_t(record.condition)], common.seed);
  };
  hooks.on_progress = [&](int64_t done, int64_t) {
    progress.update(done, std::to_string(kept) + " kept of " + std::to_string(decided));
  };
  if (trace)
    hooks.on_step = [&](int64_t index, int64_t step, const SampleState& state) { trace->keep(index, step, state); };

  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  const SamplerTotals totals = run_sampler(job, network, judge, hooks);
  progress.finish();
  if (trace && !totals.interrupted) trace->write(settings.trace);
  SummaryFacts facts = facts_of(settings, run, options);
  facts.sample_steps = job.plan.count();
  facts.size = width;
  facts.seed = common.seed;
  facts.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  folder.write_summary(facts, totals);
  note(common, concat_message(settings.out, ": ", totals.kept, " kept of ", totals.trajectories, " trajectories, ",
                              totals.unet_calls, " network calls"));
  return totals.interrupted ? interrupt_exit_code() : 0;
}

void declare_policy(Options& options, Settings& settings) {
  options.add_choice(
      "--policy", settings.policy,
      "none: keep all | posthoc: keep iff the finished picture scores tau | paper: score on the way, accept at "
      "tau, drop what stagnates | random: drop a share blindly, then posthoc",
      {"none", "posthoc", "paper", "random"});
  options.add("--scorer", settings.scorer, "run directory of dtrain scorer", "RUN");
  options.add("--tau", settings.tau, "score that accepts", {0, 1}, "score");
  options.add("--accept", settings.accept, "stop after so many kept, in index order (of this shard)", {1, 1000000000},
              "pictures", "no limit");
  options.add_choice("--score-on", settings.score_on,
                     "paper: what is scored on the way, the predicted clean picture or x_t itself (the paper's words)",
                     {"x0hat", "xt"});
  options.add_choice("--keep", settings.keep,
                     "paper: what is kept of an early accept: the finished picture, the predicted one or x_t",
                     {"finish", "x0hat", "xt"});
  options.add("--tail-steps", settings.tail_steps,
              "finish: DDIM steps that finish an early accept, where that is shorter; 0: the sampler goes on",
              {0, 1000000}, "steps");
  options.add("--window", settings.paper.window, "paper: scores whose best must improve", {1, 1000000}, "scores");
  options.add("--delta", settings.paper.delta, "paper: least improvement over the best before the window", {0, 1},
              "score");
  options.add("--warm-up", settings.paper.warm_up, "paper: share of the steps before the first score", {0, 1},
              "fraction");
  options.add("--every", settings.paper.every, "paper: steps from one score to the next", {1, 1000000}, "steps");
  options.add("--discard-rate", settings.discard_rate, "random: share dropped", {0, 1}, "fraction");
  options.add("--discard-at", settings.discard_at, "random: after this share of the steps", {0, 1}, "fraction");
  options.add_flag("--keep-discarded", settings.keep_discarded,
                   "write discarded/NNNNNN.png too (of one dropped on its way: the predicted picture)");
}

void declare_sampler(Options& options, Settings& settings) {
  options.add_choice("--sampler", settings.sampler, "reverse process", {"ddpm", "ddim", "dpmpp"});
  options.add("--sample-steps", settings.sample_steps, "reverse steps, evenly spaced in the time steps of training",
              {1, 1000000}, "steps", "ddpm: all, ddim: 50, dpmpp: 20");
  options.add("--eta", settings.eta, "ddim: share of fresh noise", {0, 1}, "fraction");
  options.add("--guidance", settings.guidance,
              "classifier-free guidance over the organ masks; other than 1: two calls a step", {0, 100}, "factor");
  options.add_choice("--clip", settings.clip, "clamp the predicted picture in every step; auto: off for dpmpp only",
                     {"auto", "on", "off"});
  options.add_choice("--variance", settings.variance, "ddpm: variance of a step; run: as the model says",
                     {"run", "posterior", "beta", "learned"});
  options.add_choice("--schedule", settings.schedule, "noise schedule; run: as the model says",
                     {"run", "linear", "cosine", "sigmoid"});
  options.add_choice("--predict", settings.predict, "what the network answers; run: as the model says",
                     {"run", "eps", "v", "x0"});
  options.add("--timesteps", settings.timesteps, "time steps of training", {1, 1000000}, "steps", "as the model says");
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  return run_program(
      argc, argv,
      {"dsample", "Samples pictures from a diffusion run, conditioned on masks, with a judge in the loop if wanted.",
       "dsample --model run --masks phantom --count 16 --sampler ddim --sample-steps 50 --out samples"},
      [&](Options& options) {
        options.add("--model", settings.model, "run directory of dtrain diffusion or dweights import", "RUN")
            .required();
        options.add("--out", settings.out, "folder to make: images/, samples.jsonl, summary.json", "DIR").required();
        options.add("--masks", settings.masks, "data-set folder; its masks are taken in name order, over and over",
                    "DIR");
        options.add("--planes", settings.planes, "planes of the masks, in place of dataset.json", "NAME=VALUE,...");
        options.add("--count", settings.count, "trajectories; with --masks", {1, 1000000000}, "trajectories",
                    "from --noise");
        options.add("--image-size", settings.image_size, "width and height", {8, 1024}, "pixels", "as the model says");
        options.add("--batch", settings.batch, "trajectories under way at once; changes no picture", {1, 100000},
                    "trajectories");
        options.add_choice("--ema", settings.ema, "averaged weights, where the run has them", {"on", "off"});
        options.add("--shard", settings.shard, "only trajectories of index mod n = i", "i/n");
        declare_sampler(options, settings);
        declare_policy(options, settings);
        options.add("--noise", settings.noise, "x_T, noise, cond to sample with, in place of --masks and the seed",
                    "FILE");
        options.add("--trace", settings.trace, "write x, eps and x_start of every step", "FILE");
        options.rule([&] { check_flags(settings); });
        options.runs_on_cuda();
        options.body([&](const Common& common) { return sample(settings, common); });
      });
}
