// Policy by policy: what a picture costs beside how good the pictures are, from the sampling runs and evaluation.json.
#include <algorithm>
#include <cmath>
#include <functional>

#include "dreport/sections/sections.h"
#include "kernels/error.h"

namespace echodiff {
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
  row.name = policy.short_name;
  row.policy = &policy;
  for (const SamplingRun* run : policy.runs) row.note += (row.note.empty() ? "" : ", ") + run->place.name;
  row.note += concat_message("; costs by ", policy.unit());
  const EvaluatedPolicy found = evaluated(policy, evaluations);
  if (found.run == nullptr) return row;
  take_run(*found.evaluation, *found.run, row);
  if (found.run->folders.size() < policy.runs.size())
    row.note += concat_message(" of ", found.run->folders.size(), " of the ", policy.runs.size(), " runs");
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
  std::string cell = interval_cell(difference);
  if (!std::isnan(difference.value) && base > 0)
    cell += "<small>" + fixed(100 * difference.low / base, 0) + " to " + fixed(100 * difference.high / base, 0) +
            " % of its</small>";
  return cell;
}

std::string agreement_cell(const Row& row) {
  if (row.agreement == nullptr || std::isnan(row.agreement->mean.value)) return "–";
  std::string cell = interval_cell(row.agreement->mean);
  for (const auto& [name, one] : row.agreement->classes)
    cell += "<small>" + escape_html(name) + " " + rounded(one.value) + " (" + interval_text(one) + ")</small>";
  return cell;
}

// The finest band; below it all of them, coarse to fine.
std::string power_cell(const Row& row) {
  if (row.part == nullptr || row.part->texture.power_over_real.empty()) return "–";
  const std::vector<Estimate>& bands = row.part->texture.power_over_real;
  std::string cell = interval_cell(bands.back()), all;
  for (const Estimate& band : bands)
    all += (all.empty() ? "" : " ") + (std::isnan(band.value) ? "–" : rounded(band.value));
  return cell == "–" ? cell : cell + "<small>" + all + "</small>";
}

// A measure of the texture; below it what it is less the real pictures'.
std::string texture_cell(const Row& row, Compared Texture::*member) {
  if (row.part == nullptr) return "–";
  const Compared& one = row.part->texture.*member;
  std::string cell = interval_cell(one.value);
  if (!std::isnan(one.minus_real.value))
    cell += "<small>less real " + rounded(one.minus_real.value) + " (" + interval_text(one.minus_real) + ")</small>";
  return cell;
}

struct Column {
  std::string header;
  std::function<std::string(const Row&)> cell;
};

