// Did the network learn what the mask means: the grey of each organ, and the dark outside the sector.
#include <cmath>

#include "dreport/sections/sections.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

void show_run(const SamplingRun& run, const Adherence& adherence, Report& report) {
  Page& page = report.page;
  const double wanted = adherence.training_difference / 2;
  const std::string relation = adherence.training_difference < 0 ? "darker" : "brighter";
  const std::string claim = adherence.first + " " + relation + " than " + adherence.second;

  Table table;
  table.header = {"Mean grey, 0–255", "Samples", "Training pictures"};
  for (const PlaneLevel& level : adherence.levels) {
    table.rows.push_back({escape_html(level.plane), fixed(level.samples, 1), fixed(level.training, 1)});
  }
  table.rows.push_back({escape_html(adherence.first) + " − " + escape_html(adherence.second) +
                            "<small>where a picture has at least 8 pixels of both</small>",
                        fixed(adherence.sample_difference, 1), fixed(adherence.training_difference, 1)});
  table.rows.push_back({escape_html(claim) + "<small>by at least " + fixed(std::fabs(wanted), 1) +
                            " grey levels, half of the training pictures’ mean</small>",
                        share_text(adherence.samples) + "<small>95 %: " + interval_text(adherence.samples) + "</small>",
                        share_text(adherence.real) + "<small>all real pictures</small>"});
  const bool dark = adherence.outside_mean <= kOutsideLimit;
  if (adherence.has_sector) {
    table.rows.push_back({"outside the sector<small>at most 3 is dark</small>",
                          "<span class=\"" + std::string(dark ? "yes" : "no") + "\">" +
                              fixed(adherence.outside_mean, 2) + "</span><small>worst sample " +
                              fixed(adherence.outside_worst, 2) + "</small>",
                          fixed(adherence.outside_training, 2)});
  }
  page.heading(run.place.name + ": " + policy_text(run));
  page.table(table,
             concat_message("Over ", count_text(adherence.compared),
                            " samples whose mask is there. Grey is averaged over the mask’s own "
                            "pixels, so a sample that ignores its mask shows no difference between the organs."));

  report.lines.push_back(concat_message("adherence: ", share_text(adherence.samples), " samples of ", run.place.name,
                                        " have ", claim, " by at least ", fixed(std::fabs(wanted), 1),
                                        " grey levels (half of the training pictures' ",
                                        fixed(std::fabs(adherence.training_difference), 1), ")"));
  if (adherence.has_sector) {
    report.lines.push_back(concat_message("outside the sector: mean ", fixed(adherence.outside_mean, 2),
                                          " of 255 in samples of ", run.place.name,
                                          " (at most 3: ", dark ? "yes" : "no", ")"));
  }
  Json json{{"run", run.place.name},
            {"first", adherence.first},
            {"second", adherence.second},
            {"compared", adherence.compared},
            {"training_difference", adherence.training_difference},
            {"sample_difference", adherence.sample_difference},
            {"samples", adherence.samples},
            {"real", adherence.real},
            {"levels", Json::array()}};
  for (const PlaneLevel& level : adherence.levels)
    json["levels"] += {{"plane", level.plane}, {"samples", level.samples}, {"training", level.training}};
  if (adherence.has_sector) {
    json["outside_sector_mean"] = adherence.outside_mean;
    json["outside_sector_worst"] = adherence.outside_worst;
    json["outside_sector_dark"] = dark;
  }
  report.json["adherence"] += json;
}

}  // namespace

void anatomy_part(const Material& material, Report& report) {
  Page& page = report.page;
  report.json["adherence"] = Json::array();
  if (!material.real) {
    page.missing("Masks and training pictures are needed, and no data set was given.", "Add <code>--data DIR</code>.");
    return;
  }
  if (unguided_run(material.runs) == nullptr) {
    page.missing("There is no run without a judge.", kMakeUnguided);
    return;
  }
  for (const SamplingRun& run : material.runs.sampling) {
    if (run.guided()) continue;
    const PictureSet* masks = material.masks_of(run);
    if (masks == nullptr) continue;
    const std::optional<Adherence> adherence = adherence_of(run, *masks, *material.real);
    if (adherence && adherence->compared > 0) show_run(run, *adherence, report);
  }
  if (report.json["adherence"].empty()) {
    page.missing("The masks of the samples weren't found, or they name fewer than two organ planes.",
                 "Give the folder that <code>dsample --masks</code> used with <code>--masks DIR</code>; planes are "
                 "named in its dataset.json or by <code>--planes</code>.");
  }
}

}  // namespace echodiff
