// DIR/summary.json of a sampling run (sample_folder.h): what was asked for, what it cost, what became of it.
#pragma once

#include <optional>
#include <string>

#include "quality/sampling/cost.h"
#include "quality/sampling/sampler.h"
#include "quality/sampling/sampler_facts.h"

namespace echodiff {

// What was asked for, and how long it took.
struct SummaryFacts : SamplerFacts {
  std::string policy, judge, final_judge, score_on, keep;
  int64_t batch = 0;
  double tau = 0, seconds = 0, keep_noise = 0;
  // Inside of the sector, of the kept pictures and of real ones of the same masks, where that was measured.
  std::optional<double> mean_grey, mean_grey_of_data;
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

// The file's bytes. calls_if_all_finished: network calls, had nothing been stopped.
std::string summary_text(const SummaryFacts& facts, const SamplerTotals& totals, const CostLedger& ledger,
                         double calls_if_all_finished);
// Throws Error(kBadInput) naming file and key.
SampleSummary read_sample_summary(const std::string& directory);

}  // namespace echodiff
