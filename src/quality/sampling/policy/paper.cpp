#include "quality/sampling/policy/paper.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"

namespace echodiff {
namespace {

double best(const std::vector<Score>& scores, size_t begin, size_t end) {
  double value = scores[begin].value;
  for (size_t i = begin; i < end; ++i) value = std::max(value, scores[i].value);
  return value;
}

}  // namespace

Policy paper_policy(const PaperOptions& options) {
  check_input(options.window >= 1, Fault::kUsage, "paper: window: expected at least 1 score, found ", options.window);
  check_input(options.every >= 1, Fault::kUsage, "paper: every: expected at least 1 step, found ", options.every);
  check_input(options.warm_up >= 0 && options.warm_up <= 1, Fault::kUsage,
              "paper: warm-up: expected a share of the steps, 0 to 1, found ", options.warm_up);
  Policy policy;
  policy.name = "paper";
  policy.monitors = [options](int64_t step, int64_t steps) {
    const int64_t first = int64_t(std::ceil(options.warm_up * double(steps)));
    return step >= first && (step - first) % options.every == 0;
  };
  policy.decide = [options](const Moment& moment) -> Ruling {
    const std::vector<Score>& scores = moment.scores;
    if (scores.back().value >= options.tau) return {Verdict::kAccept, "reached_tau_early"};
    const size_t window = size_t(options.window), count = scores.size();
    if (count <= window) return {};
    const double before = best(scores, 0, count - window), recent = best(scores, count - window, count);
    if (recent < before + options.delta) return {Verdict::kDiscard, "stagnation"};
    return {};
  };
  return policy;
}

}  // namespace echodiff
