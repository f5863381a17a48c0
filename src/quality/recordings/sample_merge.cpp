#include "quality/recordings/sample_merge.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include "quality/recordings/sample_folder.h"
#include "tensor/io/json.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"
#include "train/metadata.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

struct ShardFolder {
  std::string path;
  Shard shard;
  std::map<std::string, std::string> settings;  // without the shard
  SampleSummary summary;
};

ShardFolder read_shard_folder(const std::string& path) {
  check_input(fs::is_directory(path), Fault::kMissingInput, path, ": no such folder, expected a shard of dsample");
  std::map<std::string, std::string> settings = binding_settings(read_flat_toml(path + "/config.toml"));
  ShardFolder folder{path, parse_shard(settings["shard"], path + "/config.toml: shard"), {}, {}};
  settings.erase("shard");
  folder.settings = std::move(settings);
  const std::string advice =
      concat_message("shard ", text_of(folder.shard), " is not finished; give its command again");
  check_input(fs::exists(path + "/summary.json"), Fault::kBadInput, path, ": ", advice);
  folder.summary = read_sample_summary(path);
  check_input(!folder.summary.totals.interrupted, Fault::kBadInput, path, ": ", advice);
  return folder;
}

// All shards of one run, in order.
std::vector<ShardFolder> read_shard_folders(const std::vector<std::string>& paths) {
  std::vector<ShardFolder> given, ordered;
  std::vector<Shard> shards;
  for (const std::string& path : paths) shards.push_back(given.emplace_back(read_shard_folder(path)).shard);
  for (const size_t place : places_of_shards(shards, paths)) ordered.push_back(std::move(given[place]));
  for (const ShardFolder& folder : ordered) {
    const std::string differing = differences(ordered[0].settings, folder.settings);
    check_input(differing.empty(), Fault::kBadInput, folder.path, ": was drawn by other settings than ",
                ordered[0].path, ": ", differing);
  }
  return ordered;
}

// The first one's config.toml, as the run of all trajectories would have it.
std::string merged_config(const ShardFolder& first) {
  std::istringstream lines(read_file(first.path + "/config.toml"));
  std::string text;
  for (std::string line; std::getline(lines, line);)
    text += (line.starts_with("shard = ") ? toml_text_line("shard", text_of(Shard())) : line + "\n");
  return text;
}

// The lines of a file of the shard, by the index that each names.
void add_lines(const ShardFolder& folder, const std::string& name, std::map<int64_t, std::string>& lines) {
  const std::string path = folder.path + "/" + name;
  std::istringstream text(read_file(path));
  int64_t number = 0;
  for (std::string line; std::getline(text, line);) {
    const std::string where = concat_message(path, ":", ++number);
    const int64_t index = parse_json(line, where).count("index");
    check_input(index % folder.shard.of == folder.shard.index, Fault::kBadInput, where, ": trajectory ", index,
                " is not of shard ", text_of(folder.shard));
    check_input(lines.emplace(index, line).second, Fault::kBadInput, where, ": trajectory ", index, " is there twice");
  }
}

std::string joined(const std::map<int64_t, std::string>& lines) {
  std::string text;
  for (const auto& [index, line] : lines) text += line + "\n";
  return text;
}

void copy_pictures(const ShardFolder& folder, const std::string& out) {
  for (const char* part : {"images", "discarded", "scored"}) {
    const std::string from = folder.path + "/" + part, to = out + "/" + part;
    if (!fs::is_directory(from)) continue;
    make_directories(to);
    for (const fs::directory_entry& entry : fs::directory_iterator(from))
      if (const std::string name = entry.path().filename().string(); !name.starts_with(kTemporaryPrefix))
        write_file_atomic(to + "/" + name, read_file(entry.path().string()));
  }
}

// The sum of what the shards say.
struct Sum {
  SummaryFacts facts;
  SamplerTotals totals;
  double calls_if_all_finished = 0, cost_of_shallow = 0, grey = 0, grey_of_data = 0;
  bool grey_known = true;

  void add(const SampleSummary& summary, double calls_saved) {
    const SamplerTotals& one = summary.totals;
    totals.trajectories += one.trajectories, totals.kept += one.kept, totals.unet_calls += one.unet_calls;
    totals.shallow_calls += one.shallow_calls, totals.mean_start_calls += one.mean_start_calls;
    totals.unused_calls += one.unused_calls, totals.scored_images += one.scored_images;
    totals.unet_seconds += one.unet_seconds, totals.scorer_seconds += one.scorer_seconds;
    facts.seconds += summary.seconds;
    calls_if_all_finished += double(one.unet_calls + one.unused_calls) / std::max(1e-12, 1 - calls_saved);
    cost_of_shallow += summary.shallow_call_cost * double(one.shallow_calls);
    grey_known = grey_known && summary.mean_grey && summary.mean_grey_of_data;
    grey += summary.mean_grey.value_or(0) * double(one.kept);
    grey_of_data += summary.mean_grey_of_data.value_or(0) * double(one.kept);
  }
  void close() {
    if (grey_known && totals.kept > 0) {
      facts.mean_grey = grey / double(totals.kept);
      facts.mean_grey_of_data = grey_of_data / double(totals.kept);
    }
    if (totals.shallow_calls == 0) return;
    totals.whole = {1, 1};
    totals.shallow = {1, cost_of_shallow / double(totals.shallow_calls)};
  }
};

std::string merged_summary(const std::vector<ShardFolder>& folders) {
  Sum sum;
  static_cast<SummaryFacts&>(sum.facts) = folders.front().summary;
  sum.facts.seconds = 0;
  CostUnit unit = folders.front().summary.unit;
  if (unit.masks == 0) unit.masks = 1;
  CostLedger ledger(unit);
  std::map<int64_t, SampleLine> lines;  // in the order of the unbroken run
  for (const ShardFolder& folder : folders) {
    sum.add(folder.summary, read_json(folder.path + "/summary.json").number("calls_saved"));
    for (SampleLine& line : read_samples(folder.path)) lines.emplace(line.index, std::move(line));
  }
  for (const auto& [index, line] : lines) ledger.add(line);
  sum.close();
  return summary_text(sum.facts, sum.totals, ledger, sum.calls_if_all_finished);
}

}  // namespace

int64_t merge_samples(const std::vector<std::string>& shards, const std::string& out) {
  const std::vector<ShardFolder> folders = read_shard_folders(shards);
  const std::string config = merged_config(folders.front());
  const std::string summary = merged_summary(folders);  // reads, and so checks, every line and picture
  std::map<int64_t, std::string> lines, seconds;
  for (const ShardFolder& folder : folders) {
    add_lines(folder, "samples.jsonl", lines);
    add_lines(folder, "seconds.jsonl", seconds);
  }
  holds_same_run(out, config);  // before anything is put there
  const FolderLock lock(out);
  fs::remove(out + "/summary.json");
  write_file_atomic(out + "/config.toml", config);
  for (const ShardFolder& folder : folders) copy_pictures(folder, out);
  write_file_atomic(out + "/seconds.jsonl", joined(seconds));
  write_file_atomic(out + "/samples.jsonl", joined(lines));
  write_file_atomic(out + "/summary.json", summary);
  return int64_t(lines.size());
}

}  // namespace echodiff
