// Pictures and masks in NIfTI-1 (https://nifti.nimh.nih.gov/nifti-1) and MetaImage (https://itk.org/Wiki/MetaIO).
#pragma once

#include <string>

#include "dimport/clip.h"

namespace echodiff {

// The file's name without its ending .nii, .nii.gz, .mha or .mhd; "" where it has another.
std::string volume_stem(const std::string& path);

// Each slice along the third and all further axes is a frame. Slope and intercept are applied. Axes are turned and
// mirrored as the file's affine says, so that across is the file's x and down its y, both growing. Values that are
// whole numbers from 0 to 255 stay as they are; others are spread linearly from the least to the largest, which a mask
// may not need. Throws Error(kBadInput), without the file's name: damage, a kind of number or a layout it doesn't read.
Clip read_volume(const std::string& path, bool is_mask);

}  // namespace echodiff
