// What dsample leaves in its folder: images/NNNNNN.png and a line of samples.jsonl per trajectory while it works,
// config.toml, and summary.json last: a folder without it was not finished. How long each trajectory took stands in
// seconds.jsonl, so that samples.jsonl has the same bytes whenever it is made.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "quality/sampling/cost.h"
#include "quality/sampling/sampler.h"

namespace echodiff {

struct SummaryFacts {
  std::string policy, judge, final_judge, sampler, score_on, keep, schedule, prediction;
  int64_t sample_steps = 0, T = 0, size = 0, batch = 0, deepcache = 1;
  std::optional<double> adadiff_error;
  uint64_t seed = 0;
  double eta = 0, guidance = 1, tau = 0, seconds = 0;
  bool clip = true, replayed = false;
};

class SampleFolder {
 public:
  // Throws Error(kCannotCreate) when DIR is there and not an empty folder, or can't be made.
  SampleFolder(const std::string& directory, bool keep_discarded, const SamplerJob& job);

  // `mask` is the condition's file name, or empty.
  void write(const SampleRecord& record, const std::string& mask, uint64_t seed);
  void write_config(const std::string& toml) const;
  void write_summary(const SummaryFacts& facts, const SamplerTotals& totals) const;

 private:
  std::string directory_;
  bool keep_discarded_;
  std::ofstream lines_, seconds_;
  int64_t calls_if_finished_;  // network calls of a trajectory that nothing stops
  CostLedger ledger_;
};

}  // namespace echodiff
