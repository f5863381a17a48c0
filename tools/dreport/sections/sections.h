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

// The first screen.
void answer_section(const Material& material, Report& report);  // what was tried, three numbers, a chart, pictures
// "Policy by policy".
void table_part(const Material& material, Report& report);  // cost, quality, distribution
void cost_part(const Material& material, Report& report);   // calls, seconds, precision
// "The paper’s figures".
void samples_part(const Material& material, Report& report);     // Fig. 3 and 4
void judge_part(const Material& material, Report& report);       // Fig. 6
void scores_part(const Material& material, Report& report);      // Fig. 7
void metrics_part(const Material& material, Report& report);     // Table 1
void accounting_part(const Material& material, Report& report);  // section 2.1 of the paper
// "What was chosen, and when".
void decisions_part(const Material& material, Report& report);  // when and why, by policy
void galleries_part(const Material& material, Report& report);  // accepted, discarded, wrongly judged
// "Do the samples follow their masks?"
void anatomy_part(const Material& material, Report& report);
// "Copies of training pictures".
void memorisation_part(const Material& material, Report& report);  // samples beside the nearest training picture
// "The judge".
void scorer_part(const Material& material, Report& report);        // AUROC, calibration
void timed_judges_part(const Material& material, Report& report);  // AUROC and calibration over t
// "Training".
void training_part(const Material& material, Report& report);  // loss curves
// "All numbers, and what they were made from".
void summary_part(const Material& material, Report& report);  // one list
void inputs_part(const Material& material, Report& report);   // folders, the rule

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
