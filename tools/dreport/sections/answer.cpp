// The first screen: what was tried, the answer in three numbers, cost against nearness to real pictures, and samples
// beside real ones.
#include <algorithm>
#include <cmath>
#include <set>

#include "dreport/page/plot.h"
#include "dreport/sections/sections.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

// A number as the first screen shows it: what it is, its interval, and what it is to be held against.
struct Tile {
  std::string label, number, interval, note;
};

std::string tile_html(const Tile& tile) {
  const std::string interval = tile.interval.empty() ? "" : " <small>" + tile.interval + "</small>";
  return concat_message("<div class=\"tile\"><p>", tile.label, "</p><p class=\"number\">", tile.number, interval,
                        "</p><p>", tile.note, "</p></div>");
}

Json json_of(const Tile& tile) {
  return {{"label", tile.label}, {"number", tile.number}, {"interval", tile.interval}, {"note", tile.note}};
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) text += (i == 0 ? "" : i + 1 < words.size() ? ", " : " and ") + words[i];
  return text;
}

// "A network drew pictures of 64x64 pixels in 5 steps of unipc; of those, posthoc and probe chose." One sentence.
std::string tried(const Material& material) {
  const RunSet& runs = material.runs;
  std::string network = "A network";
  if (!runs.diffusion.empty() && !runs.diffusion.front().train_loss.step.empty())
    network += concat_message(" trained for ", whole_text(runs.diffusion.front().train_loss.step.back()), " steps",
                              std::isfinite(runs.diffusion.front().seconds)
                                  ? " (" + duration_text(runs.diffusion.front().seconds) + ")"
                                  : "");
  if (runs.sampling.empty()) return runs.diffusion.empty() ? "" : network + "; nothing was sampled from it yet.";
  const SamplingRun& first = runs.sampling.front();
  std::set<std::string> masks;
  int64_t trajectories = 0, size = 0;
  for (const SamplingRun& run : runs.sampling) {
    trajectories += int64_t(run.samples.size());
    for (const Sample& sample : run.samples) masks.insert(sample.mask), size = std::max(size, sample.image.width);
  }
  std::string text = network + " drew " + count_text(trajectories) + " pictures";
  if (size > 0) text += concat_message(" of ", size, "×", size, " pixels");
  if (masks.size() > 1) text += concat_message(" for ", masks.size(), " masks");
  if (first.sample_steps > 0) text += concat_message(" in ", first.sample_steps, " steps of ", first.sampler);
  std::vector<std::string> judges;
  for (const PolicyResult& policy : material.policies)
    if (policy.guided()) judges.push_back(policy.short_name);
  if (judges.empty()) return text + ", without a judge.";
  return text + "; " + joined(judges) + (judges.size() == 1 ? " chose among them." : " each chose among theirs.");
}

// Of the policies with a judge that kept pictures, the one that pays the fewest calls; without any, the first of all.
const PolicyResult* shown_policy(const std::vector<PolicyResult>& policies) {
  const PolicyResult* best = cheapest(policies, [](const PolicyResult& policy) { return policy.guided(); });
  if (best != nullptr && std::isfinite(best->calls_per_kept.value)) return best;
  const auto first = std::find_if(policies.begin(), policies.end(), is_live);
  return first == policies.end() ? nullptr : &*first;
}

Tile yield_tile(const PolicyResult& shown, const PolicyResult* baseline) {
  const Estimate& cost = shown.calls_per_kept;
  Tile tile{"Accepted pictures per 100 network calls", rounded(100 / cost.value), "", escape_html(shown.short_name)};
  if (std::isfinite(cost.low))
    tile.interval = rounded(std::isfinite(cost.high) ? 100 / cost.high : 0) + "–" + rounded(100 / cost.low);
  if (!shown.guided()) tile.note += ": every finished picture is kept";
  if (baseline != nullptr && baseline != &shown && std::isfinite(baseline->calls_per_kept.value))
    tile.note += concat_message("; ", rounded(100 / baseline->calls_per_kept.value), " by ",
                                escape_html(baseline->short_name), ", which finishes every picture");
  return tile;
}

