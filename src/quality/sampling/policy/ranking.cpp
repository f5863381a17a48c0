#include "quality/sampling/policy/ranking.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/error.h"

namespace echodiff {
namespace {

void check_share(const char* what, double share) {
  check_input(share > 0 && share <= 1, Fault::kUsage, what, ": expected a share above 0, up to 1, found ", share);
}

// The `kept` best by their last score go on, the lower index first among equals.
std::vector<Ruling> keep_best(const std::vector<Moment>& moments, size_t kept, const char* reason) {
  std::vector<size_t> order(moments.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return moments[a].scores.back().value > moments[b].scores.back().value; });
  std::vector<Ruling> rulings(moments.size());
  for (size_t rank = kept; rank < order.size(); ++rank) rulings[order[rank]] = {Verdict::kDiscard, reason, {}};
  return rulings;
}

size_t share_of(size_t count, double share) { return size_t(std::ceil(share * double(count) - 1e-9)); }

Policy ranking_policy(const char* name, int64_t group, double keep, std::function<bool(int64_t, int64_t)> monitors) {
  check_input(group >= 2, Fault::kUsage, name, ": group: expected at least 2 trajectories, found ", group);
  check_share("share kept", keep);
  Policy policy;
  policy.name = name;
  policy.group = group;
  policy.monitors = std::move(monitors);
  policy.decide_together = [keep, reason = std::string(name)](const std::vector<Moment>& moments) {
    return keep_best(moments, share_of(moments.size(), keep), reason.c_str());
  };
  return policy;
}

}  // namespace

Policy best_of_policy(int64_t group) {
  Policy policy = ranking_policy("best-of-n", group, 1, [](int64_t, int64_t) { return false; });
  policy.ranks_finished = true;
  policy.reads_scores = false;
  policy.decide_together = [](const std::vector<Moment>& moments) { return keep_best(moments, 1, "not_best"); };
  return policy;
}

Policy halving_policy(const HalvingOptions& options) {
  check_input(!options.rungs.empty(), Fault::kUsage, "halving: rungs: expected at least one, found none");
  for (const double rung : options.rungs) check_share("halving: rungs", rung);
  return ranking_policy("halving", options.group, options.keep, [rungs = options.rungs](int64_t step, int64_t steps) {
    return std::any_of(rungs.begin(), rungs.end(), [&](double rung) {
      return step == std::max<int64_t>(1, std::llround(rung * double(steps))) - 1;
    });
  });
}

Policy screen_policy(int64_t group, double keep) {
  return ranking_policy("screen", group, keep, [](int64_t step, int64_t) { return step == -1; });
}

Policy probe_policy(int64_t group, double keep, int64_t call) {
  check_input(call >= 1, Fault::kUsage, "probe: call: expected at least 1, found ", call);
  return ranking_policy("probe", group, keep, [call](int64_t step, int64_t) { return step == call - 1; });
}

}  // namespace echodiff
