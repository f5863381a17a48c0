#include "quality/sampling/policy/smc.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/error.h"
#include "kernels/philox.h"

namespace echodiff {

double effective_sample_size(const std::vector<double>& weights) {
  double sum = 0, squares = 0;
  for (const double weight : weights) {
    sum += weight;
    squares += weight * weight;
  }
  return sum * sum / squares;
}

std::vector<size_t> systematic_resampling(const std::vector<double>& weights, double u) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<size_t> chosen;
  double below = 0;  // weight of the members before `member`
  size_t member = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double point = (u + double(i)) / double(weights.size()) * total;
    while (member + 1 < weights.size() && below + weights[member] <= point) below += weights[member++];
    chosen.push_back(member);
  }
  return chosen;
}

Policy smc_policy(const SmcOptions& options) {
  check_input(options.group >= 2, Fault::kUsage, "smc: group: expected at least 2 trajectories, found ", options.group);
  check_input(options.every >= 1, Fault::kUsage, "smc: every: expected at least 1 step, found ", options.every);
  Policy policy;
  policy.name = "smc";
  policy.group = options.group;
  policy.monitors = [options](int64_t step, int64_t steps) {
    const int64_t first = int64_t(std::ceil(options.warm_up * double(steps)));
    return step >= first && (step - first) % options.every == 0;
  };
  policy.decide_together = [options](const std::vector<Moment>& moments) {
    std::vector<Ruling> rulings(moments.size());
    std::vector<double> weights;
    for (const Moment& moment : moments) {
      const double since = moment.resampled_at > 0 ? moment.scores[moment.resampled_at - 1].value : 0;
      weights.push_back(std::exp(options.lambda * (moment.scores.back().value - since)));
    }
    if (effective_sample_size(weights) >= double(weights.size()) / 2) return rulings;
    // Trajectories draw their own noise from (seed, index, 0..steps); this draws from what none of them reaches.
    constexpr uint64_t kResamplingDraw = 0xFFFF0000;
    const uint64_t draw = kResamplingDraw + moments[0].scores.size();
    std::vector<size_t> chosen =
        systematic_resampling(weights, Random(options.seed, uint64_t(moments[0].index), draw).uniform());
    // Who is chosen keeps its place; only the others take over.
    std::vector<size_t> spare;
    std::vector<bool> stays(moments.size());
    for (const size_t member : chosen) {
      if (stays[member]) spare.push_back(member);
      stays[member] = true;
    }
    size_t next = 0;
    for (size_t i = 0; i < moments.size(); ++i) rulings[i].ancestor = stays[i] ? i : spare[next++];
    return rulings;
  };
  return policy;
}

}  // namespace echodiff