std::vector<Column> columns() {
  // A number or share of the row's policy, part or run, where it has one.
  const auto of = [](auto Row::*source, auto member) {
    return [=](const Row& row) { return row.*source ? interval_cell(row.*source->*member) : "–"; };
  };
  const auto texture = [](Compared Texture::*member) {
    return [=](const Row& row) { return texture_cell(row, member); };
  };
  return {
      {"U-Net calls<br>per accepted", of(&Row::policy, &PolicyResult::calls_per_kept)},
      {"times the<br>baseline’s", of(&Row::policy, &PolicyResult::times_baseline)},
      {"per accepted,<br>distinct", of(&Row::policy, &PolicyResult::calls_per_accepted)},
      {"Seconds<br>per accepted", of(&Row::policy, &PolicyResult::seconds_per_kept)},
      {"per accepted,<br>distinct", of(&Row::policy, &PolicyResult::seconds_per_accepted)},
      {"Masks<br>reached", of(&Row::policy, &PolicyResult::masks_reached)},
      {"Good by the<br>independent judge", [](const Row& row) { return interval_cell(row.judged_good); }},
      {"KID", of(&Row::part, &EvaluatedPart::kid)},
      {"KID less that<br>of the first", difference_cell},
      {"FID", of(&Row::part, &EvaluatedPart::fid)},
      {"Precision", of(&Row::part, &EvaluatedPart::precision)},
      {"Recall", of(&Row::part, &EvaluatedPart::recall)},
      {"Density", of(&Row::part, &EvaluatedPart::density)},
      {"Coverage", of(&Row::part, &EvaluatedPart::coverage)},
      {"Radiomic<br>distance",
       [](const Row& row) { return row.part ? interval_cell(row.part->texture.radiomic_distance) : "–"; }},
      {"Finest band’s<br>power over real", power_cell},
      {"Mean grey", texture(&Texture::mean_grey)},
      {"Speckle’s mean<br>over deviation", texture(&Texture::signal_to_noise)},
      {"Speckle’s half<br>width across", texture(&Texture::lateral_width)},
      {"Speckle’s half<br>width down", texture(&Texture::axial_width)},
      {"Dice with<br>the mask", agreement_cell},
      {"No near-<br>duplicates", of(&Row::run, &EvaluatedRun::distinct)},
      {"Copies of<br>training pictures", of(&Row::run, &EvaluatedRun::copies)},
      {"Copies of<br>their speckle", [](const Row& row) { return interval_cell(row.copied_detail); }},
      {"Nearer than<br>held-out ones", of(&Row::run, &EvaluatedRun::closer_than_held_out)},
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

template <class Put> void put_texture(const Texture& texture, Put put) {
  put("radiomic_distance", texture.radiomic_distance);
  if (!texture.power_over_real.empty()) put("finest_power_over_real", texture.power_over_real.back());
  put("mean_grey", texture.mean_grey.value);
  put("mean_grey_minus_real", texture.mean_grey.minus_real);
  put("signal_to_noise", texture.signal_to_noise.value);
  put("signal_to_noise_minus_real", texture.signal_to_noise.minus_real);
  put("lateral_width", texture.lateral_width.value);
  put("lateral_width_minus_real", texture.lateral_width.minus_real);
  put("axial_width", texture.axial_width.value);
  put("axial_width_minus_real", texture.axial_width.minus_real);
}

Json json_of(const Row& row) {
  Json json{{"name", row.policy != nullptr ? row.policy->name : row.name}};
  const auto put = [&](const std::string& key, const auto& measured) {
    if (interval_cell(measured) != "–") json[key] = measured;
  };
  if (const PolicyResult* policy = row.policy) {
    put("unet_calls_per_accepted", policy->calls_per_kept);
    json["unet_calls_per_accepted_unit"] = policy->unit();
    put("times_baseline", policy->times_baseline);
    put("unet_calls_per_distinct", policy->calls_per_accepted);
    put("seconds_per_accepted", policy->seconds_per_kept);
    put("seconds_per_distinct", policy->seconds_per_accepted);
    put("masks_reached", policy->masks_reached);
  }
  put("judged_good", row.judged_good);
  put("copied_detail", row.copied_detail);
  if (const EvaluatedPart* part = row.part) {
    json["measured"] = part->n;
    put("kid", part->kid);
    put("fid", part->fid);
    put("precision", part->precision);
    put("recall", part->recall);
    put("density", part->density);
    put("coverage", part->coverage);
    put("outside_energy", part->outside_energy);
    put_texture(part->texture, put);
  }
  if (row.agreement != nullptr) {
    put("dice", row.agreement->mean);
    for (const auto& [name, one] : row.agreement->classes) put("dice_" + name, one);
  }
  if (const EvaluatedRun* run = row.run) {
    put("kid_minus_first", run->kid_minus_first);
    put("distinct", run->distinct);
    put("copies", run->copies);
    put("closer_than_held_out", run->closer_than_held_out);
  }
  return json;
}

std::string measured_note(const Evaluation& evaluation) {
  std::string note = concat_message("against ", count_text(evaluation.held_out),
                                    " held-out pictures by the features of ", escape_html(evaluation.features));
  if (!evaluation.judge.empty())
    note += concat_message(", judged by ", escape_html(evaluation.judge), " (good from ", compact(evaluation.tau),
                           "), which must have selected nothing");
  if (!evaluation.dice_refused.empty())
    note += "; the segmenter was not asked about samples (" + escape_html(evaluation.dice_refused) + ")";
  return note;
}

}  // namespace

void table_part(const Material& material, Report& report) {
  Page& page = report.page;
  const std::vector<Row> rows = rows_of(material);
  report.json["table"] = Json::array();
  for (const Row& row : rows) report.json["table"] += json_of(row);
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
                     "held-out real one does, 0.5 without copying. The radiomic distance needs no network; power, grey "
                     "and "
                     "speckle are described in docs/design/measuring.md."));
  if (measured.empty())
    page.missing("No evaluation.json says how good the accepted pictures are.",
                 "Make it with <code>dlabel evaluate --samples RUN,RUN --data DATA --features SCORER --judge OTHER "
                 "--segmenter RUN --out OUT/evaluation.json</code> and add OUT to <code>--runs</code>.");
}

}  // namespace echodiff
