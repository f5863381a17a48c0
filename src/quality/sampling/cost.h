// What an accepted picture costs, and how sure that is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "quality/sampling/sampler.h"

namespace echodiff {

struct CostInterval {
  double low = 0, high = 0;
};

// The 95 % interval of sum(numerators) / sum(denominators): percentiles over 2,000 resamplings of the units (Efron
// 1979), drawn from a fixed seed; beyond 5,000 units, neighbours are drawn together. Empty when there are fewer than
// two units or a resampling in forty has no denominator.
std::optional<CostInterval> bootstrap_ratio(const std::vector<double>& numerators,
                                            const std::vector<double>& denominators);

// Adds up records as they come.
class CostLedger {
 public:
  // Records of one unit are not independent of each other: a trajectory by itself, a group that is ranked together, or
  // all of a mask where a quota says when it ends.
  enum class Unit { trajectory, group, mask };
  CostLedger(Unit unit, int64_t masks, int64_t group) : unit_(unit), masks_(masks), group_(group) {}

  void add(const SampleRecord& record);

  int64_t distinct() const { return int64_t(pictures_.size()); }  // kept pictures that differ
  std::optional<CostInterval> calls_per_kept() const;
  struct Reason {
    int64_t trajectories = 0, unet_calls = 0;
  };
  const std::map<std::string, Reason>& reasons() const { return reasons_; }

 private:
  struct Sums {
    double calls = 0, kept = 0;
  };
  Unit unit_;
  int64_t masks_, group_;
  std::map<int64_t, Sums> units_;
  std::map<std::string, Reason> reasons_;
  std::set<size_t> pictures_;  // hashes
};

}  // namespace echodiff
