// dsample fit-grid: where a sampler of few steps stops over, chosen by unfiltered samples beside held-out pictures.
#include <algorithm>
#include <cstdio>
#include <map>
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
  std::string mean_starts = concat_message("0,", kMeanStart);
  int64_t count = 120, batch = 8, neighbours = 5;
  bool allow_unfinished = false;
};

void check_list(const std::string& text, const char* flag, bool whole, double least) {
  const std::vector<double> numbers = parse_numbers(text, flag);
  check_input(!numbers.empty(), Fault::kUsage, flag, ": expected numbers, found none");
  for (const double number : numbers)
    check_input(number >= least && number <= 1000000 && (!whole || number == double(int64_t(number))), Fault::kUsage,
                flag, ": expected ", whole ? "whole numbers" : "numbers", " from ", least, " up, found ", number);
}

void check_settings(const Settings& settings) {
  check_list(settings.calls, "--calls", true, 1);
  check_list(settings.mean_starts, "--mean-starts", true, 0);
  check_list(settings.starts, "--starts", false, 0);
  check_list(settings.ends, "--ends", false, 0);
  check_input(settings.count > settings.neighbours, Fault::kUsage, "--count: expected more pictures than the ",
              settings.neighbours, " --neighbours, found ", settings.count);
}

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
  Rows samples;  // features
};

Candidate candidate_of(const Settings& settings, const SampledModel& model, int64_t calls, double start, double end) {
  SamplerOptions options = model.options;
  options.steps = calls;
  options.grid = {.kind = parse_grid_kind(settings.model.grid), .start = start, .end = end, .times = {}};
  Candidate candidate{{}, make_plan(model.schedule, options), {}};
  candidate.grid.start = start;
  candidate.grid.end = end;
  candidate.grid.calls = double(calls);
  for (const PlanStep& row : candidate.plan.steps) candidate.grid.times.push_back(row.t);
  return candidate;
}