Tile nearness_tile(const Material& material, const PolicyResult& shown) {
  const auto [evaluation, run] = evaluated(shown, material.runs.evaluations);
  if (run != nullptr && std::isfinite(run->kid.value)) {
    Tile tile{"Distance from real pictures (KID; 0: none)", fixed(run->kid.value, 2),
              fixed(run->kid.low, 2) + " to " + fixed(run->kid.high, 2), escape_html(shown.short_name)};
    if (std::isfinite(evaluation->real.kid.value))
      tile.note += "; real training pictures have " + fixed(evaluation->real.kid.value, 2);
    for (const PolicyResult& other : material.policies) {
      const EvaluatedPolicy theirs = evaluated(other, material.runs.evaluations);
      if (!other.guided() && theirs.evaluation == evaluation && theirs.run != run)
        tile.note += ", what no judge chose " + fixed(theirs.run->kid.value, 2);
    }
    return tile;
  }
  Tile tile{"Good by the metric rule", percent(shown.precision.fraction), interval_text(shown.precision),
            escape_html(shown.short_name)};
  if (shown.precision.n == 0)
    tile = {"Good by the metric rule", "–", "",
            shown.accepted == 0 ? "no picture was kept" : "no rule says which sample is good"};
  return {tile.label, tile.number, tile.interval, tile.note + "; nearness to real pictures was not measured"};
}

// Dice on real test pictures of segmenters that learned from samples too, else how well samples show their masks.
Tile use_tile(const Material& material, const PolicyResult& shown) {
  const SegmenterGroup *with = nullptr, *real = nullptr;
  for (const SegmenterGroup& group : material.runs.segmenters) {
    if (group.samples.empty()) real = &group;
    if (!group.samples.empty() && (with == nullptr || group.guided)) with = &group;
  }
  if (with != nullptr && real != nullptr)
    return {"Use: Dice of a segmenter trained with samples", rounded(with->dice.value), interval_text(with->dice),
            concat_message("with those of ", escape_html(with->samples), "; ", rounded(real->dice.value), " (",
                           interval_text(real->dice), ") on real pictures alone")};
  const auto [evaluation, run] = evaluated(shown, material.runs.evaluations);
  if (run != nullptr && std::isfinite(run->agreement.mean.value))
    return {"Shows its mask (Dice of a segmenter)", rounded(run->agreement.mean.value),
            interval_text(run->agreement.mean),
            concat_message(escape_html(shown.short_name), "; held-out real pictures have ",
                           rounded(evaluation->held_out_agreement.mean.value))};
  const SamplingRun* unguided = unguided_run(material.runs);
  const PictureSet* masks = unguided != nullptr ? material.masks_of(*unguided) : nullptr;
  if (masks != nullptr && material.real)
    if (const auto adherence = adherence_of(*unguided, *masks, *material.real); adherence && adherence->samples.n > 0)
      return {"Shows its mask", percent(adherence->samples.fraction), interval_text(adherence->samples),
              concat_message(escape_html(adherence->first), " against ", escape_html(adherence->second),
                             " as in real pictures; without a judge")};
  return {"Shows its mask", "–", "", "not measured: <code>dlabel evaluate --segmenter</code>"};
}

// Cost to the right, distance from real pictures upwards; by the rule's share of poor ones where no KID was measured.
void chart(const Material& material, std::string& html) {
  LinePlot plot;
  plot.x = {.label = "network calls per accepted picture"};
  plot.width = 600, plot.height = 330;
  bool measured = false;
  for (const PolicyResult& policy : material.policies)
    measured = measured || evaluated(policy, material.runs.evaluations).run != nullptr;
  plot.y = {.label = measured ? "KID, distance from real" : "poor among the accepted, %"};
  double least = 1e300, most = 0;
  for (size_t i = 0; i < material.policies.size(); ++i) {
    const PolicyResult& policy = material.policies[i];
    const EvaluatedRun* run = evaluated(policy, material.runs.evaluations).run;
    Estimate cost = policy.calls_per_kept, y;
    const Proportion& good = policy.precision;
    if (measured && run != nullptr) y = run->kid;
    if (!measured && good.n > 0) y = {100 * (1 - good.fraction), 100 * (1 - good.high), 100 * (1 - good.low)};
    if (!std::isfinite(cost.value) || !std::isfinite(y.value)) continue;
    if (!std::isfinite(cost.high)) cost.high = cost.value;
    plot.series.push_back({.css_class = policy.guided() ? concat_message("c", 1 + i % 5) : "c0",
                           .points = {{cost, y, 4.5, policy.short_name}},
                           .width = 0,
                           .dots = true});
    least = std::min(least, cost.value), most = std::max(most, cost.value);
  }
  if (plot.series.empty()) return;
  plot.x.logarithmic = most > 8 * least;
  if (measured && std::isfinite(material.runs.evaluations.front().real.kid.value))
    plot.levels.push_back({material.runs.evaluations.front().real.kid.value, "real training pictures"});
  html += "<figure>" + line_plot(plot) + "<figcaption>Each policy: what an accepted picture costs, and " +
          (measured ? "how far the accepted ones are from real pictures"
                    : "how many of the accepted are poor by the metric rule") +
          ". Towards the lower left is better; whiskers are 95 % intervals.</figcaption></figure>";
}

