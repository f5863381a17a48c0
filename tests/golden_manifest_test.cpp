// The golden files are those that their generator made: tests/golden/manifest.json against the folder.
#include <gtest/gtest.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tensor/io/file.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostBytes = 12'000'000;

// What is there and made by hand.
bool is_source(const std::string& name) {
  return name == "README.md" || name == "manifest.json" || fs::path(name).extension() == ".py";
}

TEST(GoldenManifest, EveryFileIsAsItsGeneratorMadeIt) {
  const fs::path folder = fs::path(ECHODIFF_SOURCE_DIR) / "tests/golden";
  std::ifstream stream(folder / "manifest.json");
  const nlohmann::json manifest = nlohmann::json::parse(stream);
  std::set<std::string> unlisted;
  uint64_t total = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path().extension() == ".pyc") continue;
    total += entry.file_size();
    const std::string name = fs::relative(entry.path(), folder).generic_string();
    if (!is_source(name)) unlisted.insert(name);
  }
  EXPECT_LE(total, kMostBytes);
  for (const auto& [name, made] : manifest.items()) {
    ASSERT_EQ(unlisted.erase(name), 1u) << name << ": in the manifest, not in the folder";
    const std::string bytes = read_file((folder / name).string());
    EXPECT_EQ(bytes.size(), made.at("size").get<uint64_t>()) << name;
    char digest[17];
    std::snprintf(digest, sizeof digest, "%016llx",
                  static_cast<unsigned long long>(XXH3_64bits(bytes.data(), bytes.size())));
    EXPECT_EQ(made.at("xxh3"), digest) << name;
    EXPECT_FALSE(made.at("made").get<std::string>().empty()) << name;
  }
  EXPECT_TRUE(unlisted.empty()) << *unlisted.begin() << ": in the folder, not in the manifest";
}

}  // namespace
}  // namespace echodiff
