// Policy by policy: what a picture costs beside how good the pictures are, from the sampling runs and evaluation.json.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>

#include "dreport/sections/sections.h"
#include "kernels/error.h"

namespace echodiff {
namespace fs = std::filesystem;
namespace {

// A policy, an evaluated run, or both; or real pictures, what a perfect sampler would get. Null and n = 0: not
// measured.
struct Row {
  std::string name, note;
  const PolicyResult* policy = nullptr;
  const EvaluatedPart* part = nullptr;
  const EvaluatedRun* run = nullptr;
  const EvaluatedRun* first = nullptr;  // what the KID is compared with
  const MaskAgreement* agreement = nullptr;
  Proportion judged_good, copied_detail;
};

std::string canonical(const std::string& path) { return fs::weakly_canonical(fs::absolute(path)).string(); }

// How many of the policy's runs the evaluated run holds; 0 where it holds others too.
size_t shared_runs(const PolicyResult& policy, const EvaluatedRun& run) {
  std::vector<std::string> folders;
  for (const SamplingRun* one : policy.runs) folders.push_back(canonical(one->place.path));
  for (const std::string& folder : run.folders)
    if (std::find(folders.begin(), folders.end(), folder) == folders.end()) return 0;
  return run.folders.size();
}

void take_run(const Evaluation& evaluation, const EvaluatedRun& run, Row& row) {
  row.part = row.run = &run;
  row.first = &evaluation.runs.front();
  row.agreement = &run.agreement;
  row.judged_good = run.judged_good;
  row.copied_detail = run.copied_detail;
  row.note += concat_message(row.note.empty() ? "" : "; ", count_text(run.n), " pictures measured");
}

Row policy_row(const PolicyResult& policy, const std::vector<Evaluation>& evaluations) {
  Row row;
  row.name = policy.name;
  row.policy = &policy;
  for (const SamplingRun* run : policy.runs) row.note += (row.note.empty() ? "" : ", ") + run->place.name;
  row.note += concat_message("; costs by ", policy.unit());
  const Evaluation* of = nullptr;
  const EvaluatedRun* most = nullptr;
  for (const Evaluation& evaluation : evaluations)
    for (const EvaluatedRun& run : evaluation.runs)
      if (shared_runs(policy, run) > (most == nullptr ? 0 : most->folders.size())) of = &evaluation, most = &run;
  if (most == nullptr) return row;
  take_run(*of, *most, row);
  if (most->folders.size() < policy.runs.size())
    row.note += concat_message(" of ", most->folders.size(), " of the ", policy.runs.size(), " runs");
  return row;
}

std::vector<Row> rows_of(const Material& material) {
  const std::vector<Evaluation>& evaluations = material.runs.evaluations;
  std::vector<Row> rows;
  for (const PolicyResult& policy : material.policies) rows.push_back(policy_row(policy, evaluations));
  for (const Evaluation& evaluation : evaluations) {
    for (const EvaluatedRun& run : evaluation.runs) {
      const bool of_a_policy = std::any_of(material.policies.begin(), material.policies.end(),
                                           [&](const PolicyResult& policy) { return shared_runs(policy, run) > 0; });
      if (of_a_policy) continue;
      Row& row = rows.emplace_back();
      row.name = name_of(run);
      take_run(evaluation, run, row);
    }
    Row& real = rows.emplace_back();
    real.name = "real pictures";
    real.note = concat_message(count_text(evaluation.real.n),
                               " training pictures; judge, Dice and speckle: ", count_text(evaluation.held_out),
                               " held-out ones");
    real.part = &evaluation.real;
    real.agreement = &evaluation.held_out_agreement;
    real.judged_good = evaluation.held_out_judged_good;
    real.copied_detail = evaluation.held_out_copied_detail;
  }
  return rows;
}

std::string difference_cell(const Row& row) {
  if (row.run == nullptr) return "–";
  if (row.run == row.first) return "the first";
  const Estimate& difference = row.run->kid_minus_first;
  const double base = row.first->kid.value;
  std::string cell = estimate_cell(difference);
  if (!std::isnan(difference.value) && base > 0)
    cell += "<small>" + fixed(100 * difference.low / base, 0) + " to " + fixed(100 * difference.high / base, 0) +
            " % of its</small>";
  return cell;
}

std::string agreement_cell(const Row& row) {
  if (row.agreement == nullptr || std::isnan(row.agreement->mean.value)) return "–";
  std::string cell = estimate_cell(row.agreement->mean);
  for (const auto& [name, one] : row.agreement->classes)
    cell += "<small>" + escape_html(name) + " " + rounded(one.value) + " (" + interval_text(one) + ")</small>";
  return cell;
}

struct Column {
  std::string header;
  std::function<std::string(const Row&)> cell;
};

std::vector<Column> columns() {
  const auto cost = [](Estimate PolicyResult::*member) {
    return [member](const Row& row) { return row.policy ? estimate_cell(row.policy->*member) : std::string("–"); };
  };
  const auto number = [](Estimate EvaluatedPart::*member) {
    return [member](const Row& row) { return row.part ? estimate_cell(row.part->*member) : std::string("–"); };
  };
  const auto share = [](Proportion EvaluatedPart::*member) {
    return [member](const Row& row) { return row.part ? share_cell(row.part->*member) : std::string("–"); };
  };
  const auto of_run = [](Proportion EvaluatedRun::*member) {
    return [member](const Row& row) { return row.run ? share_cell(row.run->*member) : std::string("–"); };
  };
  return {
      {"U-Net calls<br>per accepted", cost(&PolicyResult::calls_per_kept)},
      {"times the<br>baseline’s", cost(&PolicyResult::times_baseline)},
      {"per accepted,<br>distinct", cost(&PolicyResult::calls_per_accepted)},
      {"Seconds<br>per accepted", cost(&PolicyResult::seconds_per_kept)},
      {"per accepted,<br>distinct", cost(&PolicyResult::seconds_per_accepted)},
      {"Masks<br>reached", [](const Row& row) { return row.policy ? share_cell(row.policy->masks_reached) : "–"; }},
      {"Good by the<br>independent judge", [](const Row& row) { return share_cell(row.judged_good); }},
      {"KID", number(&EvaluatedPart::kid)},
      {"KID less that<br>of the first", difference_cell},
      {"FID", number(&EvaluatedPart::fid)},
      {"Precision", share(&EvaluatedPart::precision)},
      {"Recall", share(&EvaluatedPart::recall)},
      {"Density", number(&EvaluatedPart::density)},
      {"Coverage", share(&EvaluatedPart::coverage)},
      {"Dice with<br>the mask", agreement_cell},
      {"No near-<br>duplicates", of_run(&EvaluatedRun::distinct)},
      {"Copies of<br>training pictures", of_run(&EvaluatedRun::copies)},
      {"Copies of<br>their speckle", [](const Row& row) { return share_cell(row.copied_detail); }},
      {"Nearer than<br>held-out ones",
       [](const Row& row) { return row.run ? estimate_cell(row.run->closer_than_held_out) : std::string("–"); }},
  };
}

// Columns that no row has are left out.
Table table_of(const std::vector<Row>& rows) {
  Table table;
  table.wide = true;
  table.header = {"Policy"};
  for (const Row& row : rows)
    table.rows.push_back({escape_html(row.name) + "<small>" + escape_html(row.note) + "</small>"});
  for (const Column& column : columns()) {
    std::vector<std::string> cells;
    for (const Row& row : rows) cells.push_back(column.cell(row));
    if (std::all_of(cells.begin(), cells.end(), [](const std::string& cell) { return cell == "–"; })) continue;
    table.header.push_back(column.header);
    for (size_t i = 0; i < rows.size(); ++i) table.rows[i].push_back(cells[i]);
  }
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i].policy == nullptr && rows[i].run == nullptr) table.quiet_rows.push_back(i);
  return table;
}

