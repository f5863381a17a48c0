// The file of --grid: the times that a sampler of few steps visits, of a network of so many time steps.
//
//   {"kind": "grid", "timesteps": 2000, "times": [1900, 1648, 980, 323, 80], "mean_start": 4, ...}
// mean_start is what --mean-start is where nobody says. Other keys say how fit-grid chose it; they are not read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace echodiff {

struct GridFile {
  int64_t timesteps = 0;
  std::vector<int64_t> times;
  std::optional<int64_t> mean_start;
};

// Throws Error: kMissingInput; kBadInput, also for another number of time steps than the model's.
GridFile read_grid_file(const std::string& path, int64_t timesteps);
// `chosen_by`: a JSON object whose keys join the file's.
void write_grid_file(const std::string& path, const GridFile& grid, const std::string& chosen_by);

}  // namespace echodiff
