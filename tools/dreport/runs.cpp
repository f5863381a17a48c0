#include "dreport/runs.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "kernels/error.h"
#include "tensor/io/json.h"
#include "tensor/io/paths.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"
#include "train/checkpoint.h"
#include "train/run_dir.h"

namespace echodiff {
namespace fs = std::filesystem;
namespace {

enum class RunKind { kDiffusion, kSampling, kScorer, kValue, kRecording, kSegmenter, kOther, kData, kUnknown };

RunKind kind_of(const fs::path& folder) {
  const auto has = [&](const char* name) { return fs::exists(folder / name); };
  if (has("samples.jsonl") || has("summary.json")) return RunKind::kSampling;
  if (has("recording.json")) return RunKind::kRecording;
  if (has("metrics.json")) {
    const JsonNode metrics = read_json((folder / "metrics.json").string());
    if (metrics.find("auroc_by_time") != nullptr) return RunKind::kValue;
    return metrics.find("dice") != nullptr ? RunKind::kSegmenter : RunKind::kScorer;
  }
  if (has("dataset.json") || (has("images") && has("masks"))) return RunKind::kData;
  if (!has("log.jsonl") && !has("checkpoints")) return RunKind::kUnknown;
  // A run that was stopped early has no metrics yet: its configuration tells.
  const Config config = read_config(folder);
  if (config.count("labels") != 0) return RunKind::kScorer;
  const std::string program = value_in(config, "made_by.program");
  return program.empty() || program == "dtrain diffusion" ? RunKind::kDiffusion : RunKind::kOther;
}

// A log is written before the checkpoint that counts on it, so one that ends earlier was cut.
std::string cut_log(const std::string& folder, const TrainingLog& log) {
  const Config config = read_config(folder);
  const std::string newest = latest_checkpoint(folder);
  if (config.empty() || newest.empty()) return "";
  const int64_t every = std::max<int64_t>(1, parse_number<int64_t>(value_in(config, "log-every")).value_or(1));
  const int64_t step = std::atoll(fs::path(newest).filename().c_str() + 5), expected = step - step % every;
  const double last = log.train_loss.step.empty() ? 0 : log.train_loss.step.back();
  return last >= double(expected) ? ""
                                  : concat_message(folder, "/log.jsonl: ends at step ", last, ", expected ", expected,
                                                   " as its checkpoint: the file was cut; its curves are short");
}

// The losses of log.jsonl; a value that isn't finite is written as null and breaks the curve.
void read_log(const std::string& folder, TrainingLog& log) {
  const std::string path = (fs::path(folder) / "log.jsonl").string();
  if (!fs::exists(path)) return;
  for (const JsonNode& line : read_json_lines(path, true)) {
    const bool trains = line.find("loss") != nullptr, validates = line.find("val_loss") != nullptr;
    if (!trains && !validates) continue;
    const double step = double(line.count("step"));
    const auto append = [step](Curve& curve, double value) {
      curve.step.push_back(step);
      curve.value.push_back(value);
    };
    if (trains) append(log.train_loss, line.number("loss"));
    if (validates) append(log.val_loss, line.number("val_loss"));
    log.seconds = std::fmax(log.seconds, line.number("seconds", kNotGiven));
    const std::vector<JsonNode>& values = line.items("val_bins");
    if (values.size() > log.val_bins.size()) log.val_bins.resize(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      append(log.val_bins[i], values[i].kind == JsonNode::Kind::kNull ? kNotGiven : values[i].as_number("val_bins"));
    }
  }
  log.cut = cut_log(folder, log);
}

DiffusionRun read_diffusion(const RunPlace& place) {
  DiffusionRun run;
  run.place = place;
  run.config = read_config(place.path);
  read_log(place.path, run);
  const fs::path sheets = fs::path(place.path) / "samples";
  if (!fs::is_directory(sheets)) return run;
  for (const fs::directory_entry& entry : fs::directory_iterator(sheets)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("step-", 0) != 0 || entry.path().extension() != ".png") continue;
    const int64_t step = std::atoll(name.c_str() + 5);
    if (!run.sheet.empty() && step < run.sheet_step) continue;
    run.sheet = entry.path().string();
    run.sheet_step = step;
  }
  return run;
}

ScorerRun read_scorer(const RunPlace& place) {
  ScorerRun run;
  run.place = place;
  read_log(place.path, run);
  const std::string metrics = (fs::path(place.path) / "metrics.json").string();
  run.measured = fs::exists(metrics);
  if (!run.measured) return run;
  const JsonNode json = read_json(metrics);
  run.auroc = json.number("auroc", kNotGiven);
  run.accuracy = json.number("accuracy", kNotGiven);
  run.brier = json.number("brier", kNotGiven);
  run.ece = json.number("ece", kNotGiven);
  for (const JsonNode& bin : json.items("calibration")) {
    const int64_t count = bin.count("n");
    const double fraction = bin.number("fraction_good", kNotGiven);
    const Proportion share = count > 0 ? wilson(std::llround(fraction * double(count)), count) : Proportion{};
    run.calibration.push_back(
        {{bin.number("lo"), bin.number("hi"), count, bin.number("mean_score", kNotGiven), fraction},
         {fraction, share.low, share.high}});
  }
  if (const JsonNode* counts = json.find("counts")) {
    for (const auto& [name, node] : counts->fields) {
      if (node.kind == JsonNode::Kind::kNumber) run.counts.emplace_back(name, int64_t(node.value));
    }
  }
  return run;
}

// Joins the group of its samples. A class that no test picture has counts nothing.
void read_segmenter(const RunPlace& place, std::vector<SegmenterGroup>& groups) {
  const std::string folder = value_in(read_config(place.path), "samples");
  const std::string samples = folder.empty() ? "" : last_part(folder);
  auto group =
      std::find_if(groups.begin(), groups.end(), [&](const SegmenterGroup& one) { return one.samples == samples; });
  if (group == groups.end()) {
    group = groups.insert(groups.end(), SegmenterGroup{.samples = samples});
    const std::string policy = folder.empty() ? "" : value_in(read_config(folder), "policy");
    group->guided = !policy.empty() && policy != "none";
  }
  group->places.push_back(place);
  const JsonNode metrics = read_json((fs::path(place.path) / "metrics.json").string());
  std::vector<double> classes;
  if (const JsonNode* test = metrics.find("dice")->find("test"))
    for (const auto& [name, one] : test->fields)
      if (const double dice = one.number("mean", kNotGiven); std::isfinite(dice)) classes.push_back(dice);
  if (classes.empty()) return;
  group->dices.push_back(mean_of(classes).value);
  group->dice = group->dices.size() > 1 ? Estimate(mean_of(group->dices)) : Estimate{.value = group->dices.front()};
}

bool has_evaluation(const fs::path& folder) { return fs::exists(folder / "evaluation.json"); }

// The folder itself when it is a run, else the runs in it, by name, and the folder itself where it has an evaluation.
std::vector<std::string> expand(const std::string& folder) {
  if (kind_of(folder) != RunKind::kUnknown) return {folder};
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const bool known = entry.is_directory() && (kind_of(entry.path()) != RunKind::kUnknown || has_evaluation(entry));
    if (known) found.push_back(entry.path().string());
  }
  std::sort(found.begin(), found.end());
  if (has_evaluation(folder)) found.push_back(folder);
  check_input(!found.empty(), Fault::kBadInput, folder,
              ": expected a run (log.jsonl, samples.jsonl or metrics.json), an evaluation.json, a data set "
              "(dataset.json) or a folder of these, found neither; give the --out folder of dtrain or dsample");
  return found;
}

}  // namespace