void write_measured(const Row& row, JsonWriter& json) {
  const auto share = [&](const char* key, const Proportion& value) {
    if (value.n > 0) write_proportion(json, key, value);
  };
  const auto number = [&](const char* key, const Estimate& value) {
    if (!std::isnan(value.value)) write_estimate(json, key, value);
  };
  if (const PolicyResult* policy = row.policy) {
    number("unet_calls_per_accepted", policy->calls_per_kept);
    json.text("unet_calls_per_accepted_unit", policy->unit());
    number("times_baseline", policy->times_baseline);
    number("unet_calls_per_distinct", policy->calls_per_accepted);
    number("seconds_per_accepted", policy->seconds_per_kept);
    number("seconds_per_distinct", policy->seconds_per_accepted);
    share("masks_reached", policy->masks_reached);
  }
  share("judged_good", row.judged_good);
  share("copied_detail", row.copied_detail);
  if (const EvaluatedPart* part = row.part) {
    json.count("measured", part->n);
    number("kid", part->kid);
    number("fid", part->fid);
    share("precision", part->precision);
    share("recall", part->recall);
    number("density", part->density);
    share("coverage", part->coverage);
    number("outside_energy", part->outside_energy);
  }
  if (row.agreement != nullptr) {
    number("dice", row.agreement->mean);
    for (const auto& [name, one] : row.agreement->classes) number(("dice_" + name).c_str(), one);
  }
  if (const EvaluatedRun* run = row.run) {
    number("kid_minus_first", run->kid_minus_first);
    share("distinct", run->distinct);
    share("copies", run->copies);
    number("closer_than_held_out", run->closer_than_held_out);
  }
}

