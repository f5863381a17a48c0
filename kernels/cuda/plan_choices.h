// Which of the plans offered for a convolution was the fastest on a device, kept in a text file between runs: a line is
// "position engine problem". The file belongs to one device and one version of cuDNN.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace echodiff::cuda {

struct PlanChoice {
  size_t position;  // among the plans offered
  int64_t engine;   // cuDNN's number of it; another one there means that the list has changed
};

class PlanChoices {
 public:
  // Reads what is there. A line that isn't one of ours is passed over: what it chose is timed again.
  explicit PlanChoices(std::string path);
  std::optional<PlanChoice> find(const std::string& problem) const;
  // Appends it to the file. Throws Error(kIo) where that fails.
  void add(const std::string& problem, PlanChoice choice);

 private:
  std::string path_;
  std::map<std::string, PlanChoice> choices_;
};

}  // namespace echodiff::cuda
