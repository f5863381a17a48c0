// Cost against quality, policy by policy, with intervals: runs that differ in seed only are pooled.
#include <algorithm>
#include <cmath>

#include "dreport/page/plot.h"
#include "dreport/sections/sections.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

std::string policy_cell(const PolicyResult& policy) {
  const size_t seeds = policy.runs.size();
  std::string names;
  for (const SamplingRun* run : policy.runs) names += (names.empty() ? "" : ", ") + run->place.name;
  return escape_html(policy.short_name) + "<small>" + escape_html(names) +
         (seeds > 1 ? concat_message(" (", seeds, " runs pooled)") : "") + "; costs by " + policy.unit() + "</small>";
}

std::string accepted_cell(const PolicyResult& policy) {
  return count_text(policy.accepted) + "<small>" + count_text(policy.distinct) + " distinct</small>";
}

std::string css_class_of(size_t place, const PolicyResult& policy) {
  return policy.guided() ? concat_message("c", 1 + place % 5) : "c0";
}

// Cost to the right, quality upwards; the dashed line joins the policies that no other beats in both.
void cost_quality_figure(const std::vector<PolicyResult>& policies, Page& page) {
  LinePlot plot;
  plot.x = {.label = "U-Net calls per accepted, distinct picture"};
  plot.y = {.label = "good among the accepted, %"};
  plot.height = 420;
  std::vector<std::pair<double, double>> points;
  double least = 1e300, most = 0;
  for (size_t i = 0; i < policies.size(); ++i) {
    const PolicyResult& policy = policies[i];
    const Estimate& cost = policy.calls_per_accepted;
    if (policy.precision.n == 0 || !std::isfinite(cost.value)) continue;
    const Proportion& good = policy.precision;
    const Point point{{cost.value, cost.low, std::isfinite(cost.high) ? cost.high : cost.value},
                      {100 * good.fraction, 100 * good.low, 100 * good.high},
                      4.5,
                      policy.short_name};
    plot.series.push_back({.css_class = css_class_of(i, policy), .points = {point}, .width = 0, .dots = true});
    points.emplace_back(cost.value, point.y.value);
    least = std::min(least, cost.value);
    most = std::max(most, cost.value);
  }
  if (points.empty()) return;
  plot.x.logarithmic = most > 8 * least;
  std::sort(points.begin(), points.end());
  Series frontier{.css_class = "c0", .width = 1.2, .dashed = true};
  double best = -1;
  for (const auto& [cost, quality] : points) {
    if (quality <= best) continue;
    best = quality;
    frontier.points.push_back({{cost}, {quality}});
  }
  plot.series.insert(plot.series.begin(), frontier);
  page.figure("", line_plot(plot),
              "Cost against the rule’s verdict. To the left is cheaper, up is better; whiskers are 95 % intervals "
              "(cost: bootstrap; "
              "quality: Wilson). The dashed line joins the policies that no other beats in both.");
}

void tables(const Material& material, Page& page) {
  Table cost, quality;
  cost.header = {"Policy",
                 "Trajectories",
                 "Accepted",
                 "Accepted of all",
                 "U-Net calls<br>per good accepted",
                 "Time that<br>judging took"};
  quality.header = {"Policy", "Good among accepted", "Good among discarded", "Against unguided"};
  const SamplingRun* unguided = unguided_run(material.runs);
  const Proportion base = unguided != nullptr ? yield_of(*unguided).good : Proportion{};
  for (const PolicyResult& policy : material.policies) {
    double judging = 0, seconds = 0;
    for (const SamplingRun* run : policy.runs) judging += run->totals.scorer_seconds, seconds += run->seconds;
    cost.rows.push_back({policy_cell(policy), count_text(policy.trajectories), accepted_cell(policy),
                         interval_cell(policy.acceptance), interval_cell(policy.calls_per_good),
                         percent(judging / seconds)});
    const Proportion& good = policy.precision;
    const bool judged = policy.guided() && base.n > 0 && good.n > 0;
    quality.rows.push_back({policy_cell(policy), interval_cell(good), interval_cell(policy.missed),
                            !judged                     ? "–"
                            : good.low > base.fraction  ? "<span class=\"yes\">higher</span>"
                            : good.high < base.fraction ? "<span class=\"no\">lower</span>"
                                                        : "not told apart"});
  }
  page.table(cost,
             "Every U-Net call and second counts, those of discarded trajectories too. “Accepted” by the judge, or "
             "finished where there is none; pictures equal in every pixel count once. Below each number its 95 % "
             "interval: of shares Wilson’s, of costs by the bootstrap over the units that the row names, "
             "seed by seed.");
  page.heading("Good among the accepted, by the metric rule");
  if (!material.rule.thresholds) {
    page.missing("No rule says which picture is good.", kMakeRule);
    return;
  }
  page.table(quality,
             "The rule is not the judge, but the judge may have learned its labels. “Good among discarded” is what a "
             "policy threw away wrongly, where its pictures were kept (<code>--keep-discarded</code>). “Higher” where "
             "the whole interval lies above the unguided share" +
                 (base.n > 0 ? " of " + percent(base.fraction) : std::string()) + ".");
}

