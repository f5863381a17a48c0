// The pictures themselves: samples beside masks and real ones, good beside poor, without beside with the judge.
#include <set>

#include "dreport/sections/sections.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr size_t kMaskRows = 6, kPerVerdict = 12, kPerGrid = 25;

std::vector<Outline> outlines_of(const Example& example) {
  std::vector<Outline> outlines;
  for (size_t i = 0; i < example.planes.size(); ++i) {
    outlines.push_back({&example.planes[i], plane_class(i, example.planes.size())});
  }
  return outlines;
}

std::string plane_legend(const PictureSet& masks) {
  std::string out;
  const std::vector<std::string>& names = masks.dataset.plane_names;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i + 1 == names.size() && !masks.sector) continue;
    out += "<span><i class=\"key " + plane_class(i, names.size()) + "\"></i>" + escape_html(names[i]) + "</span> ";
  }
  return "<p class=\"legend\">" + out + "</p>";
}

std::string sample_alt(const Sample& sample) { return "Sample " + std::to_string(sample.index); }

std::string metrics_line(const Sample& sample) {
  if (!sample.metrics) return "";
  const std::string joint = " · ", space = "\u00a0";  // a letter stays with its number
  return "S" + space + rounded(sample.metrics->sharpness) + joint + "C" + space + rounded(sample.metrics->contrast) +
         joint + "N" + space + rounded(sample.metrics->noise);
}

// Fig. 3: a row per mask, with the real picture it was drawn on where there is one.
void conditioned_figure(const SamplingRun& run, const PictureSet& masks, Page& page) {
  std::vector<std::string> cells = {"Mask", "Sample", "Sample, mask drawn"};
  if (masks.pictures) cells.insert(cells.end(), {"Real picture of this mask", "Real, mask drawn"});
  const int64_t columns = int64_t(cells.size());
  for (std::string& head : cells) head = "<div class=\"head\">" + head + "</div>";
  std::set<std::string> shown;
  for (const Sample& sample : run.samples) {
    if (!sample.kept() || shown.size() == kMaskRows || shown.count(sample.mask) != 0) continue;
    const Example* example = masks.find(sample.mask);
    if (example == nullptr || example->planes.back().width != sample.image.width) continue;
    shown.insert(sample.mask);
    const std::vector<Outline> outlines = outlines_of(*example);
    cells.push_back(cell_html(mask_svg(example->planes, "Mask " + example->file)));
    cells.push_back(cell_html(picture_svg(sample.image, {}, sample_alt(sample))));
    cells.push_back(cell_html(picture_svg(sample.image, outlines, sample_alt(sample) + " with its mask")));
    if (!masks.pictures) continue;
    const std::string alt = "Real picture " + example->file;
    cells.push_back(cell_html(picture_svg(example->image, {}, alt)));
    cells.push_back(cell_html(picture_svg(example->image, outlines, alt + " with its mask")));
  }
  if (shown.empty()) {
    page.missing("The masks of these samples are not in the folder given.",
                 "Give the one that <code>dsample --masks</code> used with <code>--masks DIR</code>.");
    return;
  }
  page.figure(
      "Fig. 3", plane_legend(masks) + grid_html(cells, columns),
      concat_message("Conditioned samples of ", escape_html(run.place.name), " (", escape_html(policy_text(run)),
                     "): the first picture drawn for each of the first ", shown.size(), " masks, none picked by hand. ",
                     masks.pictures ? "The real picture is the one the mask was drawn on; a sample should share its "
                                      "anatomy and not its speckle. "
                                    : "",
                     "Pixels are enlarged without smoothing."));
}

void plain_samples_figure(const SamplingRun& run, Page& page) {
  std::vector<std::string> cells;
  for (const Sample& sample : run.samples) {
    if (sample.kept() && cells.size() < kPerVerdict) {
      cells.push_back(cell_html(picture_svg(sample.image, {}, sample_alt(sample))));
    }
  }
  page.figure("Fig. 3", grid_html(cells, 6),
              "The first samples of " + escape_html(run.place.name) + ", without masks.");
}

