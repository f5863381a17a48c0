#include "tests/golden.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/shared.h"

namespace echodiff {
namespace {

constexpr double kHuge = 1e6;
// The true value is zero everywhere: rounding noise of quantities of order one is compared with one.
constexpr double kZero = 1e-9;

const Tensor& reference_of(const SafetensorsFile& file, const std::string& key) {
  return file.contains(key + "_f64") ? file.at(key + "_f64") : file.at(key);
}

// Compares element by element; `relative` is taken of the largest ordinary |reference|, or of a huge element itself.
void compare(const std::string& where, const Tensor& reference, const Tensor& actual, double relative) {
  ASSERT_TRUE(actual.defined()) << where << ": no tensor to compare";
  ASSERT_EQ(actual.shape(), reference.shape()) << where;
  const std::vector<double> expected = reference.to_vector(), found = actual.to_vector();
  double largest = 0;
  for (const double value : expected)
    if (std::isfinite(value) && std::abs(value) <= kHuge) largest = std::max(largest, std::abs(value));
  if (largest < kZero) largest = 1;
  size_t worst = 0;
  double worst_excess = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i])) continue;  // PyTorch has no answer there either
    const double allowed = relative * (std::abs(expected[i]) > kHuge ? std::abs(expected[i]) : largest);
    const double difference = found[i] == expected[i] ? 0 : std::abs(found[i] - expected[i]);
    const double excess = difference == 0 ? 0 : allowed > 0 ? difference / allowed : INFINITY;
    if (std::isnan(difference) || excess > worst_excess) {
      worst = i;
      worst_excess = std::isnan(difference) ? INFINITY : excess;
    }
  }
  if (worst_excess <= 1) return;
  ADD_FAILURE() << where << " " << reference.shape() << ": element " << worst << " is " << found[worst]
                << ", PyTorch has " << expected[worst] << ": " << worst_excess << " times the allowed error (relative "
                << relative << ", max|reference| " << largest << ")";
}

}  // namespace

GoldenFile::GoldenFile(const std::string& file) : file_(file) {
  const std::string path = golden_path(file).string();
  content_ = read_safetensors(path);
  std::ifstream stream(path.substr(0, path.size() - file.size()) + "tolerances.json");
  const nlohmann::json all = nlohmann::json::parse(stream);
  if (!all.contains(file)) return;
  for (const auto& [key, value] : all.at(file).items()) tolerances_[key] = value.at("rel");
}

void GoldenFile::expect(const std::string& key, const Tensor& actual) const {
  const auto found = tolerances_.find(key);
  if (found == tolerances_.end()) return expect_within(key, actual, 2e-5);
  expect_within(key, actual, 8 * std::max(found->second, 2.5e-7));
}

void GoldenFile::expect_within(const std::string& key, const Tensor& actual, double relative) const {
  compare(file_ + " " + key, reference_of(content_, key), actual, relative);
}

void expect_golden(const std::string& file, const std::string& key, const Tensor& actual) {
  GoldenFile(file).expect(key, actual);
}

}  // namespace echodiff
