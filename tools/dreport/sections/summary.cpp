#include <algorithm>
#include <cmath>
#include <filesystem>

#include "dreport/sections/sections.h"
#include "kernels/error.h"
#include "tensor/io/paths.h"

namespace echodiff {

const SamplingRun* unguided_run(const RunSet& runs) {
  for (const SamplingRun& run : runs.sampling) {
    if (!run.guided()) return &run;
  }
  return nullptr;
}

const SamplingRun* guided_run(const RunSet& runs) {
  const SamplingRun* chosen = nullptr;
  for (const SamplingRun& run : runs.sampling) {
    if (run.guided() && (chosen == nullptr || (run.policy == "paper" && chosen->policy != "paper"))) chosen = &run;
  }
  return chosen;
}

std::string policy_text(const SamplingRun& run) {
  std::string text = run.policy == "none" ? "no judge" : run.policy;
  if (!run.sampler.empty()) text += ", " + run.sampler;
  if (run.sample_steps > 0) text += ", " + count_text(run.sample_steps) + " steps";
  return text;
}

std::string run_cell(const SamplingRun& run) {
  return escape_html(run.place.name) + "<small>" + escape_html(policy_text(run)) + "</small>";
}

std::string rule_text(const Thresholds& thresholds) {
  const auto within = [](const std::string& name, const Band& band) {
    return compact(band.low) + " ≤ " + name + " ≤ " + compact(band.high);
  };
  switch (thresholds.rule) {
    case Rule::kText:
      return "good iff sharpness < " + compact(thresholds.tau_sharpness) + ", contrast > " +
             compact(thresholds.tau_contrast) + ", noise < " + compact(thresholds.tau_noise);
    case Rule::kEq4:
      return "good iff sharpness ≥ " + compact(thresholds.tau_sharpness) + ", contrast ≥ " +
             compact(thresholds.tau_contrast) + ", noise ≤ " + compact(thresholds.tau_noise);
    case Rule::kBand:
      return "good iff " + within("sharpness", thresholds.sharpness) + ", " + within("contrast", thresholds.contrast) +
             ", " + within("noise", thresholds.noise);
  }
  return "";
}

std::string share_text(const Proportion& share) {
  return count_text(share.k) + " of " + count_text(share.n) + " (" + percent(share.fraction) + ")";
}

std::string interval_text(const Proportion& share) {
  return share.n == 0 ? "–" : fixed(100 * share.low, 1) + "–" + percent(share.high);
}

std::string interval_text(const Estimate& estimate) {
  if (std::isnan(estimate.low) || std::isnan(estimate.high)) return "–";
  return rounded(estimate.low) + "–" + (std::isinf(estimate.high) ? "∞" : rounded(estimate.high));
}

std::string interval_cell(const Estimate& estimate) {
  if (std::isnan(estimate.value)) return "–";
  return rounded(estimate.value) + "<small>" + interval_text(estimate) + "</small>";
}

std::string interval_cell(const Proportion& share) {
  if (share.n == 0) return "–";
  return percent(share.fraction) + "<small>" + interval_text(share) + " of " + count_text(share.n) + "</small>";
}

void to_json(Json& json, const Estimate& estimate) {
  json = {{"value", estimate.value}, {"low", estimate.low}, {"high", estimate.high}};
}

void to_json(Json& json, const Proportion& share) {
  json = {{"k", share.k}, {"n", share.n}, {"fraction", share.fraction}, {"low", share.low}, {"high", share.high}};
}

namespace {

// The table that is filled, and the same numbers under their keys.
struct Summary {
  Table table;
  Json& json;

