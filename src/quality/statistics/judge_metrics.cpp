#include "quality/statistics/judge_metrics.h"

#include <map>

#include "quality/statistics/calibration.h"

namespace echodiff {
namespace {

std::map<int64_t, std::vector<Judged>> by_mask(const std::vector<Judged>& judged) {
  std::map<int64_t, std::vector<Judged>> groups;
  for (const Judged& one : judged) groups[one.mask].push_back(one);
  return groups;
}

}  // namespace

double auroc_of(const std::vector<Judged>& judged) {
  std::vector<double> scores;
  std::vector<bool> good;
  for (const Judged& one : judged) scores.push_back(one.score), good.push_back(one.good);
  return auroc(scores, good);
}

WithinMasks auroc_within_masks(const std::vector<Judged>& judged) {
  WithinMasks result;
  double won = 0;
  for (const auto& [mask, members] : by_mask(judged)) {
    int64_t good = 0;
    for (const Judged& one : members) good += one.good ? 1 : 0;
    const int64_t pairs = good * (int64_t(members.size()) - good);
    if (pairs == 0) continue;
    won += double(pairs) * auroc_of(members);
    result.pairs += pairs;
  }
  result.auroc = result.pairs > 0 ? won / double(result.pairs) : kNotGiven;
  return result;
}

Estimate bootstrap_over_masks(const std::vector<Judged>& judged,
                              const std::function<double(const std::vector<Judged>&)>& statistic) {
  std::vector<std::vector<Judged>> groups;
  for (auto& [mask, members] : by_mask(judged)) groups.push_back(members);
  return bootstrap({groups.size()}, [&](const std::vector<size_t>& masks) {
    std::vector<Judged> drawn;
    for (size_t place = 0; place < masks.size(); ++place)  // a mask drawn twice is two masks
      for (Judged one : groups[masks[place]]) {
        one.mask = int64_t(place);
        drawn.push_back(one);
      }
    return statistic(drawn);
  });
}

}  // namespace echodiff
