// The header of a safetensors file, read and checked as a whole before any tensor is made.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/stored.h"

namespace echodiff {

struct StoredEntry {
  std::string name;
  StoredType type;
  Shape shape;
  int64_t begin, end;  // bytes of the data, which follow the header
};

struct SafetensorsHeader {
  std::vector<StoredEntry> entries;             // in the header's order; together they cover the data once
  std::map<std::string, std::string> metadata;  // __metadata__
};

// The header's length, from the first 8 bytes of a file of `file_size`. Both throw Error(kBadInput), naming `path` and
// the key or offset, as read_safetensors says.
int64_t safetensors_header_length(std::string_view first, int64_t file_size, const std::string& path);
SafetensorsHeader parse_safetensors_header(std::string_view header, int64_t data_size, const std::string& path);

}  // namespace echodiff
