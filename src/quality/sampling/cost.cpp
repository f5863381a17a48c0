#include "quality/sampling/cost.h"

#include <functional>
#include <string_view>

namespace echodiff {

int64_t CostUnit::of(int64_t index) const {
  if (kind == Kind::trajectory) return index;
  const int64_t mask = index % masks;
  return kind == Kind::mask ? mask : index / masks / group * masks + mask;
}

const char* name_of(CostUnit::Kind kind) {
  return kind == CostUnit::Kind::mask ? "mask" : kind == CostUnit::Kind::group ? "group" : "trajectory";
}

CostUnit unit_of(const SamplerJob& job) {
  const CostUnit::Kind kind = job.accept_per_mask    ? CostUnit::Kind::mask
                              : job.policy.group > 1 ? CostUnit::Kind::group
                                                     : CostUnit::Kind::trajectory;
  return {kind, int64_t(job.conditions.size()), job.policy.group};
}

void CostLedger::add(const SampleRecord& record) {
  units_[unit_.of(record.index)] += {double(record.unet_calls), record.kept() ? 1.0 : 0.0};
  Reason& reason = reasons_[record.reason];
  ++reason.trajectories;
  reason.unet_calls += record.unet_calls;
  if (record.kept())
    pictures_.insert(std::hash<std::string_view>()(
        {reinterpret_cast<const char*>(record.image.pixels.data()), record.image.pixels.size()}));
}

}  // namespace echodiff
