// Reading files that a test holds in memory.
#pragma once

#include <string>
#include <string_view>

#include "nn/torch_import/weights_file.h"

namespace echodiff {

// Writes the bytes to a file of the running test and reads it. The file is gone afterwards.
WeightsFile read_bytes(std::string_view bytes);
// The message of the refusal, with the path as "F"; "" when it is read. Anything but Error(kBadInput) fails the test.
std::string refusal_of(std::string_view bytes);

}  // namespace echodiff
