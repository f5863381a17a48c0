// Shards of one sampling run (SamplerJob::shard) put together into the folder that one process would have made.
//
// Pictures, lines and seconds are those of the shards. Only the mean start's calls may be more: each shard asks for its
// masks' means itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quality/recordings/shard.h"

namespace echodiff {

// Makes `out` of all shards of a run, or makes it whole where that was broken off. Returns the number of trajectories.
// Throws Error(kBadInput), naming the folder or the shard: one that is missing, there twice, unfinished, of other
// settings, or holds another's trajectories; kCannotCreate where `out` is something else.
int64_t merge_samples(const std::vector<std::string>& shards, const std::string& out);

}  // namespace echodiff