Config read_config(const std::string& folder) {
  const std::string path = (fs::path(folder) / "config.toml").string();
  return fs::exists(path) ? read_flat_toml(path) : Config{};
}

std::string value_in(const Config& config, const std::string& key) {
  const Config::const_iterator found = config.find(key);
  return found == config.end() ? "" : found->second;
}

RunSet read_runs(const std::vector<std::string>& folders) {
  std::vector<std::string> paths;
  for (const std::string& folder : folders) {
    check_input(fs::exists(folder), Fault::kMissingInput, folder,
                ": expected a run folder, found nothing there; check the path given to --runs");
    check_input(fs::is_directory(folder), Fault::kBadInput, folder,
                ": expected a run folder, found a file; give the folder that holds it");
    for (const std::string& path : expand(folder)) {
      if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.push_back(path);
    }
  }
  std::map<std::string, int64_t> uses;
  for (const std::string& path : paths) ++uses[last_part(path)];

  RunSet runs;
  for (const std::string& path : paths) {
    const RunPlace place{path, uses[last_part(path)] > 1 ? path : last_part(path)};
    if (has_evaluation(path))
      runs.evaluations.push_back(read_evaluation((fs::path(path) / "evaluation.json").string()));
    switch (kind_of(path)) {
      case RunKind::kDiffusion: runs.diffusion.push_back(read_diffusion(place)); break;
      case RunKind::kSampling: runs.sampling.push_back(read_sampling(place)); break;
      case RunKind::kScorer: runs.scorers.push_back(read_scorer(place)); break;
      case RunKind::kValue:
        runs.judges.push_back(read_timed_judge((fs::path(path) / "metrics.json").string(), place.name));
        break;
      case RunKind::kRecording:
        for (TimedJudge& judge : recorded_judges(path, place.name)) runs.judges.push_back(std::move(judge));
        break;
      case RunKind::kSegmenter: read_segmenter(place, runs.segmenters); break;
      case RunKind::kOther: runs.others.push_back(place); break;
      case RunKind::kData:
        if (runs.data.empty()) runs.data = path;
        break;
      case RunKind::kUnknown: break;
    }
  }
  // Unguided first, the others in the order given: the order of every table.
  std::stable_sort(runs.sampling.begin(), runs.sampling.end(),
                   [](const SamplingRun& a, const SamplingRun& b) { return !a.guided() && b.guided(); });
  return runs;
}

}  // namespace echodiff
