#include "quality/labels/thresholds.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "quality/statistics/estimates.h"
#include "tensor/io/file.h"
#include "tensor/io/json.h"

namespace echodiff {
namespace {

constexpr const char* kKernel = "laplacian4";
constexpr const char* kBorder = "reflect101";
constexpr const char* kRules[] = {"text", "eq4", "band"};  // by Rule

bool within(double value, const Band& band) { return value >= band.low && value <= band.high; }

std::string band_json(const char* name, const Band& band) {
  std::string text;
  if (std::isfinite(band.low)) text += concat_message(", \"", name, "_low\": ", json_number(band.low));
  if (std::isfinite(band.high)) text += concat_message(", \"", name, "_high\": ", json_number(band.high));
  return text;
}

Band read_band(const JsonNode& json, const std::string& name) {
  const Band open;
  return {json.number(name + "_low", open.low), json.number(name + "_high", open.high)};
}

}  // namespace

std::string rule_name(Rule rule) { return kRules[size_t(rule)]; }

Rule parse_rule(const std::string& name) {
  for (Rule rule : {Rule::kText, Rule::kEq4, Rule::kBand})
    if (rule_name(rule) == name) return rule;
  throw Error(Fault::kBadInput, "rule: expected text, eq4 or band, found '" + name + "'");
}

bool is_good(const Metrics& metrics, const Thresholds& thresholds) {
  switch (thresholds.rule) {
    case Rule::kText:
      return metrics.sharpness < thresholds.tau_sharpness && metrics.contrast > thresholds.tau_contrast &&
             metrics.noise < thresholds.tau_noise;
    case Rule::kEq4:
      return metrics.sharpness >= thresholds.tau_sharpness && metrics.contrast >= thresholds.tau_contrast &&
             metrics.noise <= thresholds.tau_noise;
    case Rule::kBand:
      return within(metrics.sharpness, thresholds.sharpness) && within(metrics.contrast, thresholds.contrast) &&
             within(metrics.noise, thresholds.noise);
  }
  return false;
}

const GrayImage* region_of(const Thresholds& thresholds, const GrayImage& sector) {
  return thresholds.region == "sector" ? &sector : nullptr;
}

Thresholds preset_thresholds(const std::string& name) {
  check_input(name == "paper" || name == "eq4", Fault::kUsage, "preset: expected paper or eq4, found '", name, "'");
  Thresholds thresholds;
  thresholds.source = name;
  thresholds.rule = name == "eq4" ? Rule::kEq4 : Rule::kText;
  return thresholds;
}

Thresholds calibrate(const std::vector<Metrics>& metrics, double quantile) {
  check_input(!metrics.empty(), Fault::kBadInput, "calibrate: no pictures to measure");
  std::vector<double> sharpness, contrast, noise;
  for (const Metrics& one : metrics) {
    sharpness.push_back(one.sharpness);
    contrast.push_back(one.contrast);
    noise.push_back(one.noise);
  }
  Thresholds thresholds;
  const double low = std::min(quantile, 1 - quantile), high = std::max(quantile, 1 - quantile);
  thresholds.sharpness = {quantile_of(sharpness, low), quantile_of(sharpness, high)};
  thresholds.contrast = {quantile_of(contrast, low), quantile_of(contrast, high)};
  thresholds.noise = {quantile_of(noise, low), quantile_of(noise, high)};
  thresholds.tau_sharpness = quantile_of(sharpness, quantile);
  thresholds.tau_contrast = quantile_of(contrast, 1 - quantile);
  thresholds.tau_noise = quantile_of(noise, quantile);
  thresholds.source = "calibrated";
  thresholds.pictures = int64_t(metrics.size());
  return thresholds;
}

std::string thresholds_json(const Thresholds& t, const std::string& kind) {
  std::string text = concat_message("{\"kind\": \"", kind, "\", \"rule\": \"", rule_name(t.rule),
                                    "\", \"tau_sharpness\": ", json_number(t.tau_sharpness),
                                    ", \"tau_contrast\": ", json_number(t.tau_contrast),
                                    ", \"tau_noise\": ", json_number(t.tau_noise));
  text += band_json("sharpness", t.sharpness) + band_json("contrast", t.contrast) + band_json("noise", t.noise);
  text +=
      concat_message(", \"sigma\": ", json_number(t.metric.sigma), ", \"scale\": ", json_number(t.metric.scale),
                     ", \"kernel\": \"", kKernel, "\", \"border\": \"", kBorder, "\", \"region\": \"", t.region, "\"");
  if (t.width > 0) text += concat_message(", \"width\": ", t.width, ", \"height\": ", t.height);
  if (t.pictures > 0) text += concat_message(", \"pictures\": ", t.pictures);
  return text + concat_message(", \"source\": ", json_quoted(t.source), "}");
}

Thresholds parse_thresholds(const JsonNode& json, const std::string& kind) {
  json.choice("kind", {kind});
  json.choice("kernel", {kKernel});  // what this program computes
  json.choice("border", {kBorder});
  Thresholds t;
  t.rule = parse_rule(json.choice("rule", {"text", "eq4", "band"}));
  t.tau_sharpness = json.number("tau_sharpness");
  t.tau_contrast = json.number("tau_contrast");
  t.tau_noise = json.number("tau_noise");
  t.sharpness = read_band(json, "sharpness");
  t.contrast = read_band(json, "contrast");
  t.noise = read_band(json, "noise");
  t.metric.sigma = json.number("sigma");
  t.metric.scale = json.number("scale");
  check_input(t.metric.sigma > 0 && t.metric.sigma <= 20 && t.metric.scale > 0, Fault::kBadInput, json.where,
              ": expected sigma in 0..20 pixels and scale above 0, found ", t.metric.sigma, " and ", t.metric.scale);
  t.region = json.choice("region", {"image", "sector"});
  t.width = json.count("width", t.width);
  t.height = json.count("height", t.height);
  t.pictures = json.count("pictures", t.pictures);
  t.source = json.text("source");
  json.done();
  return t;
}

Thresholds parse_thresholds(const std::string& text, const std::string& where) {
  return parse_thresholds(parse_json(text, where));
}

Thresholds read_thresholds(const std::string& path) { return parse_thresholds(read_json(path)); }

void write_thresholds(const std::string& path, const Thresholds& thresholds) {
  write_file_atomic(path, thresholds_json(thresholds) + "\n");
}

void require_same_size(const Thresholds& thresholds, int64_t width, int64_t height, const std::string& file) {
  if (thresholds.width == 0) return;
  check_input(width == thresholds.width && height == thresholds.height, Fault::kBadInput, file, ": is ", width, "x",
              height, ", the thresholds were measured on ", thresholds.width, "x", thresholds.height,
              " and hold for that size only; read pictures at that size or calibrate again");
}

}  // namespace echodiff
