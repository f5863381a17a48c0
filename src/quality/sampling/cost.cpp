#include "quality/sampling/cost.h"

#include <algorithm>
#include <functional>
#include <string_view>

#include "kernels/error.h"
#include "kernels/philox.h"

namespace echodiff {

std::optional<CostInterval> bootstrap_ratio(const std::vector<double>& numerators,
                                            const std::vector<double>& denominators) {
  constexpr int64_t kResamplings = 2000, kBlocks = 5000;
  check(numerators.size() == denominators.size(), "bootstrap_ratio: ", numerators.size(), " numerators for ",
        denominators.size(), " denominators");
  const int64_t units = int64_t(numerators.size()), n = std::min(units, kBlocks);
  if (n < 2) return {};
  std::vector<double> upper(static_cast<size_t>(n)), lower(static_cast<size_t>(n));
  for (int64_t i = 0; i < units; ++i) {
    upper[size_t(i * n / units)] += numerators[size_t(i)];
    lower[size_t(i * n / units)] += denominators[size_t(i)];
  }
  std::vector<double> ratios;
  for (int64_t round = 0; round < kResamplings; ++round) {
    Random random(0, uint64_t(round));
    double above = 0, below = 0;
    for (int64_t i = 0; i < n; ++i) {
      const size_t drawn = size_t(random.below(n));
      above += upper[drawn];
      below += lower[drawn];
    }
    if (below > 0) ratios.push_back(above / below);
  }
  if (int64_t(ratios.size()) < kResamplings - kResamplings / 40) return {};
  std::sort(ratios.begin(), ratios.end());
  return CostInterval{ratios[ratios.size() / 40], ratios[ratios.size() - 1 - ratios.size() / 40]};
}

void CostLedger::add(const SampleRecord& record) {
  const int64_t mask = record.index % masks_, round = record.index / masks_ / group_;
  const int64_t key = unit_ == Unit::trajectory ? record.index : unit_ == Unit::mask ? mask : round * masks_ + mask;
  units_[key].calls += double(record.unet_calls);
  units_[key].kept += record.kept() ? 1 : 0;
  Reason& reason = reasons_[record.reason];
  ++reason.trajectories;
  reason.unet_calls += record.unet_calls;
  if (record.kept())
    pictures_.insert(std::hash<std::string_view>()(
        {reinterpret_cast<const char*>(record.image.pixels.data()), record.image.pixels.size()}));
}

std::optional<CostInterval> CostLedger::calls_per_kept() const {
  std::vector<double> calls, kept;
  for (const auto& [key, sums] : units_) {
    calls.push_back(sums.calls);
    kept.push_back(sums.kept);
  }
  return bootstrap_ratio(calls, kept);
}

}  // namespace echodiff
