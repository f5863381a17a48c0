// Going on where a run was broken off. The loop decides everything once more from the beginning; what it asks of the
// trajectories that are known comes from their records, so these cost no network call and no judgement, and every other
// trajectory begins, ends and is counted as in an unbroken run.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "quality/sampling/slots.h"

namespace echodiff {

class PartlyKnown : public Trajectories {
 public:
  // `known` are records of a run of the same job, with their pictures where they are kept; `others` makes the rest.
  // Where groups are ranked together, those known in part count as not known.
  PartlyKnown(const SamplerJob& job, const KnownRecords& known, Trajectories& others);

  void begin(Slot& slot, SamplerTotals& totals) override;
  void step(const std::vector<Slot*>& slots, SamplerTotals& totals) override;
  std::vector<double> score(const std::vector<Slot*>& slots, const std::vector<int64_t>& times,
                            SamplerTotals& totals) override;
  void finish(const std::vector<Slot*>& slots, SamplerTotals& totals) override;
  void drop(Slot& slot) override;
  void finish_early(Slot& slot) override;
  void take_over(Slot& slot, const Slot& other) override;

 private:
  const SampleRecord* known_of(const Slot& slot) const;

  const SamplerJob& job_;
  std::map<int64_t, const SampleRecord*> known_;
  Trajectories& others_;
};

}  // namespace echodiff
