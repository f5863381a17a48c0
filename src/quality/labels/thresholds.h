// The three gates of equation (4), which rule reads them, and at what scale and size they hold: the threshold file.
//
//   text  good iff sharpness < tau_S, contrast > tau_C, noise < tau_N        (the paper's text and its Table 1)
//   eq4   good iff sharpness >= tau_S, contrast >= tau_C, noise <= tau_N     (as equation (4) is printed)
//   band  good iff each of the three lies within its [low, high]
//
// The paper's 200 / 20 / 0.3 fit pictures of about 256x256: metrics of the same scene depend on its size, so a file of
// measured thresholds names size and scale, and is refused for pictures of another.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "quality/labels/metrics.h"

namespace echodiff {

class JsonNode;

enum class Rule { kText, kEq4, kBand };
std::string rule_name(Rule rule);          // "text", "eq4", "band"
Rule parse_rule(const std::string& name);  // Error(kBadInput) for any other name

struct Band {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
};

struct Thresholds {
  Rule rule = Rule::kText;
  double tau_sharpness = 200, tau_contrast = 20, tau_noise = 0.3;
  Band sharpness, contrast, noise;  // read by rule band only
  MetricOptions metric;
  std::string region = "image";   // or "sector"
  int64_t width = 0, height = 0;  // of the pictures they were measured on; 0: not stated (the paper's)
  std::string source = "paper";   // "paper", "eq4", "calibrated", "flags"
  int64_t pictures = 0;           // how many were measured
};

bool is_good(const Metrics& metrics, const Thresholds& thresholds);
// What of a picture they are measured on: `sector`, or null for all of it.
const GrayImage* region_of(const Thresholds& thresholds, const GrayImage& sector);

// "paper" (200 / 20 / 0.3 read as the text says) or "eq4" (as printed). Throws Error(kUsage) for another name.
Thresholds preset_thresholds(const std::string& name);

// Thresholds from good pictures' metrics: tau_S and tau_N are the `quantile` (0.9: a tenth of them fails each), tau_C
// the 1 - quantile; the bands reach from the lesser of quantile and 1 - quantile to the greater.
// Throws Error(kBadInput) for no metrics.
Thresholds calibrate(const std::vector<Metrics>& metrics, double quantile);

// JSON, one object; `kind` is its first key ("labels" for a labels file's first line). read_thresholds is strict:
// unknown keys, another kernel or border, NaN: Error(kBadInput).
std::string thresholds_json(const Thresholds& thresholds, const std::string& kind = "thresholds");
Thresholds parse_thresholds(const JsonNode& json, const std::string& kind = "thresholds");
Thresholds parse_thresholds(const std::string& text, const std::string& where);
Thresholds read_thresholds(const std::string& path);
void write_thresholds(const std::string& path, const Thresholds& thresholds);

// Throws Error(kBadInput) unless the thresholds hold for pictures of this size and scale; a size of 0 holds for any.
void require_same_size(const Thresholds& thresholds, int64_t width, int64_t height, const std::string& file);

}  // namespace echodiff
