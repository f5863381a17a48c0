// What a checkpoint's metadata says, one text a value.
#pragma once

#include <limits>

#include "train/checkpoint.h"

namespace echodiff {

// Every getter throws Error(kBadInput), naming the file, the key, what was expected and what was found; where the key
// is missing it ends with `advice`.
class MetadataReader {
 public:
  MetadataReader(const Metadata& metadata, std::string path, std::string advice)
      : metadata_(metadata), path_(std::move(path)), advice_(std::move(advice)) {}

  bool has(const std::string& key) const { return metadata_.contains(key); }
  const std::string& text(const std::string& key) const;
  bool flag(const std::string& key) const;
  double real(const std::string& key) const;  // finite
  int64_t integer(const std::string& key, int64_t low = std::numeric_limits<int64_t>::min(),
                  int64_t high = std::numeric_limits<int64_t>::max()) const;
  std::vector<int64_t> integers(const std::string& key) const;  // "1,2,4", all positive

 private:
  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const;

  const Metadata& metadata_;
  std::string path_, advice_;
};

// Every key whose value is not the same in both: "batch: 4 before, 8 now; lr: ..."; empty where all are.
std::string differences(const Metadata& before, const Metadata& now);

}  // namespace echodiff
