// Features of the grey-level co-occurrence matrix: how often two levels are neighbours (Haralick et al. 1973,
// doi:10.1109/TSMC.1973.4309314). Names and definitions are pyradiomics' 3.1: neighbours at distance 1 in four
// directions, both ways (a symmetric matrix), each feature the mean over the directions. Its SumAverage is twice
// JointAverage here, so it is left out.
#pragma once

#include "quality/radiomics/features.h"
#include "quality/radiomics/grey_levels.h"

namespace echodiff {

// NaN where no pixel of the region has a neighbour in it.
Features glcm_features(const GreyLevels& levels);

}  // namespace echodiff
