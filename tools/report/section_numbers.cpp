// The paper's Table 1, its accounting of section 2.1, and the cost of each policy.
#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "plot.h"
#include "sections.h"

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
  for (const std::vector<std::string>& row :
       {std::vector<std::string>{"The paper, without<small>3,000 pictures, its own scale and size</small>", "3,000",
                                 "0.31", "28.82", "469.87"},
        std::vector<std::string>{"The paper, with<small>3,000 pictures, its own scale and size</small>", "3,000",
                                 "0.26", "30.34", "147.34"}}) {
    table.quiet_rows.push_back(table.rows.size());
    table.rows.push_back(row);
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

  Table table;
  table.header = {"", "This run", "The paper, section 2.1"};
  std::vector<std::string> mine(8, "–");
  if (ready) {
    const Yield yield = yield_of(*run);
    const Proportion poor = wilson(yield.good.n - yield.good.k, yield.good.n);
    const double poor_calls = double(yield.unet_calls) * poor.fraction, poor_seconds = yield.seconds * poor.fraction;
    mine = {count_text(yield.good.n),
            count_text(yield.good.k) + " (" + percent(yield.good.fraction) + ")",
            count_text(poor.k) + " (" + percent(poor.fraction) + ")",
            interval_text(poor),
            count_text(std::llround(double(yield.unet_calls) / double(std::max<int64_t>(1, yield.trajectories)))),
            duration_text(yield.seconds / double(std::max<int64_t>(1, yield.trajectories))),
            count_text(std::llround(poor_calls)),
            duration_text(poor_seconds)};
    report.json.begin_object("accounting").text("run", run->place.name).count("trajectories", yield.good.n);
    report.json.count("acceptable", yield.good.k).count("poor", poor.k).number("poor_fraction", poor.fraction);
    report.json.number("poor_low", poor.low).number("poor_high", poor.high);
    report.json.number("unet_calls_on_poor", poor_calls).number("seconds_on_poor", poor_seconds).end_object();
    report.lines.push_back(concat_message("without a judge: ", share_text(yield.good), " acceptable, ", poor.k,
                                          " poor cost ", count_text(std::llround(poor_calls)), " U-Net calls and ",
                                          duration_text(poor_seconds)));
  }
  const std::vector<std::pair<std::string, std::string>> lines = {
      {"Pictures sampled without a judge", "3,406"},
      {"of these acceptable", "1,311 (38.5 %)"},
      {"of these poor", "2,095 (61.5 %)"},
      {"95 % interval of the poor share", "59.9–63.1 %<small>from its counts</small>"},
      {"U-Net calls per picture", "2,000"},
      {"Time per picture", "2 min<small>one A6000</small>"},
      {"U-Net calls spent on poor pictures", "4,190,000<small>from its counts</small>"},
      {"Time spent on poor pictures", "69.83 GPU-hours"}};
  for (size_t i = 0; i < lines.size(); ++i) table.rows.push_back({lines[i].first, mine[i], lines[i].second});
  page.table(table, ready ? "Acceptable by the metric rule (" + escape_html(rule_text(*material.rule.thresholds)) +
                                "). Time is what the run of " + escape_html(run->place.name) +
                                " took on its own machine, shared out evenly."
                          : "");
}

