#include "quality/recordings/sample_folder.h"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "diffusion/condition.h"
#include "kernels/error.h"
#include "tensor/io/json.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// File names needn't be UTF-8: what isn't becomes U+FFFD. NaN becomes null.
std::string text_of(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

// What stopping trajectories saved, in calls and in time, against finishing all of them in full batches. A slot that
// stays empty costs time and no call: their ratio says how well slots are refilled.
void write_savings(Json& json, const SamplerTotals& totals, int64_t calls_if_finished) {
  const int64_t calls = totals.unet_calls + totals.unused_calls;
  const double all = double(totals.begun * calls_if_finished + totals.mean_start_calls);
  const double saved = all > 0 ? 1 - double(calls) / all : 0;
  json["calls_saved"] = saved;
  if (totals.full_batch_calls == 0 || saved <= 0) return;
  const double per_call = totals.full_batch_seconds / double(totals.full_batch_calls);
  json["unet_seconds_per_call_in_a_full_batch"] = per_call;
  json["unet_seconds_saved"] = 1 - totals.unet_seconds / (all * per_call);
  json["seconds_saved_per_calls_saved"] = (1 - totals.unet_seconds / (all * per_call)) / saved;
}

// Shallow calls count as calls everywhere else. Here is what one costs by the clock, as a share of a whole one, and
// what a picture costs in whole calls by that share.
void write_shallow_calls(Json& json, const SamplerTotals& totals, const SummaryFacts& facts) {
  json["deepcache"] = facts.deepcache;
  if (facts.adadiff_error) json["adadiff_error"] = *facts.adadiff_error;
  if (facts.deepcache == 1 && !facts.adadiff_error) return;
  json["shallow_calls"] = totals.shallow_calls;
  if (totals.shallow.count == 0 || totals.whole.seconds == 0) return;
  const double cost =
      totals.shallow.seconds / double(totals.shallow.count) / (totals.whole.seconds / double(totals.whole.count));
  json["shallow_call_cost"] = cost;
  const double calls = double(totals.unet_calls) - (1 - cost) * double(totals.shallow_calls);
  json["whole_calls_per_accepted"] = totals.kept > 0 ? Json(calls / double(totals.kept)) : Json();
}

}  // namespace

SampleFolder::SampleFolder(const std::string& directory, const std::string& settings, bool keep_discarded,
                           const SamplerJob& job)
    : directory_(directory),
      keep_discarded_(keep_discarded),
      calls_if_finished_(job.plan.count() * calls_per_step(job.guidance)),
      ledger_(unit_of(job)) {
  holds_same_run(directory, settings);  // before anything is put there
  lock_.emplace(directory);
  if (!holds_same_run(directory, settings)) write_file_atomic(directory + "/config.toml", with_end_marked(settings));
  const std::string summary = directory + "/summary.json";
  finished_ = fs::exists(summary) && !read_json(summary).flag("interrupted", false);
  if (finished_) return;
  const std::pair<const char*, bool> parts[] = {
      {"/images", true}, {"/discarded", keep_discarded}, {"/scored", job.keep_noise > 0}};
  for (const auto& [part, wanted] : parts) {
    if (!wanted) continue;
    make_directories(directory + part);
    sweep_temporaries(directory + part);
  }
  progress_ = read_progress(directory, keep_discarded);
  fs::remove(summary);
  sync_names(directory);
}

// The progress goes as far as the records that come are the same again.
bool SampleFolder::holds_next(int64_t index) {
  if (lines_ || next_ == progress_.indices.size() || progress_.indices[next_] != index) return false;
  ++next_;
  return true;
}

void SampleFolder::append_from_here() {
  if (lines_) return;
  lines_.emplace(directory_ + "/samples.jsonl", next_ == 0 ? 0 : progress_.line_ends[next_ - 1]);
  seconds_.emplace(directory_ + "/seconds.jsonl", next_ == 0 ? 0 : progress_.seconds_ends[next_ - 1]);
}

