// What judges know on the way: AUROC over t beside the ceiling, and reliability by bins of t.
#include <algorithm>
#include <cmath>

#include "dreport/page/plot.h"
#include "dreport/sections/sections.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

// From T - 1 on the left to the finished picture at -1, as sampling runs.
LinePlot time_plot(const RunSet& runs, const std::string& what) {
  LinePlot plot;
  int64_t last = 1;
  for (const TimedJudge& judge : runs.judges)
    for (const AurocAtTime& at : judge.auroc) last = std::max(last, at.t);
  for (const Ceiling& ceiling : runs.ceilings)
    for (const Ceiling::Look& look : ceiling.looks) last = std::max(last, look.t);
  plot.x = {.label = "reverse step t (0-based; sampling runs from left to right; −1: the finished picture)",
            .low = 1.02 * double(last),
            .high = -0.02 * double(last) - 1};
  plot.y = {.label = what};
  plot.levels = {{0.5, "chance"}};
  return plot;
}

// "value, on x0hat (recording)"
std::string name_of(const TimedJudge& judge) {
  return judge.name + (judge.on.empty() ? "" : ", on " + judge.on) +
         (judge.folder == judge.name ? "" : " (" + judge.folder + ")");
}

Series judge_series(const TimedJudge& judge, size_t place, Estimate AurocAtTime::*member) {
  Series series{.name = name_of(judge), .css_class = concat_message("c", 1 + place % 5), .dots = true};
  for (const AurocAtTime& at : judge.auroc) series.points.push_back({{double(at.t)}, at.*member});
  return series;
}

Series ceiling_series(const Ceiling& ceiling, double Ceiling::Look::*member, const std::string& end) {
  Series series{.name = concat_message(ceiling.name, ", ", end, " (", ceiling.steps, " steps)"),
                .css_class = "c0",
                .dashed = true};
  for (const Ceiling::Look& look : ceiling.looks) series.points.push_back({{double(look.t)}, {look.*member}});
  return series;
}

void auroc_figures(const RunSet& runs, Page& page) {
  LinePlot all = time_plot(runs, "AUROC of the finished picture’s label"),
           within = time_plot(runs, "AUROC within masks");
  for (size_t i = 0; i < runs.judges.size(); ++i) {
    all.series.push_back(judge_series(runs.judges[i], i, &AurocAtTime::all));
    within.series.push_back(judge_series(runs.judges[i], i, &AurocAtTime::within));
  }
  for (const Ceiling& ceiling : runs.ceilings) {
    all.series.push_back(ceiling_series(ceiling, &Ceiling::Look::lower, "lower bound"));
    all.series.push_back(ceiling_series(ceiling, &Ceiling::Look::upper, "upper bound"));
  }
  page.figure(
      "", line_plot(all),
      concat_message("How well a judge knows at t whether the finished picture will be good, on held-out "
                     "trajectories of a value model, or on a recording whose masks a judge may know. Whiskers: 95 % "
                     "intervals, whole masks resampled.",
                     runs.ceilings.empty() ? ""
                                           : " Dashed, the ceiling: a judge that knows the state and the network "
                                             "but not the noise to come, by branching that noise."));
  if (runs.judges.empty()) return;
  page.figure(
      "", line_plot(within),
      "The same over pairs of trajectories of one mask only: a judge that merely knows good masks from poor ones "
      "has 0.5 here.");
}

std::string span_text(const TimeBin& span) {
  const std::string when = span.t_low < 0 ? "finished" : concat_message("t ", span.t_low, "–", span.t_high);
  return concat_message(when, ", ", count_text(span.frames), " pictures, calibration error ",
                        fixed(span.reliability.ece, 3));
}

void reliability_figure(const TimedJudge& judge, Page& page) {
  std::vector<std::string> cells;
  for (const TimeBin& span : judge.calibration)
    cells.push_back(cell_html(calibration_plot(span.reliability.bins, 280), span_text(span)));
  if (cells.empty()) return;
  page.figure("", grid_html(cells, 3),
              concat_message("Reliability of ", escape_html(name_of(judge)),
                             " by bins of t: of the trajectories it gives the score s, which fraction ends good? "
                             "Whiskers: 95 % intervals, whole masks resampled."));
}

void write(const RunSet& runs, Json& json) {
  json["auroc_over_t"] = Json::array();
  for (const TimedJudge& judge : runs.judges) {
    Json rows = Json::array(), spans = Json::array();
    for (const AurocAtTime& at : judge.auroc)
      rows += {{"t", at.t},         {"good", at.good}, {"poor", at.poor},
               {"masks", at.masks}, {"all", at.all},   {"within_masks", at.within}};
    for (const TimeBin& span : judge.calibration)
      spans += {{"t_low", span.t_low},
                {"t_high", span.t_high},
                {"frames", span.frames},
                {"brier", span.reliability.brier},
                {"ece", span.reliability.ece}};
    json["auroc_over_t"] += {{"judge", judge.name}, {"folder", judge.folder}, {"rows", rows}, {"calibration", spans}};
  }
  json["ceilings"] = Json::array();
  for (const Ceiling& ceiling : runs.ceilings) {
    Json looks = Json::array();
    for (const Ceiling::Look& look : ceiling.looks)
      looks += {{"calls", look.calls}, {"t", look.t}, {"lower", look.lower}, {"upper", look.upper}};
    json["ceilings"] +=
        {{"name", ceiling.name}, {"states", ceiling.states}, {"branches", ceiling.branches}, {"looks", looks}};
  }
}

}  // namespace

void timed_judges_part(const Material& material, Report& report) {
  const RunSet& runs = material.runs;
  report.page.heading("What judges know on the way");
  write(runs, report.json);
  if (runs.judges.empty())
    report.page.missing("No judge was measured by t.",
                        "Make it with <code>dtrain value --recordings REC --out RUN</code> and add RUN to "
                        "<code>--runs</code>.");
  if (runs.judges.empty() && runs.ceilings.empty()) return;
  auroc_figures(runs, report.page);
  for (const TimedJudge& judge : runs.judges) reliability_figure(judge, report.page);
}

}  // namespace echodiff
