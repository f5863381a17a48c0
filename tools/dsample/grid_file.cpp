#include "dsample/grid_file.h"

#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tensor/io/json.h"

namespace echodiff {

GridFile read_grid_file(const std::string& path, int64_t timesteps) {
  const JsonNode json = read_json(path);
  json.choice("kind", {"grid"});
  GridFile grid;
  grid.timesteps = json.count("timesteps");
  check_input(grid.timesteps == timesteps, Fault::kBadInput, path, ": is a grid of ", grid.timesteps,
              " time steps, the model has ", timesteps, "; make one for it");
  for (const JsonNode& time : json.items("times")) grid.times.push_back(int64_t(time.as_number("times")));
  check_input(!grid.times.empty(), Fault::kBadInput, path, ": key \"times\": expected one time at least, found none");
  if (json.find("mean_start")) grid.mean_start = json.count("mean_start");
  return grid;
}

void write_grid_file(const std::string& path, const GridFile& grid, const std::string& chosen_by) {
  nlohmann::ordered_json json{{"kind", "grid"}, {"timesteps", grid.timesteps}};
  json["times"] = grid.times;
  if (grid.mean_start) json["mean_start"] = *grid.mean_start;
  json.update(nlohmann::ordered_json::parse(chosen_by));
  write_file_atomic(path, json.dump(1) + "\n");
}

}  // namespace echodiff
