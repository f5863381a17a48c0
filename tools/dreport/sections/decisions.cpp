// When and why trajectories were decided, and the pictures themselves: accepted, discarded, wrongly judged.
#include <algorithm>
#include <cmath>
#include <map>

#include "dreport/page/plot.h"
#include "dreport/sections/sections.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr int64_t kBins = 24;
constexpr size_t kPerGallery = 18;

std::string in_words(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

// Decisions of one policy over t, T - 1 on the left as sampling runs, and those made on the finished picture.
std::string decisions_plot(const PolicyResult& policy, Report& report) {
  int64_t T = 1;  // as summary.json says; the latest decision where it doesn't
  for (const SamplingRun* run : policy.runs) {
    T = std::max(T, run->T);
    for (const Sample& sample : run->samples) T = std::max(T, sample.halted_t.value_or(0) + 1);
  }
  Histogram histogram;
  histogram.x_label = "reverse step t (sampling runs from left to right)";
  histogram.width = 480, histogram.height = 260;
  histogram.y_label = "trajectories";
  histogram.last = "at the end";
  for (int64_t i = 0; i <= kBins; ++i) histogram.edges.push_back(double(T) * double(kBins - i) / double(kBins));
  std::map<std::string, Stack> stacks;  // by decision and reason: the accepted ones first
  for (const SamplingRun* run : policy.runs) {
    for (const Sample& sample : run->samples) {
      Stack& stack = stacks[sample.decision + ": " + in_words(sample.reason)];
      stack.count.resize(size_t(kBins) + 1);
      const int64_t bin = sample.halted_t ? kBins - 1 - *sample.halted_t * kBins / T : kBins;
      stack.count[size_t(bin)] += 1;
    }
  }
  Json reasons = Json::array();
  size_t place = 1;
  for (auto& [name, stack] : stacks) {
    stack.name = name;
    stack.css_class = concat_message("c", place++ % 6);
    double total = 0, early = 0;
    for (size_t bin = 0; bin < stack.count.size(); ++bin) {
      total += stack.count[bin];
      if (bin < size_t(kBins)) early += stack.count[bin];
    }
    reasons += {{"reason", name}, {"trajectories", total}, {"before_the_end", early}, {"by_t", stack.count}};
    stack.name += concat_message(" (", int64_t(total), ")");
    histogram.stacks.push_back(stack);
  }
  report.json["decisions"] += {{"policy", policy.name}, {"reasons", reasons}};
  return "<h4>" + escape_html(policy.short_name) + "</h4>" + histogram_plot(histogram);
}

// Which one (and of which of several runs), its score, its metrics, and why it was discarded.
std::string caption_of(const Sample& sample, const SamplingRun& run, bool several) {
  std::string text = several ? escape_html(run.place.name) + " " : std::string();
  text += concat_message("#", sample.index);
  if (sample.final_score) text += " · score\u00a0" + fixed(*sample.final_score, 2);
  if (sample.metrics) {
    text += "<br>S\u00a0" + rounded(sample.metrics->sharpness) + " C\u00a0" + rounded(sample.metrics->contrast) +
            " N\u00a0" + rounded(sample.metrics->noise);
  }
  if (!sample.kept()) text += "<br>" + escape_html(in_words(sample.reason));
  return text;
}

struct Gallery {
  std::string title;
  bool kept;
  std::optional<bool> good;  // by the rule or a person's label; not asked where absent
};

// Returns how many such pictures there are.
int64_t show_gallery(const Gallery& gallery, const PolicyResult& policy, Page& page) {
  std::vector<std::string> cells;
  int64_t found = 0;
  for (const SamplingRun* run : policy.runs) {
    for (const Sample& sample : run->samples) {
      if (sample.image.pixels.empty() || sample.kept() != gallery.kept) continue;
      if (gallery.good && (!sample.metrics || sample.looks_good() != *gallery.good)) continue;
      ++found;
      if (cells.size() == kPerGallery) continue;
      const std::string alt = concat_message(gallery.title, " sample ", sample.index);
      cells.push_back(cell_html(picture_svg(sample.image, {}, alt), caption_of(sample, *run, policy.runs.size() > 1)));
    }
  }
  if (cells.empty()) return 0;
  page.figure("", grid_html(cells, 6),
              concat_message("<b>", gallery.title, "</b> by ", escape_html(policy.name), ": the first ", cells.size(),
                             " of ", count_text(found), " by index, none picked by hand."));
  return found;
}

}  // namespace

void decisions_part(const Material& material, Report& report) {
  Page& page = report.page;
  page.heading("Decisions");
  report.json["decisions"] = Json::array();
  std::vector<std::string> plots;
  for (const PolicyResult& policy : material.policies)
    if (policy.guided()) plots.push_back(decisions_plot(policy, report));
  if (!plots.empty())
    page.figure("", multiples_html(plots),
                "When trajectories were decided, by reason. The bar on the right holds those that ran to their end and "
                "were decided on the finished picture.");
  if (plots.empty()) page.missing("There is no run with a judge.", kMakeGuided);
}

void galleries_part(const Material& material, Report& report) {
  Page& page = report.page;
  page.heading("Accepted, discarded, and wrongly judged");
  report.json["galleries"] = Json::array();
  const SamplingRun* shown = guided_run(material.runs);
  for (const PolicyResult& policy : material.policies) {
    if (std::find(policy.runs.begin(), policy.runs.end(), shown) == policy.runs.end()) continue;
    const bool ruled = material.rule.thresholds.has_value();
    show_gallery({"Accepted", true, std::nullopt}, policy, page);
    if (show_gallery({"Discarded", false, std::nullopt}, policy, page) == 0) {
      page.missing("No discarded picture was kept.", "Sample with <code>--keep-discarded</code>.");
    }
    if (!ruled) {
      page.missing("No rule says which picture was wrongly judged.", kMakeRule);
      continue;
    }
    const int64_t accepted = show_gallery({"Accepted, but poor", true, false}, policy, page);
    const int64_t discarded = show_gallery({"Discarded, but good", false, true}, policy, page);
    page.paragraph(
        "Poor and good are by the metric rule, or by a person’s label where labels.jsonl has one. A discarded "
        "picture is the predicted clean image where its trajectory stopped: a blurred one, on which the "
        "metrics read low noise and low sharpness.");
    report.json["galleries"] +=
        {{"policy", policy.name}, {"accepted_but_poor", accepted}, {"discarded_but_good", discarded}};
  }
  if (shown == nullptr) page.missing("There is no run with a judge.", kMakeGuided);
}

}  // namespace echodiff
