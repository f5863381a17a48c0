#include "quality/radiomics/features.h"

namespace echodiff {

Features mean_of_directions(const std::vector<Features>& directions, const Features& like) {
  Features mean = like;
  for (size_t i = 0; i < mean.size(); ++i) {
    double sum = 0;
    for (const Features& one : directions) sum += one[i].second;
    mean[i].second = directions.empty() ? std::numeric_limits<double>::quiet_NaN() : sum / double(directions.size());
  }
  return mean;
}

}  // namespace echodiff
