// What a sampling run leaves in its folder, and how it is read.
//
//   DIR/config.toml         the settings
//   DIR/images/NNNNNN.png   the picture of trajectory N, where it was kept; DIR/discarded/NNNNNN.png others, if wanted
//   DIR/samples.jsonl       a SampleLine per trajectory, while it works
//   DIR/seconds.jsonl       {"index", "seconds"} of each, so that samples.jsonl has the same bytes whenever it is made
//   DIR/summary.json        SampleSummary, last: a folder without it was not finished
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "quality/sampling/cost.h"
#include "quality/sampling/sampler.h"
#include "quality/sampling/sampler_facts.h"

namespace echodiff {

struct SampleLine : SampleRecord {
  std::string mask;  // the condition's file name, or empty
  uint64_t seed = 0;
};

// What was asked for, and how long it took.
struct SummaryFacts : SamplerFacts {
  std::string policy, judge, final_judge, score_on, keep;
  int64_t batch = 0;
  double tau = 0, seconds = 0;
  bool replayed = false;
};

struct SampleSummary : SummaryFacts {
  SamplerTotals totals;
  double shallow_call_cost = 1;  // by the clock, as a share of a whole call's
  CostUnit unit;                 // that the interval resamples; no masks: the file doesn't say
  Estimate calls_per_kept;

  double whole_calls(int64_t calls, int64_t shallow) const {
    return double(calls) - (1 - shallow_call_cost) * double(shallow);
  }
};

std::string picture_name(int64_t index);  // "000012.png"
std::string picture_path(const std::string& directory, const SampleRecord& record);

class SampleFolder {
 public:
  // Throws Error(kCannotCreate) when DIR is there and not an empty folder, or can't be made.
  SampleFolder(const std::string& directory, bool keep_discarded, const SamplerJob& job);

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

// All throw Error(kBadInput) naming file, line and key.
SampleSummary read_sample_summary(const std::string& directory);
// With the pictures that are there; a kept one must be. A last line without its end is left out where the run has no
// summary: it is being written.
std::vector<SampleLine> read_samples(const std::string& directory);
// Picture name -> the mask it was sampled for; empty where there is no samples.jsonl.
std::map<std::string, std::string> read_sampled_masks(const std::string& directory);

}  // namespace echodiff
