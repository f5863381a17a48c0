#include "quality/labels/review_page.h"

#include <zlib.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "quality/labels/review_page_html.h"
#include "tensor/io/png.h"
#include "tensor/io/text.h"
#include "train/folder/listing.h"

namespace echodiff {
namespace {

std::string describe(const Thresholds& t) {
  char taus[160];
  std::snprintf(taus, sizeof taus, "sharpness %.4g, contrast %.4g, noise %.4g", t.tau_sharpness, t.tau_contrast,
                t.tau_noise);
  switch (t.rule) {
    case Rule::kText:
      return "Labelled good when below sharpness and noise, and above contrast, of: " + std::string(taus) + ".";
    case Rule::kEq4:
      return "Labelled good when at least at sharpness and contrast, and at most at noise, of: " + std::string(taus) +
             ".";
    case Rule::kBand: return "Labelled good when all three metrics lie within the bands of good pictures.";
  }
  return "";
}

// The values at which each gate of the rule lies, for the page's tracks; null for a band's open end.
nlohmann::json gates_of(const Thresholds& t) {
  if (t.rule == Rule::kBand) {
    return {{"sharpness", {t.sharpness.low, t.sharpness.high}},
            {"contrast", {t.contrast.low, t.contrast.high}},
            {"noise", {t.noise.low, t.noise.high}}};
  }
  const auto one = [](double tau) { return nlohmann::json::array({tau}); };
  return {{"sharpness", one(t.tau_sharpness)}, {"contrast", one(t.tau_contrast)}, {"noise", one(t.tau_noise)}};
}

}  // namespace

std::string review_page(const Labels& labels) {
  check_input(!labels.images.empty(), Fault::kBadInput, "review: the labels file names no picture");
  nlohmann::json data;
  data["intro"] = describe(labels.thresholds) +
                  " The gates let empty, textureless sectors pass: judge by eye whether the anatomy is readable.";
  data["gates"] = gates_of(labels.thresholds);
  data["images"] = nlohmann::json::array();
  for (const LabelledImage& image : labels.images) {
    data["images"].push_back({{"file", image.file},
                              {"label", image.good ? "good" : "poor"},
                              {"source", image.source},
                              {"origin", image.origin},
                              {"sharpness", image.metrics.sharpness},
                              {"contrast", image.metrics.contrast},
                              {"noise", image.metrics.noise},
                              {"png", base64(encode_png(read_picture(image.path)))}});
  }
  // Verdicts belong to this content: a file of other pictures, rule or labels begins anew.
  const std::string text = labels_text(labels);
  data["id"] = std::to_string(text.size()) + "-" +
               std::to_string(crc32(0, reinterpret_cast<const Bytef*>(text.data()), uInt(text.size())));
  std::string json;
  // No "</script>" can appear inside the data.
  for (const char c : data.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace))
    json += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return kReviewPageHead + json + kReviewPageTail;
}

}  // namespace echodiff