// Fig. 4: by verdict. `run` is the first one that has a picture of each kind, or the first at all.
void verdict_figure(const SamplingRun& run, const ReportRule& rule, Report& report) {
  std::vector<std::string> cells[2];
  int64_t counts[2] = {0, 0}, by_person = 0;
  for (const Sample& sample : run.samples) {
    if (!sample.metrics) continue;
    const size_t kind = sample.looks_good() ? 0 : 1;
    ++counts[kind];
    if (sample.label && sample.label_source == "person") ++by_person;
    if (cells[kind].size() < kPerVerdict) {
      cells[kind].push_back(cell_html(picture_svg(sample.image, {}, sample_alt(sample)), metrics_line(sample)));
    }
  }
  std::string body = "<div class=\"pair\">";
  for (size_t kind = 0; kind < 2; ++kind) {
    body += concat_message(
        "<div><p>", kind == 0 ? "Good" : "Poor", ": ", count_text(counts[kind]), "</p>",
        cells[kind].empty() ? std::string("<div class=\"empty\">none</div>") : grid_html(cells[kind], 4), "</div>");
  }
  std::string verdict = "Verdict by the metric rule: " + rule_text(*rule.thresholds);
  if (by_person > 0) verdict += "; for " + count_text(by_person) + " of them a person decided";
  report.page.figure("Fig. 4", body + "</div>",
                     concat_message("Good and poor samples of ", escape_html(run.place.name), ", the first ",
                                    kPerVerdict, " of each by index. ", escape_html(verdict),
                                    ". S: Laplacian variance (grey levels²), C: contrast, N: noise (grey levels)."));
  report.json["good_and_poor"] = {
      {"run", run.place.name}, {"good", counts[0]}, {"poor", counts[1]}, {"by_person", by_person}};
}

std::string kept_grid(const SamplingRun& run, bool ruled) {
  std::vector<std::string> cells;
  int64_t good = 0, measured = 0;
  for (const Sample& sample : run.samples) {
    if (!sample.kept() || cells.size() == kPerGrid) continue;
    cells.push_back(cell_html(picture_svg(sample.image, {}, sample_alt(sample))));
    if (!sample.good) continue;
    ++measured;
    if (*sample.good) ++good;
  }
  const std::string verdict = ruled && measured > 0 ? concat_message(": ", good, " of these ", measured, " good") : "";
  return concat_message(
      "<div><p>", run.guided() ? "With the judge" : "Without a judge", verdict, "</p>",
      cells.empty() ? std::string("<div class=\"empty\">no picture was kept</div>") : grid_html(cells, 5), "</div>");
}

}  // namespace

void samples_part(const Material& material, Report& report) {
  Page& page = report.page;
  page.heading("Samples");
  if (material.runs.sampling.empty()) {
    page.missing("There are no samples.", kMakeUnguided);
    return;
  }
  const SamplingRun* unguided = unguided_run(material.runs);
  const SamplingRun& run = unguided != nullptr ? *unguided : material.runs.sampling.front();
  if (const PictureSet* masks = material.masks_of(run)) {
    conditioned_figure(run, *masks, page);
  } else {
    page.missing("The masks these samples were drawn for weren't found.",
                 "Give the folder that <code>dsample --masks</code> used with <code>--masks DIR</code>.");
    plain_samples_figure(run, page);
  }
  page.heading("Good and poor samples");
  if (!material.rule.thresholds) {
    page.missing("No rule says which sample is good.", kMakeRule);
    return;
  }
  verdict_figure(run, material.rule, report);
}

void judge_part(const Material& material, Report& report) {
  Page& page = report.page;
  page.heading("Without and with the judge");
  const SamplingRun* unguided = unguided_run(material.runs);
  const SamplingRun* guided = guided_run(material.runs);
  if (unguided == nullptr) page.missing("There is no run without a judge.", kMakeUnguided);
  if (guided == nullptr) page.missing("There is no run with a judge.", kMakeGuided);
  if (unguided == nullptr && guided == nullptr) return;
  const bool ruled = material.rule.thresholds.has_value();
  std::string body = "<div class=\"pair\">", names;
  for (const SamplingRun* run : {unguided, guided}) {
    if (run == nullptr) continue;
    body += kept_grid(*run, ruled);
    names += (names.empty() ? "" : " and ") + escape_html(run->place.name + " (" + policy_text(*run) + ")");
  }
  page.figure("Fig. 6", body + "</div>",
              concat_message("The first ", kPerGrid, " kept pictures by index of ", names, "; none picked by hand",
                             ruled ? ". Good is by the metric rule, which is not the judge." : "."));
}

}  // namespace echodiff