void cost_section(const Material& material, Report& report) {
  Page& page = report.page;
  page.section("cost", "Cost and precision by policy");
  report.json.begin_array("policies");
  if (material.runs.sampling.empty()) {
    report.json.end_array();
    page.missing("There are no samples.", kMakeUnguided);
    return;
  }
  const bool ruled = material.rule.thresholds.has_value();
  const SamplingRun* unguided = unguided_run(material.runs);
  const Proportion base = unguided != nullptr ? yield_of(*unguided).good : Proportion{};
  Table cost, precision;
  cost.header = {"Run",           "Trajectories",        "Kept",          "U-Net calls<br>per kept",
                 "per good kept", "Seconds<br>per kept", "per good kept", "of which<br>judging"};
  precision.header = {"Run", "Good among kept", "95 % interval", "against unguided"};
  std::vector<Bar> calls, seconds, shares;
  for (const SamplingRun& run : material.runs.sampling) {
    const Yield yield = yield_of(run);
    const std::string judging = run.scorer_seconds / run.seconds >= 0 ? percent(run.scorer_seconds / run.seconds) : "–";
    cost.rows.push_back({run_cell(run), count_text(yield.trajectories), count_text(yield.kept),
                         rounded(yield.calls_per_kept), rounded(yield.calls_per_good), rounded(yield.seconds_per_kept),
                         rounded(yield.seconds_per_good), judging});
    const bool above = run.guided() && base.n > 0 && yield.good.low > base.fraction;
    const bool below = run.guided() && base.n > 0 && yield.good.high < base.fraction;
    precision.rows.push_back({run_cell(run), share_text(yield.good), interval_text(yield.good),
                              !run.guided() || base.n == 0 || yield.good.n == 0 ? "–"
                              : above                                           ? "<span class=\"yes\">higher</span>"
                              : below                                           ? "<span class=\"no\">lower</span>"
                                                                                : "not told apart"});
    const std::string css_class = run.guided() ? "c1" : "c0", note = policy_text(run);
    const bool counted = ruled && yield.good.n > 0, none_good = counted && yield.good.k == 0;
    const double bar_calls = counted ? yield.calls_per_good : yield.calls_per_kept;
    const double bar_seconds = counted ? yield.seconds_per_good : yield.seconds_per_kept;
    calls.push_back({run.place.name, note, bar_calls, none_good ? "none good" : rounded(bar_calls), 0, 0, css_class});
    seconds.push_back(
        {run.place.name, note, bar_seconds, none_good ? "none good" : duration_text(bar_seconds), 0, 0, css_class});
    shares.push_back({run.place.name, note, 100 * yield.good.fraction, percent(yield.good.fraction),
                      100 * yield.good.low, 100 * yield.good.high, css_class});
    report.json.begin_object().text("run", run.place.name).text("policy", run.policy).text("sampler", run.sampler);
    report.json.count("sample_steps", run.sample_steps).count("trajectories", yield.trajectories);
    report.json.count("accepted", yield.kept).count("unet_calls", yield.unet_calls).number("seconds", yield.seconds);
    report.json.number("unet_calls_per_accepted", yield.calls_per_kept);
    report.json.number("seconds_per_accepted", yield.seconds_per_kept);
    report.json.number("unet_calls_per_good", yield.calls_per_good);
    report.json.number("seconds_per_good", yield.seconds_per_good).number("scorer_seconds", run.scorer_seconds);
    write_proportion(report.json, "precision", yield.good);
    report.json.flag("above_unguided", above).end_object();
    report.lines.push_back(concat_message("cost: ", run.place.name, " (", note, "): ", rounded(yield.calls_per_kept),
                                          " U-Net calls and ", rounded(yield.seconds_per_kept), " s per kept picture"));
    if (counted) {
      report.lines.push_back(concat_message("precision: ", run.place.name, " (", note, "): ", share_text(yield.good),
                                            " kept pictures are good, 95 % interval ", interval_text(yield.good)));
    }
  }
  report.json.end_array();
  page.table(cost,
             "Every U-Net call and second of a run counts, those of discarded trajectories too. “Kept” is accepted by "
             "the judge, or finished where there is none; “good” is by the metric rule, which is not the judge.");
  const std::string per = ruled ? "good kept picture" : "kept picture";
  page.figure("", bar_plot(calls, "U-Net calls per " + per), "U-Net calls per " + per + ", all trajectories counted.");
  page.figure("", bar_plot(seconds, "seconds per " + per),
              "Wall-clock seconds per " + per + ", judging included, on the machine of each run.");
  page.heading("Acceptance precision");
  if (!ruled) {
    page.missing("No rule says which kept picture is good.", kMakeRule);
    return;
  }
  page.table(
      precision,
      "The share of kept pictures that the metric rule calls good, with Wilson’s interval. “Higher” where the whole "
      "interval lies above the unguided share" +
          (base.n > 0 ? " of " + percent(base.fraction) : std::string()) + ".");
  page.figure("", bar_plot(shares, "good among the kept, %", 100), "The same shares; whiskers are 95 % intervals.");
  if (guided_run(material.runs) == nullptr) page.missing("There is no run with a judge.", kMakeGuided);
}

}  // namespace echodiff
