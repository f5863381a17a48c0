// Which pictures are held out. It is a function of the names in the folder, never of a seed, so all programs hold out
// the same; and a run keeps its lists, so a folder that has grown since changes nothing.
#pragma once

#include <string>
#include <vector>

#include "train/data/dataset.h"

namespace echodiff {

// Fills the split of examples that have none (train). Where none is in "val", the train groups whose names' XXH3-64
// leaves 0 when divided by ten are moved there: at least one group, and never all, where there are two or more. Throws
// Error kBadInput when a group is in two splits.
void resolve_splits(std::vector<Example>& examples, const std::string& where);

// RUN/split.csv: the file, split and group of every picture, as index.csv has them. Whole or not at all.
void keep_split(const std::string& run, const Dataset& data);
// Throws Error(kBadInput) where the run kept lists that are not the data's: it would go on with other pictures.
void require_same_split(const std::string& run, const Dataset& data, const std::string& directory);

// Does the run keep lists?
bool keeps_split(const std::string& run);
// The lists themselves, to compare: "" where it keeps none.
std::string read_split(const std::string& run);
// Is any picture of the data in the run's lists?
bool shares_pictures(const std::string& run, const Dataset& data);
// The splits and groups of the run in place of the data's. A picture that isn't in its lists is in no split, and a note
// of the data counts them. Where the run keeps no lists, a note says so, and the data's stay. Throws Error(kBadInput)
// where no picture is in the lists.
void follow_split(const std::string& run, Dataset& data, const std::string& directory);

}  // namespace echodiff
