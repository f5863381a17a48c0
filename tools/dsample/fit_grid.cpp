// dsample fit-grid: where a sampler of few steps stops over, chosen by unfiltered samples beside held-out pictures.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "dsample/dsample.h"
#include "dsample/grid_file.h"
#include "dsample/mean_grey.h"
#include "dsample/setup.h"
#include "quality/evaluate/distribution.h"
#include "quality/evaluate/grid_choice.h"
#include "quality/sampling/mean_start.h"
#include "quality/sampling/policy/none.h"
#include "tensor/io/text.h"
#include "train/data/loader.h"
#include "train/folder/planes.h"
#include "train/folder/split.h"

namespace echodiff {
namespace {

struct Settings {
  ModelSettings model;
  std::string data, planes, features, out, calls = "4,5,6,8", starts = "1,0.95", ends = "0.02,0.04,0.08";
  int64_t count = 120, batch = 8, neighbours = 5;
  bool allow_unfinished = false;
};

// Pictures that the model was not trained on, and their masks.
struct HeldOut {
  std::string split;
  std::vector<GrayImage> images;
  std::vector<Tensor> masks;  // (1, P, H, W) each
};

HeldOut read_held_out(const Settings& settings, const Common& common, const DenoiserRun& run) {
  Dataset data = load_dataset({.directory = settings.data,
                               .image_size = run.image_size,
                               .planes = settings.planes,
                               .fit = run.fit,
                               .need_masks = run.options.planes > 1});
  if (run.options.planes > 0) order_planes(data, run.planes, "the model", settings.data);
  const std::string& model = settings.model.model;
  if (keeps_split(model) && shares_pictures(model, data)) follow_split(model, data, settings.data);
  for (const std::string& line : data.notes) note(common, line);
  const bool has_test = std::any_of(data.examples.begin(), data.examples.end(),
                                    [](const Example& example) { return example.split == "test"; });
  HeldOut held_out{has_test ? "test" : "val", {}, {}};
  for (const Example& example : data.examples) {
    if (example.split != held_out.split) continue;
    held_out.images.push_back(example.image);
    held_out.masks.push_back(condition_of(example));
  }
  const int64_t least = std::max<int64_t>(settings.neighbours + 1, 3), found = int64_t(held_out.images.size());
  check_input(found >= least, Fault::kBadInput, settings.data, ": ", found, " held-out pictures (", held_out.split,
              "), expected at least ", least, "; give a folder with more, or fewer --neighbours");
  return held_out;
}

// Every grid that is tried, with the plan of its sampler.
struct Candidate {
  MeasuredGrid grid;
  SamplingPlan plan;
};

std::vector<Candidate> candidates_of(const Settings& settings, const SampledModel& model, int64_t masks) {
  const int64_t draws = settings.model.mean_start.value_or(kMeanStart);
  std::vector<Candidate> candidates;
  for (const double calls : parse_numbers(settings.calls, "--calls"))
    for (const double start : parse_numbers(settings.starts, "--starts"))
      for (const double end : parse_numbers(settings.ends, "--ends")) {
        SamplerOptions options = model.options;
        options.steps = int64_t(calls);
        options.grid = {.kind = parse_grid_kind(settings.model.grid), .start = start, .end = end, .times = {}};
        Candidate candidate{{}, make_plan(model.schedule, options)};
        MeasuredGrid& grid = candidate.grid;
        grid.start = start;
        grid.end = end;
        for (const PlanStep& row : candidate.plan.steps) grid.times.push_back(row.t);
        if (grid.times[0] < model.schedule.T - 1) grid.mean_start = draws;
        grid.calls = calls + double(grid.mean_start * std::min(masks, settings.count)) / double(settings.count);
        candidates.push_back(std::move(candidate));
      }
  return candidates;
}

// Samples on the grids, and holds them against the held-out pictures.
class GridTrial {
 public:
  GridTrial(const Settings& settings, const Common& common, const SampledModel& model, const HeldOut& held_out)
      : settings_(settings),
        model_(model),
        held_out_(held_out),
        features_(load_resnet18_run(settings.features, settings.allow_unfinished)),
        real_(features_of(features_, held_out.images)) {
    MaskSettings masks;
    masks.count = settings.count;
    masks.batch = settings.batch;
    job_ = sampler_job(model, settings.model, masks, common);
    job_.conditions = held_out.masks;
    job_.policy = none_policy();
    const int64_t draws = settings.model.mean_start.value_or(kMeanStart);
    if (draws > 0) means_ = std::make_shared<MeanPictures>(model.schedule, job_, model.network(), common.seed, draws);
  }

