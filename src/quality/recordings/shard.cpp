#include "quality/recordings/shard.h"

#include <algorithm>
#include <cstdlib>
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

}  // namespace echodiff
