// What a sampling run that was broken off has left in its folder (sample_folder.h), to go on from.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "quality/sampling/sampler.h"

namespace echodiff {

class JsonNode;

struct SampleLine : SampleRecord {
  std::string mask;  // the condition's file name, or empty
  uint64_t seed = 0;
};
// The name of a file in masks/, "" where the line has none; never a path to somewhere else. Throws Error(kBadInput).
std::string mask_of(const JsonNode& json);
SampleLine read_sample_line(const JsonNode& json);  // throws Error(kBadInput)

std::string picture_name(int64_t index);  // "000012.png"
std::string picture_path(const std::string& directory, const SampleRecord& record);

// The lines of samples.jsonl from the first on that are whole, with their seconds and pictures.
struct SampleProgress {
  KnownRecords records;
  std::vector<int64_t> indices, line_ends, seconds_ends;  // in the files' order; ends: bytes
};
// `discarded`: the run keeps the pictures of discarded trajectories too.
SampleProgress read_progress(const std::string& directory, bool discarded);

// The settings of a config.toml that decide what is drawn: not who made it, with how many threads and where.
std::map<std::string, std::string> binding_settings(std::map<std::string, std::string> settings);

// Throws Error(kCannotCreate) unless `directory` is free for a run, or holds one of the same settings; true: it does.
bool holds_same_run(const std::string& directory, const std::string& settings);

}  // namespace echodiff
