// Shards of one sampling run (SamplerJob::shard) put together into the folder that one process would have made.
//
// Pictures, lines and seconds are those of the shards. Only the mean start's calls may be more: each shard asks for its
// masks' means itself.
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

// Makes `out` of all shards of a run, or makes it whole where that was broken off. Returns the number of trajectories.
// Throws Error(kBadInput), naming the folder or the shard: one that is missing, there twice, unfinished, of other
// settings, or holds another's trajectories; kCannotCreate where `out` is something else.
int64_t merge_samples(const std::vector<std::string>& shards, const std::string& out);

}  // namespace echodiff
