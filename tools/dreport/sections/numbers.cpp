// The paper's Table 1, and its accounting of section 2.1 beside ours.
#include <algorithm>
#include <cmath>

#include "dreport/paper.h"
#include "dreport/sections/sections.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

std::vector<Metrics> kept_metrics(const SamplingRun& run) {
  std::vector<Metrics> metrics;
  for (const Sample& sample : run.samples)
    if (sample.kept() && sample.metrics) metrics.push_back(*sample.metrics);
  return metrics;
}

}  // namespace

void metrics_part(const Material& material, Report& report) {
  Page& page = report.page;
  page.heading("Picture metrics without and with the judge");
  report.json["table1"] = Json::array();
  Table table{.header = {"Pictures", "n", "Noise<br>grey levels", "Contrast<br>grey levels",
                         "Laplacian variance<br>grey levels²"}};
  const auto add = [&](const std::string& name, const std::string& cell, const MeanMetrics& mean) {
    table.rows.push_back(
        {cell, count_text(mean.pictures), fixed(mean.noise, 2), fixed(mean.contrast, 2), fixed(mean.sharpness, 2)});
    report.json["table1"] += {{"pictures", name},
                              {"n", mean.pictures},
                              {"noise", mean.noise},
                              {"contrast", mean.contrast},
                              {"laplacian_variance", mean.sharpness}};
  };
  for (const SamplingRun& run : material.runs.sampling) {
    const MeanMetrics mean = mean_of(kept_metrics(run));
    if (mean.pictures == 0) continue;
    add(run.place.name, (run.guided() ? "With the judge: " : "Without a judge: ") + run_cell(run), mean);
    report.lines.push_back(concat_message(
        "metrics: ", run.place.name, " (", policy_text(run), "): noise ", fixed(mean.noise, 2), ", contrast ",
        fixed(mean.contrast, 2), ", Laplacian variance ", fixed(mean.sharpness, 2), " (", mean.pictures, " pictures)"));
  }
  if (material.real && !material.real->metrics.empty()) {
    add("real", "Real pictures<small>the data set, at the samples’ size</small>", mean_of(material.real->metrics));
  }
  const bool any = !table.rows.empty();
  for (const auto& [name, row] :
       {std::pair<const char*, const paper::MetricRow&>{"without", paper::kWithout}, {"with", paper::kWith}}) {
    table.quiet_rows.push_back(table.rows.size());
    table.rows.push_back({concat_message("The paper, ", name, "<small>its own scale and size</small>"),
                          count_text(paper::kTablePictures), fixed(row.noise, 2), fixed(row.contrast, 2),
                          fixed(row.laplacian_variance, 2)});
  }
  if (!any) page.missing("No samples and no data set were measured.", kMakeUnguided);
  page.table(
      table,
      "<b>Table 1.</b> Means over the pictures that were kept. The paper states neither intensity scale nor picture "
      "size nor σ, and all three metrics depend on them: compare down a column of this run, and with the paper "
      "only in direction (noise and Laplacian variance fall, contrast rises).");
}

void accounting_part(const Material& material, Report& report) {
  Page& page = report.page;
  page.heading("What sampling without a judge wastes");
  const SamplingRun* run = unguided_run(material.runs);
  const Yield yield = run != nullptr ? yield_of(*run) : Yield{};
  const bool ready = material.rule.thresholds && yield.measured > 0;
  if (run == nullptr) page.missing("There is no run without a judge.", kMakeUnguided);
  if (run != nullptr && !ready) page.missing("No rule says which sample is acceptable.", kMakeRule);

  report.json["paper"] = {{"sampled", paper::kSampled},
                          {"acceptable", paper::kAcceptable},
                          {"poor_fraction", paper::kPoorShare},
                          {"hours_on_poor", paper::kHoursOnPoor},
                          {"unet_calls_per_acceptable", paper::kCallsPerAccepted}};
  const Proportion poor = wilson(yield.good.n - yield.good.k, yield.good.n);
  const double poor_calls = yield.calls * poor.fraction, poor_seconds = yield.seconds * poor.fraction;
  if (ready) {
    report.json["accounting"] = {
        {"run", run->place.name},          {"trajectories", yield.good.n},
        {"acceptable", yield.good.k},      {"poor", poor.k},
        {"poor_fraction", poor.fraction},  {"poor_low", poor.low},
        {"poor_high", poor.high},          {"unet_calls_on_poor", poor_calls},
        {"seconds_on_poor", poor_seconds}, {"unet_calls_per_acceptable", yield.calls_per_good}};
    report.lines.push_back(concat_message("without a judge: ", share_text(yield.good), " acceptable, ", poor.k,
                                          " poor cost ", whole_text(poor_calls), " U-Net calls and ",
                                          duration_text(poor_seconds)));
  }
  const double trajectories = double(std::max<int64_t>(1, yield.trajectories));
  const Proportion paper_good = wilson(paper::kAcceptable, paper::kSampled);
  const Proportion paper_poor = wilson(paper::kPoor, paper::kSampled);
  const std::string derived = "<small>from its counts</small>";
  const auto counted = [](const Proportion& share) {
    return count_text(share.k) + " (" + percent(share.fraction) + ")";
  };
  Table table{
      {"", "This run", "The paper, section 2.1"},
      {{"Pictures sampled without a judge", count_text(yield.good.n), count_text(paper::kSampled)},
       {"of these acceptable", counted(yield.good), counted(paper_good)},
       {"of these poor", counted(poor), counted(paper_poor)},
       {"95 % interval of the poor share", interval_text(poor), interval_text(paper_poor) + derived},
       {"U-Net calls per picture", whole_text(yield.calls / trajectories), count_text(paper::kTimesteps)},
       {"Time per picture", duration_text(yield.seconds / trajectories),
        compact(paper::kMinutesPerPicture) + " min<small>one A6000</small>"},
       {"U-Net calls spent on poor pictures", whole_text(poor_calls), count_text(paper::kCallsOnPoor) + derived},
       {"Time spent on poor pictures", duration_text(poor_seconds), fixed(paper::kHoursOnPoor, 2) + " GPU-hours"},
       {"U-Net calls per acceptable picture", rounded(yield.calls_per_good, 4),
        count_text(std::llround(paper::kCallsPerAccepted)) + derived},
       {"Time per acceptable picture", duration_text(yield.seconds_per_good),
        duration_text(60 * paper::kMinutesPerAccepted) + derived}}};
  if (!ready)
    for (std::vector<std::string>& row : table.rows) row[1] = "–";
  page.table(table, ready ? "Acceptable by the metric rule (" + escape_html(rule_text(*material.rule.thresholds)) +
                                "). Time is what the run of " + escape_html(run->place.name) +
                                " took on its own machine, shared out evenly."
                          : "");
}

}  // namespace echodiff
