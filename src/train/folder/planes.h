// Planes have names, and go by them wherever two folders, runs or files meet.
#pragma once

#include <string>
#include <vector>

#include "train/data/dataset.h"

namespace echodiff {

// Are these names that nobody chose: plane_1, plane_2, ..., sector? An imported network and a replay have no others.
bool nameless(const std::vector<std::string>& planes);

// Puts the data's planes into the order of `wanted` (the sector last in both). A class_V that was guessed from the
// values of other masks, and that no mask shows here, is an empty plane. Where `wanted` are no names, the order stays,
// and a note of the data says so. Throws Error(kBadInput), beginning with `directory`, where the names differ: the
// message has both lists, `whose` ("runs/model") those wanted.
void order_planes(Dataset& data, const std::vector<std::string>& wanted, const std::string& whose,
                  const std::string& directory);

}  // namespace echodiff