void SampleFolder::write(const SampleRecord& record, const std::string& mask, uint64_t seed) {
  ledger_.add(record);
  if (holds_next(record.index)) return;
  append_from_here();
  if (record.kept() || keep_discarded_) {
    const std::string picture = picture_path(directory_, record);
    if (!record.scored.pixels.empty())
      write_png(directory_ + "/scored/" + fs::path(picture).filename().string(), record.scored);
    write_png(picture, record.image);
  }
  Json line;
  line["index"] = record.index;
  line["mask"] = mask.empty() ? Json() : Json(mask);
  line["seed"] = seed;
  line["unet_calls"] = record.unet_calls;
  if (record.shallow_calls > 0) line["shallow_calls"] = record.shallow_calls;
  if (record.mean_start_calls > 0) line["mean_start_calls"] = record.mean_start_calls;
  line["decision"] = record.decision;
  line["reason"] = record.reason;
  line["final_score"] = record.final_score ? Json(*record.final_score) : Json();
  line["halted_t"] = record.halted_t ? Json(*record.halted_t) : Json();
  if (record.ancestor) line["ancestor"] = *record.ancestor;
  line["scores"] = Json::array();
  for (const Score& score : record.scores) line["scores"].push_back(Json::array({score.t, score.value}));
  seconds_->write(text_of(Json{{"index", record.index}, {"seconds", record.seconds}}, -1) + "\n");
  lines_->write(text_of(line, -1) + "\n");
}

void SampleFolder::write_summary(const SummaryFacts& facts, const SamplerTotals& totals) {
  append_from_here();  // without what a kill left half written
  lines_->sync();      // before the file that counts them
  seconds_->sync();
  const double kept = double(totals.kept), trajectories = double(totals.trajectories);
  Json json;
  json["trajectories"] = totals.trajectories;
  json["accepted"] = totals.kept;
  json["accepted_rate"] = totals.trajectories > 0 ? Json(kept / trajectories) : Json();
  json["unet_calls"] = totals.unet_calls;
  json["unet_calls_per_accepted"] = totals.kept > 0 ? Json(double(totals.unet_calls) / kept) : Json();
  const Estimate cost = ledger_.calls_per_kept();
  json["unet_calls_per_accepted_95"] = std::isfinite(cost.low) ? Json::array({cost.low, cost.high}) : Json();
  json["unet_calls_per_accepted_unit"] = name_of(ledger_.unit().kind);
  json["mask_count"] = ledger_.unit().masks;
  json["group_size"] = ledger_.unit().group;
  json["distinct_accepted"] = ledger_.distinct();
  json["reasons"] = Json::object();
  for (const auto& [reason, sums] : ledger_.reasons())
    json["reasons"][reason] = {{"trajectories", sums.trajectories}, {"unet_calls", sums.unet_calls}};
  json["unet_calls_unused"] = totals.unused_calls;
  json["mean_start"] = facts.mean_start;
  json["mean_start_calls"] = totals.mean_start_calls;
  json["seconds"] = facts.seconds;
  json["images_per_second"] = facts.seconds > 0 ? Json(kept / facts.seconds) : Json();
  json["unet_seconds"] = totals.unet_seconds;
  json["scorer_seconds"] = totals.scorer_seconds;
  json["scored_images"] = totals.scored_images;
  write_savings(json, totals, calls_if_finished_);
  write_shallow_calls(json, totals, facts);
  json["interrupted"] = totals.interrupted;
  json["replayed"] = facts.replayed;
  json["policy"] = facts.policy;
  json["judge"] = facts.judge.empty() ? Json() : Json(facts.judge);
  json["final_judge"] = facts.final_judge.empty() ? Json() : Json(facts.final_judge);
  json["tau"] = facts.tau;
  json["score_on"] = facts.score_on;
  json["keep"] = facts.keep;
  if (facts.keep_noise > 0) json["keep_noise"] = facts.keep_noise;
  if (facts.mean_grey) json["mean_grey"] = *facts.mean_grey;
  if (facts.mean_grey_of_data) json["mean_grey_of_data"] = *facts.mean_grey_of_data;
  json["sampler"] = facts.sampler;
  json["sample_steps"] = facts.sample_steps;
  json["eta"] = facts.eta;
  json["clip"] = facts.clip;
  json["guidance"] = facts.guidance;
  json["T"] = facts.T;
  json["schedule"] = facts.schedule;
  if (facts.log_snr_shift != 0) json["log_snr_shift"] = facts.log_snr_shift;
  json["predict"] = facts.prediction;
  json["size"] = facts.size;
  json["batch"] = facts.batch;
  json["seed"] = facts.seed;
  write_file_atomic(directory_ + "/summary.json", text_of(json, 2) + "\n");
}

