// What an accepted picture costs, and how sure that is.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "quality/sampling/sampler.h"
#include "quality/statistics/estimates.h"

namespace echodiff {

// What the bootstrap draws anew. Trajectories of one unit are not independent of each other: a trajectory by itself, a
// group that is ranked together, or all of a mask where a quota says when it ends.
struct CostUnit {
  enum class Kind { trajectory, group, mask };
  Kind kind = Kind::trajectory;
  int64_t masks = 1, group = 1;  // masks taken in turn; trajectories in a group

  int64_t of(int64_t index) const;  // the unit of a trajectory
};
const char* name_of(CostUnit::Kind kind);
CostUnit unit_of(const SamplerJob& job);

// Adds up records as they come.
class CostLedger {
 public:
  explicit CostLedger(const CostUnit& unit) : unit_(unit) {}

  void add(const SampleRecord& record);

  const CostUnit& unit() const { return unit_; }
  int64_t distinct() const { return int64_t(pictures_.size()); }  // kept pictures that differ
  Estimate calls_per_kept() const { return ratio_of_sums({units_}); }
  struct Reason {
    int64_t trajectories = 0, unet_calls = 0;
  };
  const std::map<std::string, Reason>& reasons() const { return reasons_; }

 private:
  CostUnit unit_;
  std::map<int64_t, RatioTerm> units_;
  std::map<std::string, Reason> reasons_;
  std::set<size_t> pictures_;  // hashes
};

}  // namespace echodiff
