// Reading what dsample left.
#include "dreport/runs.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

namespace echodiff {
namespace fs = std::filesystem;
namespace {

// A summary that doesn't say its unit, or none at all: a quota says when a mask ends, and masks come in turn.
void guess_unit(SamplingRun& run) {
  if (run.unit.masks > 0) return;
  std::set<std::string> masks;
  for (const Sample& sample : run.samples) masks.insert(sample.mask);
  run.unit = {run.config.count("accept-per-mask") != 0 ? CostUnit::Kind::mask : CostUnit::Kind::trajectory,
              int64_t(masks.size()), 1};
}

// What the lines say, for a run that was stopped before its summary.
void sum_up(SamplingRun& run) {
  run.eta = run.guidance = run.tau = run.seconds = run.totals.scorer_seconds = kNotGiven;
  run.totals.trajectories = int64_t(run.samples.size());
  for (const Sample& sample : run.samples) {
    run.totals.unet_calls += sample.unet_calls;
    run.totals.shallow_calls += sample.shallow_calls;
    if (sample.kept()) ++run.totals.kept;
  }
}

// Labels of this run's own pictures, by the number in the file name.
void take_labels(SamplingRun& run) {
  std::map<std::string, const LabelledImage*> by_name;
  for (const LabelledImage& image : run.labels->images) {
    const fs::path file = image.file;
    by_name[(file.parent_path().filename() / file.filename()).string()] = &image;
    by_name.emplace(file.filename().string(), &image);
  }
  for (Sample& sample : run.samples) {
    const std::string name = picture_name(sample.index);
    std::map<std::string, const LabelledImage*>::const_iterator found =
        by_name.find((sample.kept() ? "images/" : "discarded/") + name);
    if (found == by_name.end() && sample.kept()) found = by_name.find(name);
    if (found == by_name.end()) continue;
    sample.label = found->second->good;
    sample.label_source = found->second->source;
  }
}

}  // namespace

SamplingRun read_sampling(const RunPlace& place) {
  SamplingRun run;
  run.place = place;
  const fs::path folder = place.path;
  run.finished = fs::exists(folder / "summary.json");
  if (run.finished) static_cast<SampleSummary&>(run) = read_sample_summary(place.path);
  run.config = read_config(place.path);
  run.masks = value_in(run.config, "masks");
  for (SampleLine& line : read_samples(place.path)) {
    Sample& sample = run.samples.emplace_back();
    sample.calls = run.whole_calls(line.unet_calls, line.shallow_calls);
    static_cast<SampleLine&>(sample) = std::move(line);
  }
  if (!run.finished) sum_up(run);
  run.calls = run.whole_calls(run.totals.unet_calls, run.totals.shallow_calls);
  guess_unit(run);
  // `finished` is a decision of policy none only.
  const auto finished = [](const Sample& sample) { return sample.decision == "finished"; };
  if (run.policy.empty()) run.policy = std::any_of(run.samples.begin(), run.samples.end(), finished) ? "none" : "judge";
  const std::string labels = (folder / "labels.jsonl").string();
  if (fs::exists(labels)) {
    run.labels = read_label_file(labels);
    take_labels(run);
  }
  return run;
}

}  // namespace echodiff
