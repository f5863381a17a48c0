// The two text files of a data-set folder: dataset.json (planes, window) and index.csv (split and group of a picture).
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
  std::optional<bool> sector;    // whether there is a sector/ folder; absent: whatever the folder shows
  std::optional<Window> window;  // of 16-bit pictures
  bool reviewed = true;          // false: of an import whose pictures nobody has looked at for burned-in names
};

// Reads dataset.json. Throws Error kBadInput naming the file, the line where it is not JSON, or the key.
DatasetDescription read_description(const std::string& path);

// Throws Error `fault` unless names and values are distinct, values 1..255, and no plane is named "sector" or has a
// name that a list of them could not hold (a comma, a line end, blanks around it).
void check_planes(const std::vector<Plane>& planes, Fault fault, const std::string& where);

struct IndexRow {
  int64_t line;
  std::string split, group;  // "" where the column is not there (group: or the cell is empty)
};

struct FolderIndex {
  std::map<std::string, IndexRow> rows;  // by file name
  std::string group_column;              // that names the groups: group, else patient, subject or case; "" without one
  std::vector<std::string> unused;       // columns that mean nothing here

  // The row of a file: under its own name, else under its name with another ending; null without one.
  const IndexRow* find(const std::string& file) const;

  std::map<std::string, std::string> names;  // of the files, by their stems
};

// Reads index.csv: cells separated by commas, semicolons or tabs, blanks around them left out, column names in any
// case. Throws Error kBadInput naming the file and the line.
FolderIndex read_index(const std::string& path);

}  // namespace echodiff
