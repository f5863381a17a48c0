// A recording made in parts, each by a process of its own: part i of n holds the chains-*.safetensors whose number is i
// modulo n, and part.json, which says so. Put together they are the recording that one process would have made.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quality/recordings/shard.h"

namespace echodiff {

// Whether the folder is such a part; and which, of how many trajectories together. Throws Error(kBadInput).
bool is_recording_part(const std::string& directory);
struct RecordingPart {
  Shard shard;
  int64_t count = 0;
};
RecordingPart read_recording_part(const std::string& directory);
// Says so in a new or an unfinished part; a larger count adds to it. Throws Error(kCannotCreate) where it is another.
void open_recording_part(const std::string& directory, const RecordingPart& part);

// Makes `out` of all parts, or makes it whole where that was broken off. Returns the number of trajectories. Throws
// Error(kBadInput), naming the folder or the part: one that is missing, there twice, unfinished, of other settings or
// damaged; kCannotCreate where `out` is something else.
int64_t merge_recordings(const std::vector<std::string>& parts, const std::string& out);

}  // namespace echodiff