SampleSummary read_sample_summary(const std::string& directory) {
  const JsonNode json = read_json(directory + "/summary.json");
  SampleSummary summary;
  summary.policy = json.text("policy", "");
  summary.judge = json.text("judge", "");
  summary.final_judge = json.text("final_judge", "");
  summary.score_on = json.text("score_on", "");
  summary.keep = json.text("keep", "");
  summary.batch = json.count("batch", 0);
  summary.tau = json.number("tau", kNotGiven);
  summary.seconds = json.number("seconds", kNotGiven);
  summary.replayed = json.flag("replayed", json.flag("simulated", false));  // its name before
  summary.sampler = json.text("sampler", "");
  summary.schedule = json.text("schedule", "");
  if (json.find("log_snr_shift")) summary.log_snr_shift = json.number("log_snr_shift");
  summary.prediction = json.text("predict", "");
  summary.sample_steps = json.count("sample_steps", 0);
  summary.T = json.count("T", 0);
  summary.size = json.count("size", 0);
  summary.deepcache = json.count("deepcache", 1);
  summary.mean_start = json.count("mean_start", 0);
  if (json.find("adadiff_error")) summary.adadiff_error = json.number("adadiff_error");
  summary.eta = json.number("eta", kNotGiven);
  summary.guidance = json.number("guidance", kNotGiven);
  summary.clip = json.flag("clip", true);
  if (json.find("seed")) summary.seed = json.seed("seed");
  SamplerTotals& totals = summary.totals;
  totals.trajectories = json.count("trajectories");
  totals.kept = json.count("accepted");
  totals.unet_calls = json.count("unet_calls");
  totals.unused_calls = json.count("unet_calls_unused", 0);
  totals.shallow_calls = json.count("shallow_calls", 0);
  totals.mean_start_calls = json.count("mean_start_calls", 0);
  totals.scored_images = json.count("scored_images", 0);
  totals.unet_seconds = json.number("unet_seconds", kNotGiven);
  totals.scorer_seconds = json.number("scorer_seconds", kNotGiven);
  totals.interrupted = json.flag("interrupted", false);
  summary.shallow_call_cost = json.number("shallow_call_cost", 1);
  const std::string unit = json.text("unet_calls_per_accepted_unit", "trajectory");
  for (const CostUnit::Kind kind : {CostUnit::Kind::group, CostUnit::Kind::mask})
    if (unit == name_of(kind)) summary.unit.kind = kind;
  summary.unit.masks = json.count("mask_count", 0);
  summary.unit.group = json.count("group_size", 1);
  summary.calls_per_kept.value = json.number("unet_calls_per_accepted", kNotGiven);
  if (const std::vector<JsonNode>& ends = json.items("unet_calls_per_accepted_95"); ends.size() == 2) {
    summary.calls_per_kept.low = ends[0].as_number("unet_calls_per_accepted_95");
    summary.calls_per_kept.high = ends[1].kind == JsonNode::Kind::kNumber ? ends[1].value : INFINITY;
  }
  return summary;
}

namespace {

// Of a run that was finished, or interrupted in good order.
void require_counted(const std::string& directory, size_t lines) {
  const std::string summary = directory + "/summary.json";
  if (!fs::exists(summary)) return;
  const int64_t counted = read_json(summary).count("trajectories");
  check_input(int64_t(lines) == counted, Fault::kBadInput, directory, "/samples.jsonl: expected ", counted,
              " lines as summary.json counts, found ", lines, ": the file was cut; sample again");
}

}  // namespace

std::vector<SampleLine> read_samples(const std::string& directory) {
  const std::string path = directory + "/samples.jsonl";
  check_input(fs::exists(path), Fault::kBadInput, path,
              ": expected a line per trajectory beside summary.json, found no such file; sample again");
  std::vector<SampleLine> lines;
  std::set<int64_t> seen;
  for (const JsonNode& json : read_json_lines(path, !fs::exists(directory + "/summary.json"))) {
    SampleLine& line = lines.emplace_back(read_sample_line(json));
    check_input(seen.insert(line.index).second, Fault::kBadInput, json.where, ": expected each index once, found ",
                line.index, " again; sample again");
    const std::string picture = picture_path(directory, line);
    const bool there = fs::exists(picture);
    check_input(there || !line.kept(), Fault::kBadInput, json.where, ": expected the picture ", picture,
                ", found none; sample again");
    if (there) line.image = read_png(picture);
  }
  require_counted(directory, lines.size());
  return lines;
}

std::map<std::string, std::string> read_sampled_masks(const std::string& directory) {
  std::map<std::string, std::string> masks;
  const std::string path = directory + "/samples.jsonl";
  if (!fs::exists(path)) return masks;
  const std::vector<JsonNode> lines = read_json_lines(path, !fs::exists(directory + "/summary.json"));
  require_counted(directory, lines.size());
  for (const JsonNode& line : lines)
    if (const std::string mask = mask_of(line); !mask.empty()) masks[picture_name(line.count("index"))] = mask;
  return masks;
}

}  // namespace echodiff
