#include "quality/recordings/recording_merge.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "kernels/error.h"
#include "quality/recordings/recording.h"
#include "tensor/io/file.h"
#include "tensor/io/json.h"
#include "tensor/io/lock.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

std::string part_path(const std::string& directory) { return directory + "/part.json"; }

// The folders in the shards' order; `whole` becomes what all of them are parts of.
std::vector<std::string> folders_in_order(const std::vector<std::string>& directories, RecordingPart* whole) {
  std::vector<Shard> shards;
  std::string facts;  // of the first: recording.json
  for (const std::string& directory : directories) {
    const RecordingPart part = read_recording_part(directory);
    if (shards.empty()) *whole = part, facts = read_file(directory + "/recording.json");
    check_input(part.count == whole->count, Fault::kBadInput, directory, ": is of ", part.count,
                " trajectories, expected ", whole->count, " as in ", directories[0]);
    check_input(read_file(directory + "/recording.json") == facts, Fault::kBadInput, directory,
                ": was recorded with other settings than ", directories[0], " (recording.json differs)");
    shards.push_back(part.shard);
  }
  std::vector<std::string> ordered;
  for (const size_t place : places_of_shards(shards, directories)) ordered.push_back(directories[place]);
  return ordered;
}

// The lines of every part's seconds.jsonl, by the file that each is of.
std::string merged_seconds(const std::vector<std::string>& parts) {
  std::map<int64_t, std::string> lines;
  for (const std::string& directory : parts) {
    const std::string path = directory + "/seconds.jsonl";
    std::istringstream file(read_file(path));
    for (std::string line; std::getline(file, line);) lines[parse_json(line, path).count("shard")] = line;
  }
  std::string text;
  for (const auto& [shard, line] : lines) text += line + "\n";
  return text;
}

}  // namespace

bool is_recording_part(const std::string& directory) { return fs::exists(part_path(directory)); }

RecordingPart read_recording_part(const std::string& directory) {
  check_input(is_recording_part(directory), Fault::kBadInput, directory,
              ": expected a part of a recording (dsample record --shard), found no part.json");
  const JsonNode json = read_json(part_path(directory));
  RecordingPart part{parse_shard(json.text("shard"), part_path(directory) + ": shard"), json.count("count")};
  check_input(part.count > 0, Fault::kBadInput, part_path(directory), ": expected a count above 0");
  return part;
}

void open_recording_part(const std::string& directory, const RecordingPart& part) {
  if (is_recording_part(directory)) {
    const Shard there = read_recording_part(directory).shard;
    check_input(there.index == part.shard.index && there.of == part.shard.of, Fault::kCannotCreate, directory,
                ": holds shard ", text_of(there), ", expected ", text_of(part.shard), "; record into another folder");
  } else {
    check_input(!fs::exists(shard_path(directory, 0)), Fault::kCannotCreate, directory,
                ": holds a recording that was not made in shards; record into another folder");
  }
  write_file_atomic(
      part_path(directory),
      nlohmann::ordered_json{{"kind", "recording part"}, {"shard", text_of(part.shard)}, {"count", part.count}}.dump() +
          "\n");
}

int64_t merge_recordings(const std::vector<std::string>& directories, const std::string& out) {
  RecordingPart whole;
  const std::vector<std::string> parts = folders_in_order(directories, &whole);
  const RecordingFacts facts = read_recording_facts(directories[0]);
  const int64_t files = (whole.count + facts.per_shard - 1) / facts.per_shard;
  for (int64_t file = 0; file < files; ++file) {  // reads, and so checks, every one
    const std::string& directory = parts[size_t(file % whole.shard.of)];
    const int64_t wanted = std::min(facts.per_shard, whole.count - file * facts.per_shard);
    check_input(int64_t(read_shard(directory, file, facts, false).size()) == wanted, Fault::kBadInput, directory,
                ": shard ", text_of({file % whole.shard.of, whole.shard.of}),
                " is not finished; give its command again");
  }
  const std::string recording = read_file(directories[0] + "/recording.json");
  check_input(!fs::exists(out) || fs::is_empty(out) ||
                  (fs::exists(out + "/recording.json") && read_file(out + "/recording.json") == recording),
              Fault::kCannotCreate, out, ": holds something else; name another folder");
  const FolderLock lock(out);
  const auto copy = [&](const std::string& from, const std::string& name) {
    write_file_atomic(out + "/" + name, read_file(from + "/" + name));
  };
  copy(directories[0], "recording.json");
  copy(directories[0], "conditions.safetensors");
  for (int64_t file = 0; file < files; ++file)
    copy(parts[size_t(file % whole.shard.of)], fs::path(shard_path(out, file)).filename().string());
  write_file_atomic(out + "/seconds.jsonl", merged_seconds(parts));
  return whole.count;
}

}  // namespace echodiff
