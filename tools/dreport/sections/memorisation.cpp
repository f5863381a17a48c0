// The pictures that are nearest to the training set, each beside its nearest training picture.
#include <cmath>
#include <filesystem>

#include "dreport/sections/sections.h"
#include "kernels/error.h"
#include "train/folder/fit.h"
#include "train/folder/listing.h"

namespace echodiff {
namespace fs = std::filesystem;
namespace {

constexpr size_t kPairsShown = 6;

// Pictures that aren't there any more are left out.
std::string pair_cell(const MemorisedPair& pair, const Evaluation& evaluation) {
  const std::string training = (fs::path(evaluation.data) / "images" / pair.training).string();
  if (!fs::exists(pair.file) || !fs::exists(training)) return "";
  const auto picture = [&](const std::string& file) {
    const GrayImage square = fit_area(read_picture(file), evaluation.image_size, parse_fit(evaluation.fit));
    return picture_svg(square, {}, fs::path(file).filename().string());
  };
  const bool copy = pair.distance < evaluation.copy_distance;
  return cell_html(
      "<div class=\"twins\">" + picture(pair.file) + picture(training) + "</div>",
      concat_message(escape_html(fs::path(pair.file).stem().string()), " | ", escape_html(pair.training),
                     copy ? "<br><span class=\"no\">copy</span>, distance " : "<br>distance ", rounded(pair.distance)));
}

}  // namespace

void memorisation_part(const Material& material, Report& report) {
  Page& page = report.page;
  report.json["memorisation"] = Json::array();
  for (const Evaluation& evaluation : material.runs.evaluations) {
    page.paragraph(concat_message(
        "Each picture beside its nearest training picture, by thumbnails at any brightness "
        "and contrast, mirrors counted. Nearer than ",
        rounded(evaluation.copy_distance), ", as one in a hundred held-out real pictures is, counts as a copy."));
    for (const EvaluatedRun& run : evaluation.runs) {
      Json distances = Json::array();
      std::vector<std::string> cells;
      for (const MemorisedPair& pair : run.pairs) {
        distances += pair.distance;
        if (cells.size() == kPairsShown) continue;
        if (const std::string cell = pair_cell(pair, evaluation); !cell.empty()) cells.push_back(cell);
      }
      report.json["memorisation"] += {{"run", name_of(run)}, {"distances", distances}};
      page.heading(name_of(run));
      if (cells.empty()) {
        page.missing("The pictures that evaluation.json names are not there.",
                     "Run <code>dlabel evaluate</code> again where they are.");
        continue;
      }
      page.figure("", grid_html(cells, 6),
                  concat_message("The nearest ", cells.size(), " of ", count_text(run.n), ", nearest first. Copies: ",
                                 share_text(run.copies), ", 95 % interval ", interval_text(run.copies), "."));
    }
  }
  if (material.runs.evaluations.empty())
    page.missing("No evaluation.json compares samples with the training pictures.",
                 "Make it with <code>dlabel evaluate --samples RUN --data DATA --features SCORER --out "
                 "OUT/evaluation.json</code> and add OUT to <code>--runs</code>.");
}

}  // namespace echodiff
