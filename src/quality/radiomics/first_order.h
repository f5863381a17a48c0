// First-order radiomic features: the values inside a region, wherever they stand. Names and definitions are those of
// pyradiomics 3.1 (van Griethuysen et al. 2017, doi:10.1158/0008-5472.CAN-17-0339); its TotalEnergy is Energy at our
// pixels of 1.
#pragma once

#include <vector>

#include "quality/radiomics/features.h"
#include "quality/radiomics/grey_levels.h"

namespace echodiff {

// Entropy and Uniformity are of `levels`; all others of `values` where these have a level. Percentiles as numpy's,
// moments of the population. NaN for an empty region.
Features first_order(const std::vector<double>& values, const GreyLevels& levels);

}  // namespace echodiff
