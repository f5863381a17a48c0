#include "quality/recordings/sample_progress.h"

#include <cstdio>
#include <filesystem>
#include <system_error>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tensor/io/json.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"
#include "train/metadata.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

// Settings that change no result.
constexpr const char* kFree[] = {"threads", "quiet", "out", "made_by.version", "made_by.revision"};

// The whole lines of a file, and where each ends; none where there is no file.
std::vector<std::string> whole_lines(const std::string& path, std::vector<int64_t>* ends) {
  std::vector<std::string> lines;
  std::error_code error;
  const std::string text = fs::exists(path, error) ? read_file(path) : "";
  size_t start = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', start)) {
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
    ends->push_back(int64_t(start));
  }
  return lines;
}

// The record of one trajectory, with its picture where the run keeps that. Throws Error for one that isn't whole.
SampleRecord read_record(const std::string& directory, const std::string& line, const std::string& seconds,
                         bool discarded) {
  SampleRecord record = read_sample_line(parse_json(line, "samples.jsonl"));
  const JsonNode taken = parse_json(seconds, "seconds.jsonl");
  check_input(taken.count("index") == record.index, Fault::kBadInput, "seconds.jsonl: is of another trajectory");
  record.seconds = taken.number("seconds");
  if (record.kept() || discarded) record.image = read_png(picture_path(directory, record));
  return record;
}

}  // namespace

std::map<std::string, std::string> binding_settings(std::map<std::string, std::string> settings) {
  for (const char* key : kFree) settings.erase(key);
  return settings;
}

std::string mask_of(const JsonNode& json) {
  const std::string mask = json.text("mask", "");
  check_input(
      mask.find('/') == std::string::npos && mask.find('\0') == std::string::npos && mask != "." && mask != "..",
      Fault::kBadInput, json.where, ": key \"mask\": expected the name of a file in masks/, found ", in_quotes(mask),
      "; sample again");
  return mask;
}

SampleLine read_sample_line(const JsonNode& json) {
  SampleLine line;
  line.index = json.count("index");
  line.mask = mask_of(json);
  line.seed = json.find("seed") ? json.seed("seed") : 0;
  line.unet_calls = json.count("unet_calls");
  line.shallow_calls = json.count("shallow_calls", 0);
  line.mean_start_calls = json.count("mean_start_calls", 0);
  line.decision = json.choice("decision", {"accepted", "discarded", "finished"});
  line.reason = json.text("reason", "");
  if (json.find("final_score")) line.final_score = json.number("final_score");
  if (json.find("halted_t")) line.halted_t = json.count("halted_t");
  if (json.find("ancestor")) line.ancestor = json.count("ancestor");
  for (const JsonNode& pair : json.items("scores")) {
    check_input(pair.list.size() == 2, Fault::kBadInput, json.where,
                ": key \"scores\": expected pairs [t, score], found a list of ", pair.list.size(), "; sample again");
    line.scores.push_back({int64_t(pair.list[0].as_number("scores")), pair.list[1].as_number("scores")});
  }
  return line;
}

std::string picture_name(int64_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "%06lld.png", static_cast<long long>(index));
  return name;
}

std::string picture_path(const std::string& directory, const SampleRecord& record) {
  return directory + (record.kept() ? "/images/" : "/discarded/") + picture_name(record.index);
}

SampleProgress read_progress(const std::string& directory, bool discarded) {
  SampleProgress progress;
  const std::vector<std::string> lines = whole_lines(directory + "/samples.jsonl", &progress.line_ends),
                                 seconds = whole_lines(directory + "/seconds.jsonl", &progress.seconds_ends);
  try {
    for (size_t i = 0; i < std::min(lines.size(), seconds.size()); ++i) {
      SampleRecord record = read_record(directory, lines[i], seconds[i], discarded);
      progress.indices.push_back(record.index);
      progress.records[record.index] = std::move(record);
    }
  } catch (const Error&) {  // what the power took with it is made again, from here on
  }
  return progress;
}

bool holds_same_run(const std::string& directory, const std::string& settings) {
  const std::string config = directory + "/config.toml";
  std::error_code error;
  if (!fs::exists(config, error)) {
    check_input(!fs::exists(directory, error) || fs::is_directory(directory, error), Fault::kCannotCreate, directory,
                ": is a file, expected the name of a folder");
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      check_input(name == ".lock" || name.starts_with(kTemporaryPrefix), Fault::kCannotCreate, directory,
                  ": is there already and not an empty folder; name another or remove it");
    }
    return false;
  }
  const std::string differing =
      differences(binding_settings(read_flat_toml(config)), binding_settings(parse_flat_toml(settings, "settings")));
  check_input(differing.empty(), Fault::kCannotCreate, directory, ": holds a run of other settings: ", differing,
              "; give the same to go on with it, or name another folder");
  return true;
}

}  // namespace echodiff
