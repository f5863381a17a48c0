#include "quality/labels/thresholds.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "quality/statistics/quantile.h"
#include "tensor/io/file.h"
#include "tensor/io/json_fields.h"

namespace echodiff {
namespace {

constexpr const char* kKernel = "laplacian4";
constexpr const char* kBorder = "reflect101";

bool within(double value, const Band& band) { return value >= band.low && value <= band.high; }

std::string number(double value) { return nlohmann::json(value).dump(); }

std::string band_json(const char* name, const Band& band) {
  std::string text;
  if (std::isfinite(band.low)) text += concat_message(", \"", name, "_low\": ", number(band.low));
  if (std::isfinite(band.high)) text += concat_message(", \"", name, "_high\": ", number(band.high));
  return text;
}

Band read_band(JsonFields& fields, const std::string& name) {
  Band band;
  if (fields.has(name + "_low")) band.low = fields.number(name + "_low");
  if (fields.has(name + "_high")) band.high = fields.number(name + "_high");
  return band;
}

void require_text(JsonFields& fields, const std::string& key, const std::string& expected) {
  const std::string found = fields.text(key);
  check_input(found == expected, Fault::kBadInput, fields.place(), ": ", key, ": expected \"", expected,
              "\", the one this program computes, found \"", found, "\"");
}

}  // namespace

std::string rule_name(Rule rule) {
  switch (rule) {
    case Rule::kText:
      return "text";
    case Rule::kEq4:
      return "eq4";
    case Rule::kBand:
      return "band";
  }
  return "";
}

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
  std::string text = concat_message(
      "{\"kind\": \"", kind, "\", \"rule\": \"", rule_name(t.rule), "\", \"tau_sharpness\": ", number(t.tau_sharpness),
      ", \"tau_contrast\": ", number(t.tau_contrast), ", \"tau_noise\": ", number(t.tau_noise));
  text += band_json("sharpness", t.sharpness) + band_json("contrast", t.contrast) + band_json("noise", t.noise);
  text +=
      concat_message(", \"sigma\": ", number(t.metric.sigma), ", \"scale\": ", number(t.metric.scale),
                     ", \"kernel\": \"", kKernel, "\", \"border\": \"", kBorder, "\", \"region\": \"", t.region, "\"");
  if (t.width > 0) text += concat_message(", \"width\": ", t.width, ", \"height\": ", t.height);
  if (t.pictures > 0) text += concat_message(", \"pictures\": ", t.pictures);
  return text + concat_message(", \"source\": ", nlohmann::json(t.source).dump(), "}");
}

Thresholds parse_thresholds(const std::string& json, const std::string& place, const std::string& kind) {
  JsonFields fields(json, place);
  require_text(fields, "kind", kind);
  require_text(fields, "kernel", kKernel);
  require_text(fields, "border", kBorder);
  Thresholds t;
  const std::string rule = fields.text("rule");
  check_input(rule == "text" || rule == "eq4" || rule == "band", Fault::kBadInput, place,
              ": rule: expected text, eq4 or band, found '", rule, "'");
  t.rule = parse_rule(rule);
  t.tau_sharpness = fields.number("tau_sharpness");
  t.tau_contrast = fields.number("tau_contrast");
  t.tau_noise = fields.number("tau_noise");
  t.sharpness = read_band(fields, "sharpness");
  t.contrast = read_band(fields, "contrast");
  t.noise = read_band(fields, "noise");
  t.metric.sigma = fields.number("sigma");
  t.metric.scale = fields.number("scale");
  check_input(t.metric.sigma > 0 && t.metric.sigma <= 20 && t.metric.scale > 0, Fault::kBadInput, place,
              ": expected sigma in 0..20 pixels and scale above 0, found ", t.metric.sigma, " and ", t.metric.scale);
  t.region = fields.text("region");
  check_input(t.region == "image" || t.region == "sector", Fault::kBadInput, place,
              ": region: expected image or sector, found '", t.region, "'");
  if (fields.has("width")) t.width = fields.count("width");
  if (fields.has("height")) t.height = fields.count("height");
  if (fields.has("pictures")) t.pictures = fields.count("pictures");
  t.source = fields.text("source");
  fields.done();
  return t;
}

Thresholds read_thresholds(const std::string& path) { return parse_thresholds(read_file(path), path); }

void write_thresholds(const std::string& path, const Thresholds& thresholds) {
  write_file_atomic(path, thresholds_json(thresholds) + "\n");
}

void require_same_size(const Thresholds& thresholds, int64_t width, int64_t height, const std::string& file) {
  if (thresholds.width == 0) return;
  check_input(width == thresholds.width && height == thresholds.height, Fault::kBadInput, file, ": is ", width, "x",
              height, ", the thresholds were measured on ", thresholds.width, "x", thresholds.height,
              " and hold for that size only; give --size or calibrate again");
}

}  // namespace echodiff