std::vector<Candidate> candidates_of(const Settings& settings, const SampledModel& model, int64_t masks) {
  std::vector<Candidate> candidates;
  for (const double calls : parse_numbers(settings.calls, "--calls"))
    for (const double start : parse_numbers(settings.starts, "--starts"))
      for (const double end : parse_numbers(settings.ends, "--ends")) {
        const Candidate candidate = candidate_of(settings, model, int64_t(calls), start, end);
        if (candidate.plan.steps[0].t == model.schedule.T - 1) {
          candidates.push_back(candidate);
          continue;
        }
        for (const double draws : parse_numbers(settings.mean_starts, "--mean-starts")) {
          MeasuredGrid& grid = candidates.emplace_back(candidate).grid;
          grid.mean_start = int64_t(draws);
          grid.calls += double(grid.mean_start * std::min(masks, settings.count)) / double(settings.count);
        }
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
        real_(features_of(features_, held_out.images)),
        seed_(common.seed) {
    MaskSettings masks;
    masks.count = settings.count;
    masks.batch = settings.batch;
    job_ = sampler_job(model, settings.model, masks, common);
    job_.conditions = held_out.masks;
    job_.policy = none_policy();
  }

  // Fills in what is measured; false where it was interrupted.
  bool measure(Candidate& candidate, const std::function<void(int64_t)>& on_progress) {
    SamplerJob job = job_;
    job.plan = candidate.plan;
    MeasuredGrid& grid = candidate.grid;
    if (grid.mean_start > 0) begin_at_means(model_.schedule, means_of(grid.mean_start), job);
    std::vector<GrayImage> images;
    MeanGrey grey(held_out_.masks, held_out_.images);
    SamplerHooks hooks;
    hooks.stop = interrupted;
    hooks.on_progress = [&](int64_t done, int64_t) { on_progress(done); };
    hooks.on_record = [&](const SampleRecord& record) {
      images.push_back(record.image);
      grey.add(record);
    };
    if (run_sampler(job, model_.network(), {}, hooks).interrupted) return false;
    candidate.samples = features_of(features_, images);
    grid.kid = kernel_distance(candidate.samples, real_);
    grid.coverage = wilson(neighbourhood(candidate.samples, real_, settings_.neighbours).covered, real_.count);
    grid.grey = grey.of_samples().value();
    grid.real_grey = grey.of_data().value();
    grid.grey_by_chance = grey.by_chance();
    return true;
  }

  // All that were measured, beside the best.
  std::vector<MeasuredGrid> compared(const std::vector<Candidate>& candidates) const {
    std::vector<MeasuredGrid> grids;
    for (const Candidate& candidate : candidates) grids.push_back(candidate.grid);
    const Rows& best = candidates[best_grid(grids)].samples;
    for (size_t i = 0; i < grids.size(); ++i)
      grids[i].kid_minus_best = kernel_difference(candidates[i].samples, best, real_);
    return grids;
  }

 private:
  // The same for all grids: a mask's mean knows no grid.
  std::shared_ptr<MeanPictures> means_of(int64_t draws) {
    std::shared_ptr<MeanPictures>& means = means_[draws];
    if (!means) means = std::make_shared<MeanPictures>(model_.schedule, job_, model_.network(), seed_, draws);
    return means;
  }

  const Settings& settings_;
  const SampledModel& model_;
  const HeldOut& held_out_;
  ResNet18Run features_;
  Rows real_;
  SamplerJob job_;
  uint64_t seed_;
  std::map<int64_t, std::shared_ptr<MeanPictures>> means_;  // by draws
};

void print(const std::vector<MeasuredGrid>& grids, size_t chosen) {
  std::printf("steps  start    end  mean start   calls  %-25s  %-25s  coverage   grey (real: %.1f)\n", "KID [95 %]",
              "KID less the best's", grids[0].real_grey);
  for (size_t i = 0; i < grids.size(); ++i) {
    const MeasuredGrid& grid = grids[i];
    const auto interval = [](const Estimate& one) {
      char text[64];
      std::snprintf(text, sizeof text, "%8.4f [%.4f, %.4f]", one.value, one.low, one.high);
      return std::string(text);
    };
    std::printf("%5zu  %5.3f  %5.3f  %10lld  %6.2f  %-25s  %-25s  %8.3f  %5.1f%s\n", grid.times.size(), grid.start,
                grid.end, static_cast<long long>(grid.mean_start), grid.calls, interval(grid.kid).c_str(),
                interval(grid.kid_minus_best).c_str(), grid.coverage.fraction, grid.grey,
                i == chosen ? "  chosen" : "");
  }
}

std::string chosen_by(const Settings& settings, const Common& common, const std::vector<MeasuredGrid>& grids,
                      const HeldOut& held_out) {
  using Json = nlohmann::ordered_json;
  Json json{{"sampler", settings.model.sampler}, {"seed", common.seed},
            {"pictures", settings.count},        {"held_out", held_out.images.size()},
            {"real_grey", grids[0].real_grey},   {"measured", Json::array()}};
  for (const MeasuredGrid& grid : grids)
    json["measured"].push_back(
        {{"steps", grid.times.size()},
         {"start", grid.start},
         {"end", grid.end},
         {"mean_start", grid.mean_start},
         {"calls", grid.calls},
         {"kid", {grid.kid.value, grid.kid.low, grid.kid.high}},
         {"kid_minus_best", {grid.kid_minus_best.value, grid.kid_minus_best.low, grid.kid_minus_best.high}},
         {"coverage", grid.coverage.fraction},
         {"grey", grid.grey}});
  return json.dump();
}

int fit(const Settings& settings, const Common& common) {
  check_present(settings.features, "a scorer run");
  MaskSettings masks;
  masks.masks = settings.data;
  const SampledModel model = load_model(settings.model, masks, common);
  const HeldOut held_out = read_held_out(settings, common, model.run);
  std::vector<Candidate> candidates = candidates_of(settings, model, int64_t(held_out.masks.size()));
  GridTrial trial(settings, common, model, held_out);
  int64_t steps = 0, done = 0;
  for (const Candidate& candidate : candidates) steps += settings.count * candidate.plan.count();
  Progress progress("fitting", steps, "steps", common.quiet);
  for (Candidate& candidate : candidates) {
    if (!trial.measure(candidate, [&](int64_t now) { progress.update(done + now, ""); })) return interrupt_exit_code();
    done += settings.count * candidate.plan.count();
  }
  progress.finish();
  const std::vector<MeasuredGrid> measured = trial.compared(candidates);
  const size_t chosen = choose_grid(measured);
  const MeasuredGrid& grid = measured[chosen];
  write_grid_file(settings.out, {model.run.T, grid.times, grid.mean_start},
                  chosen_by(settings, common, measured, held_out));
  print(measured, chosen);
  if (!is_grey_enough(grid))
    note(common,
         "warning: no grid's samples have a mean grey within 2 levels of the real pictures'; try other --starts "
         "and --mean-starts");
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
  options.add("--mean-starts", settings.mean_starts,
              "numbers of predictions behind a mean start to try, where a grid begins below the last time; 0: noise "
              "alone",
              "CALLS,...");
  options.add("--count", settings.count, "pictures sampled on each grid", {3, 1000000}, "pictures");
  options.add("--batch", settings.batch, "pictures under way at once; changes none", {1, 100000}, "pictures");
  options.add("--neighbours", settings.neighbours, "k of coverage", {1, 100}, "pictures");
  options.rule([] { check_settings(settings); });
  options.runs_on_cuda();
  options.body([](const Common& common) { return fit(settings, common); });
}

}  // namespace echodiff
