// The sections of the report. Each appends to the page, writes the numbers it shows under its own key of report.json,
// and adds lines for stdout. What a section needs and doesn't find, it says.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "dreport/measures.h"
#include "dreport/page/html.h"
#include "dreport/runs.h"

namespace echodiff {

using Json = nlohmann::ordered_json;  // NaN and infinity become null

struct Report {
  Page page;
  Json json;
  std::vector<std::string> lines;  // for stdout
};

void summary_section(const Material& material, Report& report);       // headline numbers
void table_section(const Material& material, Report& report);         // policy by policy: cost, quality, distribution
void training_section(const Material& material, Report& report);      // loss curves
void samples_section(const Material& material, Report& report);       // Fig. 3 and 4
void scorer_section(const Material& material, Report& report);        // AUROC, calibration
void timed_judges_section(const Material& material, Report& report);  // AUROC and calibration over t
void judge_section(const Material& material, Report& report);         // Fig. 6
void scores_section(const Material& material, Report& report);        // Fig. 7
void metrics_section(const Material& material, Report& report);       // Table 1
void accounting_section(const Material& material, Report& report);    // section 2.1 of the paper
void cost_section(const Material& material, Report& report);          // calls, seconds, precision by policy
void decisions_section(const Material& material, Report& report);     // when and why, by policy
void galleries_section(const Material& material, Report& report);     // accepted, discarded, wrongly judged
void memorisation_section(const Material& material, Report& report);  // samples beside the nearest training picture
void anatomy_section(const Material& material, Report& report);       // mask adherence
void inputs_section(const Material& material, Report& report);        // what the report was made from

// One sentence: the cheapest policy's share of good pictures against that without a judge, its cost against posthoc's.
// Empty where there is no judge.
std::string verdict_of(const std::vector<PolicyResult>& policies);

// The runs that figures compare: the first unguided one, and of the guided ones the paper's policy if it is there.
const SamplingRun* unguided_run(const RunSet& runs);
const SamplingRun* guided_run(const RunSet& runs);

// "posthoc, ddim, 20 steps".
std::string policy_text(const SamplingRun& run);
// The run's name with its policy below, for a table.
std::string run_cell(const SamplingRun& run);
// "good iff sharpness < 200, contrast > 20, noise < 0.3".
std::string rule_text(const Thresholds& thresholds);
// "62 of 160 (38.8 %)".
std::string share_text(const Proportion& share);
// "31.6–46.5 %".
std::string interval_text(const Proportion& share);
std::string interval_text(const Estimate& estimate);  // "52–130"
// With the interval below, for a table; "–" for what isn't measured.
std::string interval_cell(const Estimate& estimate);
std::string interval_cell(const Proportion& share);
void to_json(Json& json, const Estimate& estimate);
void to_json(Json& json, const Proportion& share);

// Dots with whiskers where a score's bin lies against its share of good ones; a square of `side` plot pixels.
std::string calibration_plot(const std::vector<ReliabilityShare>& bins, int64_t side);

// How to make what is missing.
constexpr const char* kMakeUnguided =
    "Make it with <code>dsample --model RUN --masks DATA --count 64 --policy none --out OUT</code> and add OUT to "
    "<code>--runs</code>.";
constexpr const char* kMakeGuided =
    "Make it with <code>dsample --model RUN --masks DATA --count 64 --policy posthoc --scorer SCORER "
    "--keep-discarded --out OUT</code> and add OUT to <code>--runs</code>.";
constexpr const char* kMakeRule =
    "Give <code>--thresholds FILE</code> (from <code>dlabel calibrate --images DATA --size 64 --out FILE</code>) or "
    "<code>--data DIR</code>.";

}  // namespace echodiff
