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
  for (const Sample& sample : run.samples) {
    if (sample.kept() && sample.metrics) metrics.push_back(*sample.metrics);
  }
  return metrics;
}

}  // namespace

void metrics_section(const Material& material, Report& report) {
  Page& page = report.page;
  page.section("metrics", "Picture metrics without and with the judge");
  report.json.begin_array("table1");
  Table table;
  table.header = {"Pictures", "n", "Noise<br>grey levels", "Contrast<br>grey levels",
                  "Laplacian variance<br>grey levels²"};
  const auto add = [&](const std::string& name, const std::string& cell, const MeanMetrics& mean) {
    table.rows.push_back(
        {cell, count_text(mean.pictures), fixed(mean.noise, 2), fixed(mean.contrast, 2), fixed(mean.sharpness, 2)});
    report.json.begin_object().text("pictures", name).count("n", mean.pictures).number("noise", mean.noise);
    report.json.number("contrast", mean.contrast).number("laplacian_variance", mean.sharpness).end_object();
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
  report.json.end_array();
  if (!any) page.missing("No samples and no data set were measured.", kMakeUnguided);
  page.table(
      table,
      "<b>Table 1.</b> Means over the pictures that were kept. The paper states neither intensity scale nor picture "
      "size nor σ, and all three metrics depend on them: compare down a column of this run, and with the paper "
      "only in direction (noise and Laplacian variance fall, contrast rises).");
}

void accounting_section(const Material& material, Report& report) {
  Page& page = report.page;
  page.section("accounting", "What sampling without a judge wastes");
  const SamplingRun* run = unguided_run(material.runs);
  const bool ready = run != nullptr && material.rule.thresholds && yield_of(*run).measured > 0;
  if (run == nullptr) page.missing("There is no run without a judge.", kMakeUnguided);
  if (run != nullptr && !ready) page.missing("No rule says which sample is acceptable.", kMakeRule);

  report.json.begin_object("paper").count("sampled", paper::kSampled).count("acceptable", paper::kAcceptable);
  report.json.number("poor_fraction", paper::kPoorShare).number("hours_on_poor", paper::kHoursOnPoor);
  report.json.number("unet_calls_per_acceptable", paper::kCallsPerAccepted).end_object();
  Table table;
  table.header = {"", "This run", "The paper, section 2.1"};
  std::vector<std::string> mine(10, "–");
  if (ready) {
    const Yield yield = yield_of(*run);
    const Proportion poor = wilson(yield.good.n - yield.good.k, yield.good.n);
    const double poor_calls = yield.calls * poor.fraction, poor_seconds = yield.seconds * poor.fraction;
    mine = {count_text(yield.good.n),
            count_text(yield.good.k) + " (" + percent(yield.good.fraction) + ")",
            count_text(poor.k) + " (" + percent(poor.fraction) + ")",
            interval_text(poor),
            count_text(std::llround(yield.calls / double(std::max<int64_t>(1, yield.trajectories)))),
            duration_text(yield.seconds / double(std::max<int64_t>(1, yield.trajectories))),
            count_text(std::llround(poor_calls)),
            duration_text(poor_seconds),
            rounded(yield.calls_per_good, 4),
            duration_text(yield.seconds_per_good)};
    report.json.begin_object("accounting").text("run", run->place.name).count("trajectories", yield.good.n);
    report.json.count("acceptable", yield.good.k).count("poor", poor.k).number("poor_fraction", poor.fraction);
    report.json.number("poor_low", poor.low).number("poor_high", poor.high);
    report.json.number("unet_calls_on_poor", poor_calls).number("seconds_on_poor", poor_seconds);
    report.json.number("unet_calls_per_acceptable", yield.calls_per_good).end_object();
    report.lines.push_back(concat_message("without a judge: ", share_text(yield.good), " acceptable, ", poor.k,
                                          " poor cost ", count_text(std::llround(poor_calls)), " U-Net calls and ",
                                          duration_text(poor_seconds)));
  }
  const std::string derived = "<small>from its counts</small>";
  const Proportion acceptable = wilson(paper::kAcceptable, paper::kSampled),
                   poor = wilson(paper::kPoor, paper::kSampled);
  const std::vector<std::pair<std::string, std::string>> lines = {
      {"Pictures sampled without a judge", count_text(paper::kSampled)},
      {"of these acceptable", count_text(acceptable.k) + " (" + percent(acceptable.fraction) + ")"},
      {"of these poor", count_text(poor.k) + " (" + percent(poor.fraction) + ")"},
      {"95 % interval of the poor share", interval_text(poor) + derived},
      {"U-Net calls per picture", count_text(paper::kTimesteps)},
      {"Time per picture", compact(paper::kMinutesPerPicture) + " min<small>one A6000</small>"},
      {"U-Net calls spent on poor pictures", count_text(paper::kCallsOnPoor) + derived},
      {"Time spent on poor pictures", fixed(paper::kHoursOnPoor, 2) + " GPU-hours"},
      {"U-Net calls per acceptable picture", count_text(std::llround(paper::kCallsPerAccepted)) + derived},
      {"Time per acceptable picture", duration_text(60 * paper::kMinutesPerAccepted) + derived}};
  for (size_t i = 0; i < lines.size(); ++i) table.rows.push_back({lines[i].first, mine[i], lines[i].second});
  page.table(table, ready ? "Acceptable by the metric rule (" + escape_html(rule_text(*material.rule.thresholds)) +
                                "). Time is what the run of " + escape_html(run->place.name) +
                                " took on its own machine, shared out evenly."
                          : "");
}

}  // namespace echodiff