  // Of the real pictures, weighted as the samples' masks are.
  double real_grey() const {
    double sum = 0;
    for (int64_t i = 0; i < settings_.count; ++i) {
      const size_t mask = size_t(i) % held_out_.masks.size();
      sum += mean_grey(held_out_.images[mask], held_out_.masks[mask]);
    }
    return sum / double(settings_.count);
  }

  // Fills in what is measured; false where it was interrupted.
  bool measure(Candidate& candidate, const std::function<void(int64_t)>& on_progress) const {
    SamplerJob job = job_;
    job.plan = candidate.plan;
    MeasuredGrid& grid = candidate.grid;
    if (grid.mean_start > 0) begin_at_means(model_.schedule, means_, job);
    std::vector<GrayImage> images;
    SamplerHooks hooks;
    hooks.stop = interrupted;
    hooks.on_progress = [&](int64_t done, int64_t) { on_progress(done); };
    hooks.on_record = [&](const SampleRecord& record) {
      images.push_back(record.image);
      grid.mean_grey += mean_grey(record.image, job.conditions[size_t(record.condition)]) / double(job.count);
    };
    if (run_sampler(job, model_.network(), {}, hooks).interrupted) return false;
    const Rows samples = features_of(features_, images);
    grid.kid = kernel_distance(samples, real_);
    grid.coverage = wilson(neighbourhood(samples, real_, settings_.neighbours).covered, real_.count);
    return true;
  }

