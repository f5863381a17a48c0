// Ultrasound files of DICOM (PS3.3 C.8.5, C.7.6), decoded by DCMTK (https://dicom.offis.de/dcmtk).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "dimport/clip.h"

namespace echodiff {

// Loads DCMTK's dictionary and decoders once, for all children to come.
void prepare_dicom();

// Whether the file begins as DICOM files do ("DICM" after 128 bytes).
bool is_dicom(const std::string& path);

// The frames of the file's 2D tissue region, cut to it, in grey. `region`: which of several, from 1; 0: the whole
// picture of a file that names none. No tag enters the clip but the spacing, whether text is burned in, and what groups
// the pictures of one patient. Throws Error(kBadInput), without the file's name: no ultrasound, several regions, none,
// or one that leaves the picture; colour Doppler; a compression that DCMTK doesn't decode; damage.
// To be called in a child process, after prepare_dicom.
Clip read_dicom(const std::string& path, const std::optional<int64_t>& region);

}  // namespace echodiff
