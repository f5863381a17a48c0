#include "kernels/cuda/plan_choices.h"

#include <fstream>
#include <sstream>
#include <utility>

#include "kernels/error.h"

namespace echodiff::cuda {

PlanChoices::PlanChoices(std::string path) : path_(std::move(path)) {
  std::ifstream file(path_);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    PlanChoice choice{};
    std::string problem;
    if (words >> choice.position >> choice.engine && words.get() == ' ' && std::getline(words, problem))
      choices_.insert_or_assign(problem, choice);
  }
}

std::optional<PlanChoice> PlanChoices::find(const std::string& problem) const {
  const auto found = choices_.find(problem);
  return found == choices_.end() ? std::nullopt : std::optional(found->second);
}

void PlanChoices::add(const std::string& problem, PlanChoice choice) {
  choices_.insert_or_assign(problem, choice);
  std::ofstream file(path_, std::ios::app);
  file << concat_message(choice.position, " ", choice.engine, " ", problem, "\n") << std::flush;
  check_input(file.good(), Fault::kIo, path_, ": the choice of a plan can't be written; give another folder, or none");
}

}  // namespace echodiff::cuda