// Samples above real pictures of the same masks, or of the first ones; at full size, small ones enlarged.
void strip(const Material& material, const PolicyResult& shown, std::string& html) {
  std::vector<std::string> samples, real;
  std::set<std::string> seen;
  int64_t side = 0;
  for (const SamplingRun* run : shown.runs) {
    const PictureSet* masks = material.masks_of(*run);
    for (const Sample& sample : run->samples) {
      if (!sample.kept() || sample.image.pixels.empty() || !seen.insert(sample.mask).second) continue;
      if (samples.size() == (side > 128 ? 2 : 3)) break;
      side = sample.image.width;
      samples.push_back(picture_svg(sample.image, {}, "Sample " + std::to_string(sample.index)));
      const Example* example = masks != nullptr && masks->pictures ? masks->find(sample.mask) : nullptr;
      if (example != nullptr) real.push_back(picture_svg(example->image, {}, "Real picture " + example->file));
    }
  }
  if (samples.empty()) return;
  const bool same_masks = real.size() == samples.size();
  if (!same_masks) real.clear();
  if (!same_masks && material.real)
    for (const Example& example : material.real->dataset.examples)
      if (real.size() < samples.size()) real.push_back(picture_svg(example.image, {}, "Real picture " + example.file));
  const int64_t shown_side = side * std::max<int64_t>(1, (128 + side / 2) / side);
  html +=
      concat_message("<div class=\"strip\" style=\"grid-template-columns:repeat(", samples.size(), ",minmax(0,",
                     shown_side, "px))\"><p>Samples, ", escape_html(shown.short_name), ": the first of each mask</p>");
  for (const std::string& picture : samples) html += picture;
  if (!real.empty()) html += same_masks ? "<p>Real pictures of these masks</p>" : "<p>Real pictures</p>";
  for (const std::string& picture : real) html += picture;
  html += "</div>";
}

// Whether the page shows pictures of an import that nobody has looked through.
bool shows_unreviewed(const Material& material) {
  const auto unreviewed = [](const PictureSet& set) { return set.pictures && !set.dataset.reviewed; };
  bool any = material.real && unreviewed(*material.real);
  for (const auto& [folder, set] : material.masks) any = any || unreviewed(set);
  return any;
}

void show_answer(const Material& material, const PolicyResult& shown, Page& page, Json& json) {
  page.front("<div class=\"tiles\">");
  json["numbers"] = Json::array();
  for (const Tile& tile :
       {yield_tile(shown, baseline_of(material.policies)), nearness_tile(material, shown), use_tile(material, shown)}) {
    page.front(tile_html(tile));
    json["numbers"] += json_of(tile);
  }
  std::string first;
  chart(material, first);
  strip(material, shown, first);
  page.front("</div>\n<div class=\"first\">" + first + "</div>\n");
}

}  // namespace

void answer_section(const Material& material, Report& report) {
  Page& page = report.page;
  Json json = Json::object();
  if (const std::string sentence = tried(material); !sentence.empty()) {
    page.front("<p class=\"tried\">" + escape_html(sentence) + "</p>\n");
    json["tried"] = sentence;
  }
  if (const std::string verdict = verdict_of(material.policies); !verdict.empty()) {
    page.front("<p class=\"verdict\">" + escape_html(verdict) + "</p>\n");
    report.json["verdict"] = verdict;
    report.lines.push_back(verdict);
  }
  if (shows_unreviewed(material)) {
    page.front(
        "<p class=\"verdict no\">Real pictures here may hold patients’ names: nobody has looked for them. See dimport "
        "reviewed.</p>\n");
    report.json["unreviewed"] = true;
  }
  const PolicyResult* shown = shown_policy(material.policies);
  if (shown != nullptr) show_answer(material, *shown, page, json);
  report.json["answer"] = json;
}

}  // namespace echodiff
