#include "dlabel/evaluation_text.h"

#include <cmath>
#include <cstdio>

#include "kernels/error.h"
#include "tensor/io/paths.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

// "posthoc-101 and 2 more"
std::string short_name(const std::vector<std::string>& folders) {
  const std::string first = printable(last_part(folders[0]));
  return folders.size() == 1 ? first : concat_message(first, " and ", folders.size() - 1, " more");
}

void print_row(const std::string& name, const EvaluatedPart& part, const EvaluatedRun* run) {
  std::printf("%-24s %6lld  %8.4f [%.4f, %.4f]  %8.2f  %5.3f %5.3f %5.3f %5.3f", name.c_str(),
              static_cast<long long>(part.n), part.kid.value, part.kid.low, part.kid.high, part.fid.value,
              part.precision.fraction, part.recall.fraction, part.density.value, part.coverage.fraction);
  if (run != nullptr) std::printf("  %5.3f  %5.3f", run->copies.fraction, run->distinct.fraction);
  std::printf("\n");
}

// What judge and segmenter say, where there are any.
void print_marks(const std::string& name, const Proportion& judged, const MaskAgreement& agreement) {
  if (judged.n > 0)
    std::printf("%s: %lld of %lld are good by the judge [%.3f, %.3f]\n", name.c_str(), static_cast<long long>(judged.k),
                static_cast<long long>(judged.n), judged.low, judged.high);
  if (std::isnan(agreement.mean.value)) return;
  const auto print = [&](const std::string& label, const Estimate& one) {
    std::printf("%s: Dice of %s %.3f [%.3f, %.3f]\n", name.c_str(), label.c_str(), one.value, one.low, one.high);
  };
  for (const auto& [label, one] : agreement.classes) print(label, one);
  print("all classes", agreement.mean);
}

std::string with_interval(const Estimate& one, int decimals) {
  char text[96];
  std::snprintf(text, sizeof text, "%.*f [%.*f, %.*f]", decimals, one.value, decimals, one.low, decimals, one.high);
  return text;
}

void print_texture(const std::string& name, const Texture& texture) {
  if (!texture.power_over_real.empty()) {
    std::printf("%s: power over real", name.c_str());
    for (const Estimate& band : texture.power_over_real) std::printf(" %.2f", band.value);
    std::printf(" in bands up to 0.0625, 0.125 .. 0.5 cycles/pixel; the finest %s\n",
                with_interval(texture.power_over_real.back(), 3).c_str());
  }
  const auto print = [&](const char* label, const Compared& one, int decimals) {
    if (std::isnan(one.value.value)) return;
    std::printf("%s: %s %s", name.c_str(), label, with_interval(one.value, decimals).c_str());
    if (!std::isnan(one.minus_real.value))
      std::printf(", less real %s", with_interval(one.minus_real, decimals).c_str());
    std::printf("\n");
  };
  print("mean grey", texture.mean_grey, 1);
  print("speckle, mean over deviation", texture.signal_to_noise, 2);
  print("speckle, half width across in pixels", texture.lateral_width, 3);
  print("speckle, half width down in pixels", texture.axial_width, 3);
  if (!std::isnan(texture.radiomic_distance.value))
    std::printf("%s: radiomic distance %s\n", name.c_str(), with_interval(texture.radiomic_distance, 1).c_str());
}

}  // namespace

void print_evaluation(const Evaluation& all) {
  std::printf("against %lld held-out pictures (%s) of %s; features of %s\n", static_cast<long long>(all.held_out),
              all.held_out_split.c_str(), all.data.c_str(), all.features.c_str());
  std::printf("%-24s %6s  %-25s  %8s  %5s %5s %5s %5s  %5s  %5s\n", "run", "n", "KID [95 %]", "FID", "prec", "rec",
              "dens", "cov", "copy", "dist");
  for (const EvaluatedRun& run : all.runs) print_row(short_name(run.folders), run, &run);
  print_row("training pictures", all.real, nullptr);
  for (const EvaluatedRun& run : all.runs) print_texture(short_name(run.folders), run.texture);
  print_texture("training pictures", all.real.texture);
  print_texture("held-out pictures", all.held_out_texture);
  for (const EvaluatedRun& run : all.runs) print_marks(short_name(run.folders), run.judged_good, run.agreement);
  print_marks("held-out pictures", all.held_out_judged_good, all.held_out_agreement);
}

}  // namespace echodiff