void write_runs(const Material& material, Report& report) {
  const SamplingRun* unguided = unguided_run(material.runs);
  const Proportion base = unguided != nullptr ? yield_of(*unguided).good : Proportion{};
  report.json["policies"] = Json::array();
  for (const SamplingRun& run : material.runs.sampling) {
    const Yield yield = yield_of(run);
    const bool above = run.guided() && base.n > 0 && yield.good.low > base.fraction;
    report.json["policies"] += {{"run", run.place.name},
                                {"policy", run.policy},
                                {"sampler", run.sampler},
                                {"sample_steps", run.sample_steps},
                                {"trajectories", yield.trajectories},
                                {"accepted", yield.kept},
                                {"unet_calls", std::llround(yield.calls)},
                                {"seconds", yield.seconds},
                                {"unet_calls_per_accepted", yield.calls_per_kept},
                                {"seconds_per_accepted", yield.seconds_per_kept},
                                {"unet_calls_per_good", yield.calls_per_good},
                                {"seconds_per_good", yield.seconds_per_good},
                                {"scorer_seconds", run.totals.scorer_seconds},
                                {"precision", yield.good},
                                {"above_unguided", above}};
    const std::string note = policy_text(run);
    report.lines.push_back(concat_message("cost: ", run.place.name, " (", note, "): ", rounded(yield.calls_per_kept),
                                          " U-Net calls and ", rounded(yield.seconds_per_kept), " s per kept picture"));
    if (material.rule.thresholds && yield.good.n > 0) {
      report.lines.push_back(concat_message("precision: ", run.place.name, " (", note, "): ", share_text(yield.good),
                                            " kept pictures are good, 95 % interval ", interval_text(yield.good)));
    }
  }
}

void write_comparison(const Material& material, Json& json) {
  json["comparison"] = Json::array();
  for (const PolicyResult& policy : material.policies) {
    Json runs = Json::array();
    for (const SamplingRun* run : policy.runs) runs += run->place.name;
    json["comparison"] += {{"policy", policy.name},
                           {"runs", runs},
                           {"trajectories", policy.trajectories},
                           {"accepted", policy.accepted},
                           {"distinct", policy.distinct},
                           {"acceptance", policy.acceptance},
                           {"unet_calls_per_accepted", policy.calls_per_accepted},
                           {"unet_calls_per_accepted_unit", policy.unit()},
                           {"unet_calls_per_good", policy.calls_per_good},
                           {"seconds_per_accepted", policy.seconds_per_accepted},
                           {"good_among_accepted", policy.precision},
                           {"good_among_discarded", policy.missed}};
  }
}

}  // namespace

void cost_part(const Material& material, Report& report) {
  Page& page = report.page;
  page.heading("Cost and quality");
  write_runs(material, report);
  write_comparison(material, report.json);
  if (material.runs.sampling.empty()) {
    page.missing("There are no samples.", kMakeUnguided);
    return;
  }
  cost_quality_figure(material.policies, page);
  tables(material, page);
  if (guided_run(material.runs) == nullptr) page.missing("There is no run with a judge.", kMakeGuided);
}

}  // namespace echodiff
