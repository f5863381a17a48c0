#include "quality/recordings/sample_folder.h"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "diffusion/condition.h"
#include "kernels/error.h"
#include "tensor/io/file.h"
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
  const double all = double(totals.begun * calls_if_finished);
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

// The name of a file in masks/, "" where the line has none; never a path to somewhere else.
std::string mask_of(const JsonNode& json) {
  const std::string mask = json.text("mask", "");
  check_input(
      mask.find('/') == std::string::npos && mask.find('\0') == std::string::npos && mask != "." && mask != "..",
      Fault::kBadInput, json.where, ": key \"mask\": expected the name of a file in masks/, found ", in_quotes(mask),
      "; sample again");
  return mask;
}

SampleLine read_line(const JsonNode& json) {
  SampleLine line;
  line.index = json.count("index");
  line.mask = mask_of(json);
  line.seed = json.find("seed") ? json.seed("seed") : 0;
  line.unet_calls = json.count("unet_calls");
  line.shallow_calls = json.count("shallow_calls", 0);
  line.decision = json.choice("decision", {"accepted", "discarded", "finished"});
  line.reason = json.text("reason", "");
  if (json.find("final_score")) line.final_score = json.number("final_score");
  if (json.find("halted_t")) line.halted_t = json.count("halted_t");
  if (json.find("ancestor")) line.ancestor = json.count("ancestor");
  for (const JsonNode& pair : json.items("scores")) {
    check_input(pair.list.size() == 2, Fault::kBadInput, json.where,
                ": key \"scores\": expected pairs [t, score], found a list of ", pair.list.size(), "; sample again");
    line.scores.push_back({int64_t(pair.list[0].as_number("scores")), pair.list[1].as_number("scores")});
  }
  return line;
}

}  // namespace

std::string picture_name(int64_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "%06lld.png", static_cast<long long>(index));
  return name;
}

std::string picture_path(const std::string& directory, const SampleRecord& record) {
  return directory + (record.kept() ? "/images/" : "/discarded/") + picture_name(record.index);
}

SampleFolder::SampleFolder(const std::string& directory, bool keep_discarded, const SamplerJob& job)
    : directory_(directory),
      keep_discarded_(keep_discarded),
      calls_if_finished_(job.plan.count() * calls_per_step(job.guidance)),
      ledger_(unit_of(job)) {
  std::error_code error;
  const bool free =
      !fs::exists(directory, error) || (fs::is_directory(directory, error) && fs::is_empty(directory, error));
  check_input(free && !error, Fault::kCannotCreate, directory,
              ": is there already and not an empty folder; name another or remove it");
  make_directories(directory + "/images");
  if (keep_discarded) make_directories(directory + "/discarded");
  lines_.open(directory + "/samples.jsonl", std::ios::binary);
  seconds_.open(directory + "/seconds.jsonl", std::ios::binary);
  check_input(lines_.is_open() && seconds_.is_open(), Fault::kCannotCreate, directory,
              "/samples.jsonl: cannot be created; check the folder's rights");
}

void SampleFolder::write(const SampleRecord& record, const std::string& mask, uint64_t seed) {
  if (record.kept() || keep_discarded_) write_png(picture_path(directory_, record), record.image);
  Json line;
  line["index"] = record.index;
  line["mask"] = mask.empty() ? Json() : Json(mask);
  line["seed"] = seed;
  line["unet_calls"] = record.unet_calls;
  if (record.shallow_calls > 0) line["shallow_calls"] = record.shallow_calls;
  line["decision"] = record.decision;
  line["reason"] = record.reason;
  line["final_score"] = record.final_score ? Json(*record.final_score) : Json();
  line["halted_t"] = record.halted_t ? Json(*record.halted_t) : Json();
  if (record.ancestor) line["ancestor"] = *record.ancestor;
  line["scores"] = Json::array();
  for (const Score& score : record.scores) line["scores"].push_back(Json::array({score.t, score.value}));
  lines_ << text_of(line, -1) << '\n' << std::flush;
  seconds_ << text_of(Json{{"index", record.index}, {"seconds", record.seconds}}, -1) << '\n' << std::flush;
  ledger_.add(record);
  check_input(lines_.good() && seconds_.good(), Fault::kIo, directory_,
              "/samples.jsonl: writing failed; is the disk full?");
}

void SampleFolder::write_config(const std::string& toml) const { write_file_atomic(directory_ + "/config.toml", toml); }

void SampleFolder::write_summary(const SummaryFacts& facts, const SamplerTotals& totals) const {
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
  json["sampler"] = facts.sampler;
  json["sample_steps"] = facts.sample_steps;
  json["eta"] = facts.eta;
  json["clip"] = facts.clip;
  json["guidance"] = facts.guidance;
  json["T"] = facts.T;
  json["schedule"] = facts.schedule;
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
  summary.prediction = json.text("predict", "");
  summary.sample_steps = json.count("sample_steps", 0);
  summary.T = json.count("T", 0);
  summary.size = json.count("size", 0);
  summary.deepcache = json.count("deepcache", 1);
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

std::vector<SampleLine> read_samples(const std::string& directory) {
  const std::string path = directory + "/samples.jsonl";
  check_input(fs::exists(path), Fault::kBadInput, path,
              ": expected a line per trajectory beside summary.json, found no such file; sample again");
  std::vector<SampleLine> lines;
  std::set<int64_t> seen;
  for (const JsonNode& json : read_json_lines(path, !fs::exists(directory + "/summary.json"))) {
    SampleLine& line = lines.emplace_back(read_line(json));
    check_input(seen.insert(line.index).second, Fault::kBadInput, json.where, ": expected each index once, found ",
                line.index, " again; sample again");
    const std::string picture = picture_path(directory, line);
    const bool there = fs::exists(picture);
    check_input(there || !line.kept(), Fault::kBadInput, json.where, ": expected the picture ", picture,
                ", found none; sample again");
    if (there) line.image = read_png(picture);
  }
  return lines;
}

std::map<std::string, std::string> read_sampled_masks(const std::string& directory) {
  std::map<std::string, std::string> masks;
  const std::string path = directory + "/samples.jsonl";
  if (!fs::exists(path)) return masks;
  for (const JsonNode& line : read_json_lines(path, false))
    if (const std::string mask = mask_of(line); !mask.empty()) masks[picture_name(line.count("index"))] = mask;
  return masks;
}

}  // namespace echodiff
