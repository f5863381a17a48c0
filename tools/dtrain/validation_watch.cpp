#include "dtrain/validation_watch.h"

#include <limits>

#include "tensor/io/text.h"

namespace echodiff {
namespace {

constexpr const char *kOf = "validation.of", *kStep = "validation.step", *kLeast = "validation.least",
                     *kLeastStep = "validation.least_step", *kSince = "validation.since",
                     *kCopies = "validation.copies";

}  // namespace

void ValidationWatch::add_loss(int64_t at, double loss) {
  step = at;
  ++since;
  if (least ? !(loss < *least) : !(loss < std::numeric_limits<double>::infinity())) return;
  least = loss;
  least_step = at;
  since = 0;
}

Metadata to_metadata(const ValidationWatch& watch) {
  if (watch.step == 0) return {};
  Metadata metadata{{kOf, watch.of}, {kStep, std::to_string(watch.step)}, {kSince, std::to_string(watch.since)}};
  if (watch.least) {
    metadata[kLeast] = number_text(*watch.least);
    metadata[kLeastStep] = std::to_string(watch.least_step);
  }
  if (watch.copies) metadata[kCopies] = number_text(*watch.copies);
  return metadata;
}

ValidationWatch validation_watch(const Metadata& metadata, const std::string& path, const std::string& of) {
  const MetadataReader read(metadata, path, "train it again");
  ValidationWatch watch;
  watch.of = of;
  if (!read.has(kOf) || read.text(kOf) != of) return watch;
  watch.step = read.integer(kStep, 0);
  watch.since = read.integer(kSince, 0);
  if (read.has(kLeast)) {
    watch.least = read.real(kLeast);
    watch.least_step = read.integer(kLeastStep, 0);
  }
  if (read.has(kCopies)) watch.copies = read.real(kCopies);
  return watch;
}

}  // namespace echodiff
