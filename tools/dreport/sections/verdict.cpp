// What the judge was worth, in one sentence: what it made of the share of good pictures, and what looking early saved.
#include <cmath>

#include "dreport/sections/sections.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

const std::string& policy_of(const PolicyResult& result) { return result.runs.front()->policy; }

std::string about_quality(const PolicyResult& judged, const PolicyResult* unjudged) {
  const Proportion& good = judged.precision;
  if (unjudged == nullptr || unjudged->precision.n == 0 || good.n == 0) return "";
  const Proportion& base = unjudged->precision;
  return percent(good.fraction) + " of what " + policy_of(judged) + " kept is good by the rule, " +
         percent(base.fraction) + " of what was drawn without a judge (" +
         (good.low > base.high   ? "higher"
          : good.high < base.low ? "lower"
                                 : "not told apart") +
         ")";
}

std::string about_cost(const PolicyResult& best, const PolicyResult& posthoc) {
  const Estimate &cost = best.calls_per_kept, &base = posthoc.calls_per_kept;
  if (!std::isfinite(base.value))
    return "posthoc kept none, and a kept picture cost " + rounded(cost.value) + " network calls by " + policy_of(best);
  const std::string whole = "a kept picture cost " + rounded(base.value) + " network calls by posthoc";
  if (&best == &posthoc) return whole + ", and looking early made none cheaper";
  const std::string both = whole + ", " + rounded(cost.value) + " by " + policy_of(best) + ": ";
  if (cost.high < base.low) return both + "looking early saved " + percent(1 - cost.value / base.value);
  return both + "looking early saved nothing that stands out of the intervals";
}

// Where no judge kept a picture: of how many, and whether any of those without a judge are good.
std::string about_nothing(const std::vector<PolicyResult>& policies, const PolicyResult* unjudged) {
  int64_t seen = 0;
  for (const PolicyResult& policy : policies)
    if (policy.guided() && is_live(policy)) seen += policy.trajectories;
  if (seen == 0) return "";
  std::string sentence = "The judge kept none of " + count_text(seen) + " pictures";
  if (unjudged != nullptr && unjudged->precision.n > 0)
    sentence += "; " + percent(unjudged->precision.fraction) + " of what was drawn without a judge is good by the rule";
  return sentence + ".";
}

}  // namespace

std::string verdict_of(const std::vector<PolicyResult>& policies) {
  const PolicyResult* unjudged = cheapest(policies, [](const PolicyResult& one) { return !one.guided(); });
  const PolicyResult* best = cheapest(policies, [](const PolicyResult& one) { return one.guided(); });
  const PolicyResult* posthoc = baseline_of(policies);
  if (best == nullptr || !std::isfinite(best->calls_per_kept.value)) return about_nothing(policies, unjudged);
  std::string sentence = about_quality(*best, unjudged);
  if (posthoc != nullptr) sentence += (sentence.empty() ? "" : "; ") + about_cost(*best, *posthoc);
  return sentence.empty() ? "" : "The judge: " + sentence + ".";
}

}  // namespace echodiff
