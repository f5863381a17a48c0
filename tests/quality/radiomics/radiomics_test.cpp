// Radiomic features against pyradiomics', and where nothing can be measured.
#include "quality/radiomics/radiomics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

GrayImage picture_in(const nlohmann::json& one, const char* key) {
  return {one.at("width"), one.at("height"), one.at(key).get<std::vector<uint8_t>>()};
}

TEST(RadiomicsGolden, EachFeatureIsPyradiomics) {
  std::ifstream stream(golden_path("radiomics/features.json"));
  const nlohmann::json golden = nlohmann::json::parse(stream);
  const RadiomicOptions options{golden.at("bin_width"), golden.at("sigmas")};
  ASSERT_EQ(golden.at("cases").size(), 5u);
  for (const nlohmann::json& one : golden.at("cases")) {
    std::map<std::string, double> expected = one.at("features");
    const Features found = radiomic_features(picture_in(one, "image"), picture_in(one, "sector"), options);
    for (const auto& [name, value] : found) {
      ASSERT_EQ(expected.count(name), 1u) << name;
      EXPECT_NEAR(value, expected[name], 1e-6 * std::max(1e-3, std::abs(expected[name])))
          << one.at("name") << " " << name;
      expected.erase(name);
    }
    EXPECT_TRUE(expected.empty()) << expected.begin()->first;
  }
}

TEST(Radiomics, NothingInTheSectorIsNaNAndAFlatPictureIsNot) {
  const GrayImage flat{17, 16, std::vector<uint8_t>(17 * 16, 90)}, none{17, 16, std::vector<uint8_t>(17 * 16, 0)};
  GrayImage single = none;
  single.at(5, 5) = 255;
  const Features of_flat = radiomic_features(flat, flat);
  EXPECT_EQ(of_flat.size(), 244u);
  for (const auto& [name, value] : of_flat) EXPECT_TRUE(std::isfinite(value)) << name;
  const Features of_none = radiomic_features(flat, none);
  for (const auto& [name, value] : of_none) EXPECT_TRUE(std::isnan(value)) << name;
  EXPECT_TRUE(std::isnan(radiomic_features(flat, single)[20].second));  // no pair for the GLCM
  EXPECT_THROW(radiomic_features(flat, GrayImage{16, 17, std::vector<uint8_t>(17 * 16, 1)}), Error);
}

}  // namespace
}  // namespace echodiff
