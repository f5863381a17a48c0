// One of several processes that share the trajectories of a run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace echodiff {

// Which of how many: "2/8".
struct Shard {
  int64_t index = 0, of = 1;
};
// Throws Error(kUsage), naming `what`, unless it is i/n with 0 <= i < n.
Shard parse_shard(const std::string& text, const std::string& what);
std::string text_of(const Shard& shard);
// The task of SLURM's job array that this process is; 0/1 outside of one.
Shard shard_of_array();
// Where among `shards`, which lie in `folders`, shard 0, 1, ... of their run is. Throws Error(kUsage) for none,
// Error(kBadInput) where one is there twice, is missing, or is one of another number than the first.
std::vector<size_t> places_of_shards(const std::vector<Shard>& shards, const std::vector<std::string>& folders);

}  // namespace echodiff
