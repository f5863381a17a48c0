#include "quality/recordings/shard.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>

#include "kernels/error.h"
#include "tensor/io/text.h"

namespace echodiff {

Shard parse_shard(const std::string& text, const std::string& what) {
  Shard shard;
  char slash = 0, rest = 0;
  std::istringstream in(text);
  const bool fits = (in >> shard.index >> slash >> shard.of) && slash == '/' && !(in >> rest) && shard.index >= 0 &&
                    shard.of >= 1 && shard.index < shard.of;
  check_input(fits, Fault::kUsage, what, ": expected i/n with 0 <= i < n, found '", text, "'");
  return shard;
}

std::string text_of(const Shard& shard) { return concat_message(shard.index, "/", shard.of); }

Shard shard_of_array() {
  const auto number = [](const char* name, int64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : parse_number<int64_t>(text).value_or(-1);
  };
  if (std::getenv("SLURM_ARRAY_TASK_ID") == nullptr) return {};
  const int64_t step = std::max<int64_t>(1, number("SLURM_ARRAY_TASK_STEP", 1));
  const int64_t task = number("SLURM_ARRAY_TASK_ID", 0) - number("SLURM_ARRAY_TASK_MIN", 0);
  return {task / step, number("SLURM_ARRAY_TASK_COUNT", 1)};
}

std::vector<size_t> places_of_shards(const std::vector<Shard>& shards, const std::vector<std::string>& folders) {
  check_input(!shards.empty(), Fault::kUsage, "merge: expected the folders of the shards, found none");
  const int64_t of = shards[0].of;
  std::map<int64_t, size_t> found;
  for (size_t i = 0; i < shards.size(); ++i) {
    check_input(shards[i].of == of, Fault::kBadInput, folders[i], ": is shard ", text_of(shards[i]),
                ", expected one of ", of, " as in ", folders[0]);
    const auto [twin, is_new] = found.emplace(shards[i].index, i);
    check_input(is_new, Fault::kBadInput, folders[i], ": is shard ", text_of(shards[i]), ", which ",
                folders[twin->second], " is too; give each once");
  }
  std::string missing;
  for (int64_t i = 0; i < of; ++i)
    if (!found.contains(i)) missing += (missing.empty() ? "" : ", ") + text_of(Shard{i, of});
  check_input(missing.empty(), Fault::kBadInput, "merge: shard ", missing, " is missing");
  std::vector<size_t> places;
  for (const auto& [index, place] : found) places.push_back(place);
  return places;
}

}  // namespace echodiff