std::string measured_note(const Evaluation& evaluation) {
  std::string note = concat_message("against ", count_text(evaluation.held_out),
                                    " held-out pictures by the features of ", escape_html(evaluation.features));
  if (!evaluation.judge.empty())
    note += concat_message(", judged by ", escape_html(evaluation.judge), " (good from ", compact(evaluation.tau),
                           "), which must have selected nothing");
  return note;
}

}  // namespace

void table_section(const Material& material, Report& report) {
  Page& page = report.page;
  page.section("table", "Policy by policy");
  const std::vector<Row> rows = rows_of(material);
  report.json.begin_array("table");
  for (const Row& row : rows) {
    report.json.begin_object().text("name", row.name);
    write_measured(row, report.json);
    report.json.end_object();
  }
  report.json.end_array();
  if (rows.empty()) {
    page.missing("There are no samples.", kMakeUnguided);
    return;
  }
  std::string measured;
  for (const Evaluation& evaluation : material.runs.evaluations)
    measured += (measured.empty() ? "Measured " : "; ") + measured_note(evaluation);
  page.table(
      table_of(rows),
      "Costs count every call and second, those of discarded trajectories too; distinct: pictures equal in every "
      "pixel count once. Below each number its 95 % interval: of shares Wilson’s, of costs by the bootstrap over the "
      "units that "
      "the row names, of KID and FID the jackknife over both sets. The baseline is the cheapest live posthoc of "
      "whole calls only; the interval of the times of it draws whole masks. A dash: not measured." +
          (measured.empty()
               ? ""
               : " " + measured +
                     ". FID falls as pictures are added: compare equal numbers. "
                     "Nearer than held-out ones: the chance that a picture lies nearer to the training set than a "
                     "held-out real one does, 0.5 without copying."));
  if (measured.empty())
    page.missing("No evaluation.json says how good the accepted pictures are.",
                 "Make it with <code>dlabel evaluate --samples RUN,RUN --data DATA --features SCORER --judge OTHER "
                 "--segmenter RUN --out OUT/evaluation.json</code> and add OUT to <code>--runs</code>.");
}

}  // namespace echodiff
