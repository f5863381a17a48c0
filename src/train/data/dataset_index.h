// The two text files of a data-set folder: dataset.json (planes) and index.csv (split and group of each picture).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/error.h"
#include "train/data/dataset.h"

namespace echodiff {

struct DatasetDescription {
  std::vector<Plane> planes;
  std::optional<bool> sector;  // whether there is a sector/ folder; absent: whatever the folder shows
};

// Reads dataset.json. Throws Error kBadInput naming the file, the line where it is not JSON, or the key.
DatasetDescription read_description(const std::string& path);

// Throws Error `fault` unless names and values are distinct, values 1..255 and no plane is named "sector".
void check_planes(const std::vector<Plane>& planes, Fault fault, const std::string& where);

struct IndexRow {
  int64_t line;
  std::string split, group;  // "" where the column is not there (group: or the cell is empty)
};

// Reads index.csv: file name -> its row. Throws Error kBadInput naming the file and the line.
std::map<std::string, IndexRow> read_index(const std::string& path);

// Fills the split of examples that have none (train), and draws validation groups where no example is in "val".
// Throws Error kBadInput when a group is in two splits.
void resolve_splits(std::vector<Example>& examples, uint64_t seed, const std::string& where);

}  // namespace echodiff
