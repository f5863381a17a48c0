#include "dreport/sampling_run.h"

#include <cstdio>
#include <filesystem>
#include <set>

#include "kernels/error.h"
#include "tensor/io/json.h"
#include "train/config.h"

namespace echodiff {
namespace fs = std::filesystem;
namespace {

std::string picture_name(int64_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "%06lld.png", static_cast<long long>(index));
  return name;
}

double calls_of(const JsonNode& line, double shallow_call_cost) {
  return double(line.count("unet_calls")) - (1 - shallow_call_cost) * double(line.count("shallow_calls", 0));
}

Sample read_sample(const JsonNode& line, const fs::path& folder, double shallow_call_cost) {
  Sample sample;
  sample.index = line.count("index");
  if (const JsonNode* mask = line.find("mask"); mask != nullptr && mask->kind == JsonNode::Kind::kText) {
    sample.mask = fs::path(mask->string).filename().string();
  }
  sample.calls = calls_of(line, shallow_call_cost);
  sample.decision = line.text("decision");
  check_input(sample.decision == "accepted" || sample.decision == "discarded" || sample.decision == "finished",
              Fault::kBadInput, line.where, ": key \"decision\": expected accepted, discarded or finished, found \"",
              sample.decision, "\"; run dsample again");
  sample.reason = line.text("reason", "");
  sample.final_score = line.number("final_score", kNotGiven);
  if (line.find("halted_t") != nullptr) sample.halted_t = line.count("halted_t");
  for (const JsonNode& pair : line.items("scores")) {
    check_input(pair.list.size() == 2, Fault::kBadInput, line.where,
                ": key \"scores\": expected pairs [t, score], found a list of ", pair.list.size(),
                "; run dsample again");
    sample.scores.emplace_back(pair.list[0].as_number("scores"), pair.list[1].as_number("scores"));
  }
  const fs::path picture = folder / (sample.kept() ? "images" : "discarded") / picture_name(sample.index);
  const bool there = fs::exists(picture);
  check_input(there || !sample.kept(), Fault::kBadInput, line.where, ": expected the picture ", picture.string(),
              ", found none; run dsample again");
  if (there) sample.image = read_png(picture.string());
  return sample;
}

void read_summary(const std::string& path, SamplingRun& run) {
  const JsonNode json = read_json(path);
  run.finished = true;
  run.policy = json.text("policy", "");
  run.sampler = json.text("sampler", "");
  run.score_on = json.text("score_on", "");
  run.masks = json.text("masks", "");
  run.eta = json.number("eta", kNotGiven);
  run.guidance = json.number("guidance", kNotGiven);
  run.sample_steps = json.count("sample_steps", 0);
  run.timesteps = json.count("T", json.count("timesteps", 0));
  run.trajectories = json.count("trajectories");
  run.accepted = json.count("accepted");
  run.shallow_call_cost = json.number("shallow_call_cost", 1);
  run.calls = calls_of(json, run.shallow_call_cost);
  run.seconds = json.number("seconds", kNotGiven);
  run.scorer_seconds = json.number("scorer_seconds", kNotGiven);
  run.tau = json.number("tau", kNotGiven);
  run.unit.masks = json.count("mask_count", 0);
  run.unit.group = json.count("group_size", 1);
  for (const CostUnit::Kind kind : {CostUnit::Kind::group, CostUnit::Kind::mask})
    if (json.text("unet_calls_per_accepted_unit", "") == name_of(kind)) run.unit.kind = kind;
}

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
  run.trajectories = int64_t(run.samples.size());
  for (const Sample& sample : run.samples) {
    run.calls += sample.calls;
    if (sample.kept()) ++run.accepted;
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
  const std::string summary = (folder / "summary.json").string(), lines = (folder / "samples.jsonl").string();
  if (fs::exists(summary)) read_summary(summary, run);
  check_input(fs::exists(lines), Fault::kBadInput, lines,
              ": expected a line per trajectory beside summary.json, found no such file; run dsample again");
  const std::string config = (folder / "config.toml").string();
  if (fs::exists(config)) run.config = read_flat_toml(config);
  const std::map<std::string, std::string>::const_iterator masks = run.config.find("masks");
  if (run.masks.empty() && masks != run.config.end()) run.masks = masks->second;
  std::set<int64_t> seen;
  bool any_finished = false;
  for (const JsonNode& line : read_json_lines(lines, !run.finished)) {
    run.samples.push_back(read_sample(line, folder, run.shallow_call_cost));
    const Sample& sample = run.samples.back();
    any_finished = any_finished || sample.decision == "finished";
    check_input(seen.insert(sample.index).second, Fault::kBadInput, line.where, ": expected each index once, found ",
                sample.index, " again; run dsample again");
  }
  if (!run.finished) sum_up(run);
  guess_unit(run);
  // `finished` is a decision of policy none only.
  if (run.policy.empty()) run.policy = any_finished ? "none" : "judge";
  const std::string labels = (folder / "labels.jsonl").string();
  if (fs::exists(labels)) {
    run.labels = read_label_file(labels);
    take_labels(run);
  }
  return run;
}

}  // namespace echodiff
