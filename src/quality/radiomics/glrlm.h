// Features of the grey-level run-length matrix: how long runs of one level are (Galloway 1975,
// doi:10.1016/S0146-664X(75)80008-6). Names and definitions are pyradiomics' 3.1: runs in four directions, each feature
// the mean over them.
#pragma once

#include "quality/radiomics/features.h"
#include "quality/radiomics/grey_levels.h"

namespace echodiff {

// NaN for an empty region.
Features glrlm_features(const GreyLevels& levels);

}  // namespace echodiff
