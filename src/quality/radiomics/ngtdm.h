// Features of the neighbouring grey-tone difference matrix: how far a level is from the mean of the up to eight levels
// around it (Amadasun & King 1989, doi:10.1109/21.44046). Names and definitions are pyradiomics' 3.1, which
// counts a pixel without neighbours as one that differs by 0.
#pragma once

#include "quality/radiomics/features.h"
#include "quality/radiomics/grey_levels.h"

namespace echodiff {

// NaN for an empty region. Coarseness without any difference is 1e6.
Features ngtdm_features(const GreyLevels& levels);

}  // namespace echodiff