 private:
  const Settings& settings_;
  const SampledModel& model_;
  const HeldOut& held_out_;
  ResNet18Run features_;
  Rows real_;
  SamplerJob job_;
  std::shared_ptr<MeanPictures> means_;
};

void print(const std::vector<Candidate>& candidates, size_t chosen, double real_grey) {
  std::printf("steps  start    end   calls  %-25s  %-8s  grey (real: %.1f)\n", "KID [95 %]", "coverage", real_grey);
  for (size_t i = 0; i < candidates.size(); ++i) {
    const MeasuredGrid& grid = candidates[i].grid;
    std::printf("%5zu  %5.3f  %5.3f  %6.2f  %8.4f [%.4f, %.4f]  %8.3f  %5.1f%s\n", grid.times.size(), grid.start,
                grid.end, grid.calls, grid.kid.value, grid.kid.low, grid.kid.high, grid.coverage.fraction,
                grid.mean_grey, i == chosen ? "  chosen" : "");
  }
}

std::string chosen_by(const Settings& settings, const Common& common, const std::vector<Candidate>& candidates,
                      const HeldOut& held_out, double real_grey) {
  using Json = nlohmann::ordered_json;
  Json json{{"sampler", settings.model.sampler},  {"seed", common.seed},    {"pictures", settings.count},
            {"held_out", held_out.images.size()}, {"real_grey", real_grey}, {"measured", Json::array()}};
  for (const Candidate& candidate : candidates) {
    const MeasuredGrid& grid = candidate.grid;
    json["measured"].push_back({{"steps", grid.times.size()},
                                {"start", grid.start},
                                {"end", grid.end},
                                {"calls", grid.calls},
                                {"kid", {grid.kid.value, grid.kid.low, grid.kid.high}},
                                {"coverage", grid.coverage.fraction},
                                {"grey", grid.mean_grey}});
  }
  return json.dump();
}

int fit(const Settings& settings, const Common& common) {
  check_present(settings.features, "a scorer run");
  MaskSettings masks;
  masks.masks = settings.data;
  const SampledModel model = load_model(settings.model, masks, common);
  const HeldOut held_out = read_held_out(settings, common, model.run);
  std::vector<Candidate> candidates = candidates_of(settings, model, int64_t(held_out.masks.size()));
  const GridTrial trial(settings, common, model, held_out);
  const double real_grey = trial.real_grey();
  int64_t steps = 0, done = 0;
  for (const Candidate& candidate : candidates) steps += settings.count * candidate.plan.count();
  Progress progress("fitting", steps, "steps", common.quiet);
  std::vector<MeasuredGrid> measured;
  for (Candidate& candidate : candidates) {
    if (!trial.measure(candidate, [&](int64_t now) { progress.update(done + now, ""); })) return interrupt_exit_code();
    done += settings.count * candidate.plan.count();
    measured.push_back(candidate.grid);
  }
  progress.finish();
  const size_t chosen = choose_grid(measured, real_grey);
  const MeasuredGrid& grid = measured[chosen];
  write_grid_file(settings.out, {model.run.T, grid.times, grid.mean_start},
                  chosen_by(settings, common, candidates, held_out, real_grey));
  print(candidates, chosen, real_grey);
  if (std::abs(grid.mean_grey - real_grey) > 2)
    note(common, concat_message("warning: no grid's samples have a mean grey within 2 levels of the real pictures'; "
                                "try --starts 1, or a larger --mean-start"));
  return 0;
}

}  // namespace

void add_fit_grid(Options& program) {
  static Settings settings;
  settings.model.sampler = "dpmpp";
  settings.model.grid = "logsnr";
  Options& options = program.subcommand(
      "fit-grid",
      "Chooses number, start and end of a few-step sampler's times, for --grid: the fewest calls that are not shown to "
      "be worse than the best, by KID, coverage and mean grey of unfiltered samples beside held-out pictures.",
      "dsample fit-grid --model run --data data --features scorer --out grid.json");
  options.add("--out", settings.out, "grid to write, for --grid", "FILE").required();
  declare_network(options, settings.model);
  declare_mean_start(options, settings.model);
  options
      .add("--data", settings.data,
           "data-set folder; its test pictures (val where it has none; what the model held out, where it was trained "
           "on them) are the real ones, and their masks are sampled in turn",
           "DIR")
      .required();
  options.add("--planes", settings.planes, "planes of the masks, in place of dataset.json", "NAME=VALUE,...");
  options.add("--features", settings.features, "run of dtrain scorer whose last features are compared", "RUN")
      .required();
  options.add_flag("--allow-unfinished", settings.allow_unfinished, "take features in the midst of their training");
  options.add_choice("--grid", settings.model.grid, "what the times are even in", {"even", "logsnr", "rho"});
  options.add("--calls", settings.calls, "numbers of steps to try", "STEPS,...");
  options.add("--starts", settings.starts, "first times to try, as shares of all", "SHARE,...");
  options.add("--ends", settings.ends, "last times to try, as shares of all", "SHARE,...");
  options.add("--count", settings.count, "pictures sampled on each grid", {3, 1000000}, "pictures");
  options.add("--batch", settings.batch, "pictures under way at once; changes none", {1, 100000}, "pictures");
  options.add("--neighbours", settings.neighbours, "k of coverage", {1, 100}, "pictures");
  options.rule([] {
    for (const auto& [text, flag] : {std::pair(&settings.calls, "--calls"), std::pair(&settings.starts, "--starts"),
                                     std::pair(&settings.ends, "--ends")})
      check_input(!parse_numbers(*text, flag).empty(), Fault::kUsage, flag, ": expected numbers, found none");
    for (const double calls : parse_numbers(settings.calls, "--calls"))
      check_input(calls >= 1 && calls == double(int64_t(calls)), Fault::kUsage,
                  "--calls: expected whole numbers of steps, found ", calls);
    check_input(settings.count > settings.neighbours, Fault::kUsage, "--count: expected more pictures than the ",
                settings.neighbours, " --neighbours, found ", settings.count);
  });
  options.runs_on_cuda();
  options.body([](const Common& common) { return fit(settings, common); });
}

}  // namespace echodiff