  void add_share(const std::string& name, const std::string& key, const Proportion& share) {
    if (share.n == 0) return;
    table.rows.push_back({name, share_text(share), interval_text(share)});
    json[key] = share;
  }
  void add_number(const std::string& name, const std::string& key, double value, const std::string& text) {
    table.rows.push_back({name, text, ""});
    json[key] = value;
  }
};

// The share of good pictures, and what one costs, without a judge and by each policy.
void add_policies(const Material& material, const SamplingRun* unguided, Summary& summary) {
  if (unguided != nullptr) {
    summary.add_share("Good pictures without a judge", "good_without_judge", yield_of(*unguided).good);
  }
  for (const PolicyResult& policy : material.policies) {
    if (!policy.guided()) continue;
    summary.add_share("Good among the kept with the judge<small>" + escape_html(policy.name) + "</small>",
                      "good_with_" + policy.runs.front()->place.name, policy.precision);
  }
  for (const PolicyResult& policy : material.policies) {
    const Estimate& cost = policy.calls_per_good;
    if (std::isnan(cost.value)) continue;
    summary.table.rows.push_back(
        {"U-Net calls per good kept picture<small>" + escape_html(policy.name) + ", by " + policy.unit() + "</small>",
         rounded(cost.value), interval_text(cost)});
    summary.json["calls_per_good_" + policy.runs.front()->place.name] = cost;
  }
}

}  // namespace

void summary_part(const Material& material, Report& report) {
  Page& page = report.page;
  Summary summary{{.header = {"Quantity", "This run", "95 % interval"}}, report.json["summary"] = Json::object()};
  const SamplingRun* unguided = unguided_run(material.runs);
  const bool ruled = material.rule.thresholds.has_value();
  if (ruled) add_policies(material, unguided, summary);
  const PictureSet* masks = unguided != nullptr ? material.masks_of(*unguided) : nullptr;
  if (masks != nullptr && material.real) {
    if (const std::optional<Adherence> adherence = adherence_of(*unguided, *masks, *material.real)) {
      summary.add_share("Samples that follow their mask<small>" + escape_html(adherence->first) + " against " +
                            escape_html(adherence->second) + "</small>",
                        "adherence", adherence->samples);
    }
  }
  for (const ScorerRun& scorer : material.runs.scorers) {
    if (!scorer.measured || !std::isfinite(scorer.auroc)) continue;
    summary.add_number("Scorer, held-out AUROC", "scorer_auroc", scorer.auroc, fixed(scorer.auroc, 3));
    break;
  }
  for (const DiffusionRun& run : material.runs.diffusion) {
    if (run.val_loss.value.empty()) continue;
    const double least = *std::min_element(run.val_loss.value.begin(), run.val_loss.value.end());
    summary.add_number("Validation loss, least", "validation_loss", least, rounded(least, 4));
    break;
  }

  if (!ruled && !material.runs.sampling.empty()) page.missing("No rule says which sample is good.", kMakeRule);
  if (summary.table.rows.empty() && material.runs.sampling.empty()) {
    page.missing("None of the folders holds samples, a scorer's metrics or a validation loss yet.", kMakeUnguided);
  }
  if (!summary.table.rows.empty()) page.table(summary.table);
  if (ruled) {
    page.paragraph("A picture is " + escape_html(rule_text(*material.rule.thresholds)) + ". The rule comes from " +
                   escape_html(material.rule.origin) +
                   ". Intervals are at 95 %: of shares Wilson’s, of costs by the bootstrap over the "
                   "units named.");
  }
}

void inputs_part(const Material& material, Report& report) {
  Page& page = report.page;
  page.heading("What this report was made from");
  Table table{.header = {"Folder", "Kind", "Holds"}};
  report.json["inputs"] = Json::array();
  const auto add = [&](const std::string& name, const std::string& kind, const std::string& holds) {
    table.rows.push_back({escape_html(name), kind, holds});
    report.json["inputs"] += {{"name", name}, {"kind", kind}};
  };
  for (const DiffusionRun& run : material.runs.diffusion) {
    const double last = run.train_loss.step.empty() ? 0 : run.train_loss.step.back();
    add(run.place.name, "diffusion training", count_text(int64_t(last)) + " steps");
  }
  for (const ScorerRun& run : material.runs.scorers)
    add(run.place.name, "scorer training", run.measured ? "metrics" : "log");
  for (const SegmenterGroup& group : material.runs.segmenters)
    for (const RunPlace& place : group.places)
      add(place.name, "segmenter training",
          group.samples.empty() ? "real pictures" : "real pictures and " + escape_html(group.samples));
  for (const RunPlace& place : material.runs.others) add(place.name, "other training", "not shown here");
  for (const TimedJudge& judge : material.runs.judges)
    add(judge.folder, judge.folder == judge.name ? "value model training" : "recording",
        "judge " + escape_html(judge.name) + " by t");
  for (const Evaluation& evaluation : material.runs.evaluations) {
    const std::string folder = std::filesystem::path(evaluation.path).parent_path().filename().string();
    add(folder.empty() ? "evaluation.json" : folder + "/evaluation.json", "evaluation",
        count_text(int64_t(evaluation.runs.size())) + " runs against " + count_text(evaluation.held_out) +
            " held-out pictures, features of " + escape_html(evaluation.features));
  }
  for (const Ceiling& ceiling : material.runs.ceilings)
    add(ceiling.name, "ceiling",
        count_text(ceiling.states) + " states, " + count_text(ceiling.branches) + " endings each");
  for (const SamplingRun& run : material.runs.sampling) {
    add(run.place.name, "samples",
        count_text(run.totals.trajectories) + " trajectories" + (run.finished ? "" : ", not finished"));
  }
  const auto add_set = [&](const std::string& folder, const PictureSet& set, const std::string& kind) {
    add(last_part(folder), kind,
        count_text(int64_t(set.dataset.examples.size())) + (set.pictures ? " pictures" : " masks"));
  };
  if (material.real) add_set(material.runs.data, *material.real, "data set");
  for (const auto& [folder, set] : material.masks) add_set(folder, set, "masks of the samples");
  page.table(table);

  if (!material.rule.thresholds) {
    page.missing("No rule says which picture is good.", kMakeRule);
    return;
  }
  const Thresholds& rule = *material.rule.thresholds;
  page.paragraph(concat_message(
      "Metrics: sharpness is the variance of the 4-neighbour Laplacian, contrast the standard deviation, noise the "
      "mean absolute difference from a Gaussian blur (σ = ",
      compact(rule.metric.sigma), " pixels), on grey levels from 0 to ", compact(rule.metric.scale),
      ", borders reflected (reflect-101), over the ", rule.region == "sector" ? "sector" : "whole picture",
      ". Rule: ", escape_html(rule_text(rule)), " (", escape_html(material.rule.origin), ")."));
  report.json["rule"] = {
      {"rule", rule_name(rule.rule)},        {"text", rule_text(rule)},           {"origin", material.rule.origin},
      {"tau_sharpness", rule.tau_sharpness}, {"tau_contrast", rule.tau_contrast}, {"tau_noise", rule.tau_noise},
      {"sigma", rule.metric.sigma},          {"scale", rule.metric.scale},        {"region", rule.region}};
}

}  // namespace echodiff
