// Fig. 7: the judge's score against the reverse step.
#include <algorithm>
#include <map>

#include "dreport/page/plot.h"
#include "dreport/sections/sections.h"
#include "kernels/error.h"
#include "quality/statistics/estimates.h"

namespace echodiff {
namespace {

constexpr size_t kLinesPerGroup = 40, kFewestForMedian = 3, kMostPlots = 8;

struct Group {
  std::string name, css_class;
  std::vector<const Sample*> samples;
};

// Accepted against discarded; where no judge decided, good against poor by the rule.
std::vector<Group> groups_of(const SamplingRun& run, bool ruled) {
  std::vector<Group> groups;
  if (run.guided()) {
    groups = {{"accepted", "c1", {}}, {"discarded", "c2", {}}};
  } else if (ruled) {
    groups = {{"finished good", "c1", {}}, {"finished poor", "c2", {}}};
  } else {
    groups = {{"finished", "c1", {}}};
  }
  for (const Sample& sample : run.samples) {
    if (sample.scores.empty()) continue;
    const bool succeeds = run.guided() ? sample.kept() : !ruled || sample.looks_good();
    groups[succeeds ? 0 : 1].samples.push_back(&sample);
  }
  return groups;
}

Series median_line(const Group& group) {
  std::map<double, std::vector<double>, std::greater<>> by_t;
  for (const Sample* sample : group.samples) {
    for (const auto& [t, score] : sample->scores) by_t[t].push_back(score);
  }
  Series median{.name = group.name + " (" + count_text(int64_t(group.samples.size())) + "), median",
                .css_class = group.css_class,
                .width = 3};
  for (auto& [t, scores] : by_t)
    if (scores.size() >= kFewestForMedian) median.points.push_back({{t}, {median_of(scores)}});
  return median;
}

// Runs beside each other have one scale: from t = first to 0.
std::string run_plot(const SamplingRun& run, bool ruled, double first, Report& report) {
  LinePlot plot;
  plot.x = {.label = "reverse step t (sampling runs from left to right)", .low = first, .high = 0};
  plot.y = {.label = "score", .low = 0, .high = 1.02};
  plot.width = 480, plot.height = 300;
  std::vector<Series> medians;
  Json groups = Json::array();
  for (const Group& group : groups_of(run, ruled)) {
    if (group.samples.empty()) continue;
    Series ends{.css_class = group.css_class, .width = 0, .dots = true};
    for (size_t i = 0; i < group.samples.size() && i < kLinesPerGroup; ++i) {
      Series& line = plot.series.emplace_back(Series{.css_class = group.css_class, .width = 1, .opacity = 0.4});
      for (const auto& [t, score] : group.samples[i]->scores) {
        line.points.push_back({{double(t)}, {score}});
      }
      ends.points.push_back(line.points.back());
    }
    plot.series.push_back(ends);
    medians.push_back(median_line(group));
    Json median = Json::array();
    for (const Point& point : medians.back().points) median += {point.x.value, point.y.value};
    groups += {{"name", group.name}, {"trajectories", group.samples.size()}, {"median", median}};
  }
  report.json["scores"] += {{"run", run.place.name}, {"groups", groups}};
  plot.series.insert(plot.series.end(), medians.begin(), medians.end());
  if (run.tau >= 0 && run.tau <= 1) plot.levels.push_back({run.tau, "τ = " + fixed(run.tau, 2)});
  return concat_message("<h4>", escape_html(run.place.name), " <small>", escape_html(policy_text(run)), "</small></h4>",
                        line_plot(plot));
}

}  // namespace

void scores_part(const Material& material, Report& report) {
  report.page.heading("Score against reverse step");
  report.json["scores"] = Json::array();
  std::vector<const SamplingRun*> shown;
  double first = 0;
  // Guided runs first: theirs is the paper's figure.
  for (const bool guided : {true, false}) {
    for (const SamplingRun& run : material.runs.sampling) {
      double start = 0;
      for (const Sample& sample : run.samples)
        if (sample.scores.size() > 1)
          for (const auto& [t, score] : sample.scores) start = std::max(start, double(t));
      if (run.guided() != guided || start == 0 || shown.size() == kMostPlots) continue;
      shown.push_back(&run);
      first = std::max(first, start);
    }
  }
  std::vector<std::string> plots;
  for (const SamplingRun* run : shown)
    plots.push_back(run_plot(*run, material.rule.thresholds.has_value(), first, report));
  if (!plots.empty()) {
    report.page.figure(
        "Fig. 7", multiples_html(plots),
        concat_message("Score against reverse step, up to ", kLinesPerGroup,
                       " trajectories of each kind; a dot ends each where it was decided. Thick: median of the "
                       "trajectories still running at t, where at least ",
                       kFewestForMedian, " are."));
    return;
  }
  report.page.missing("No run scored its trajectories at more than one step.",
                      "Make one with <code>dsample --model RUN --masks DATA --count 64 --policy paper --scorer SCORER "
                      "--out OUT</code> and add OUT to <code>--runs</code>.");
}

}  // namespace echodiff
