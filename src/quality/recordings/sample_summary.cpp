#include "quality/recordings/sample_summary.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "tensor/io/json.h"

namespace echodiff {
namespace {

using Json = nlohmann::ordered_json;

// What stopping trajectories saved, in calls and in time, against finishing all of them in full batches. A slot that
// stays empty costs time and no call: their ratio says how well slots are refilled.
void write_savings(Json& json, const SamplerTotals& totals, double all) {
  const int64_t calls = totals.unet_calls + totals.unused_calls;
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

std::string summary_text(const SummaryFacts& facts, const SamplerTotals& totals, const CostLedger& ledger,
                         double calls_if_all_finished) {
  const double kept = double(totals.kept), trajectories = double(totals.trajectories);
  Json json;
  json["trajectories"] = totals.trajectories;
  json["accepted"] = totals.kept;
  json["accepted_rate"] = totals.trajectories > 0 ? Json(kept / trajectories) : Json();
  json["unet_calls"] = totals.unet_calls;
  json["unet_calls_per_accepted"] = totals.kept > 0 ? Json(double(totals.unet_calls) / kept) : Json();
  const Estimate cost = ledger.calls_per_kept();
  json["unet_calls_per_accepted_95"] = std::isfinite(cost.low) ? Json::array({cost.low, cost.high}) : Json();
  json["unet_calls_per_accepted_unit"] = name_of(ledger.unit().kind);
  json["mask_count"] = ledger.unit().masks;
  json["group_size"] = ledger.unit().group;
  json["distinct_accepted"] = ledger.distinct();
  json["reasons"] = Json::object();
  for (const auto& [reason, sums] : ledger.reasons())
    json["reasons"][reason] = {{"trajectories", sums.trajectories}, {"unet_calls", sums.unet_calls}};
  json["unet_calls_unused"] = totals.unused_calls;
  json["mean_start"] = facts.mean_start;
  json["mean_start_calls"] = totals.mean_start_calls;
  json["seconds"] = facts.seconds;
  json["images_per_second"] = facts.seconds > 0 ? Json(kept / facts.seconds) : Json();
  json["unet_seconds"] = totals.unet_seconds;
  json["scorer_seconds"] = totals.scorer_seconds;
  json["scored_images"] = totals.scored_images;
  write_savings(json, totals, calls_if_all_finished);
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
  // File names needn't be UTF-8: what isn't becomes U+FFFD. NaN becomes null.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
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

}  // namespace echodiff
