#include "train/folder/split.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "train/data/dataset_index.h"
#include "train/folder/listing.h"

namespace echodiff {
namespace {

constexpr uint64_t kOneIn = 10;  // train groups that validate

std::string list_path(const std::string& run) { return run + "/split.csv"; }

std::string cell(const std::string& text) {
  if (text.find_first_of(",\"\n\r\t; ") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char letter : text) quoted += letter == '"' ? std::string("\"\"") : std::string(1, letter);
  return quoted + "\"";
}

std::string lists_of(const Dataset& data) {
  std::string text = "file,split,group\n";
  std::set<std::string> listed;  // a picture may be there again, with samples of its mask
  for (const Example& example : data.examples)
    if (listed.insert(example.file).second)
      text += cell(example.file) + "," + example.split + "," + cell(example.group) + "\n";
  return text;
}

// The groups that validate, of at least two.
std::set<std::string> drawn_by_name(const std::vector<std::string>& groups) {
  std::set<std::pair<uint64_t, std::string>> by_hash;
  for (const std::string& group : groups) {
    const std::string name = stem_of(group);  // a picture without a group: its name, whatever kind of file it is
    by_hash.emplace(XXH3_64bits(name.data(), name.size()), group);
  }
  std::set<std::string> drawn;
  for (const auto& [hash, group] : by_hash)
    if (hash % kOneIn == 0) drawn.insert(group);
  if (drawn.empty()) drawn.insert(by_hash.begin()->second);
  if (drawn.size() == by_hash.size()) drawn.erase(by_hash.rbegin()->second);
  return drawn;
}

}  // namespace

void resolve_splits(std::vector<Example>& examples, const std::string& where) {
  std::map<std::string, const Example*> first_of_group;
  bool has_validation = false;
  for (Example& example : examples) {
    if (example.split.empty()) example.split = "train";
    has_validation = has_validation || example.split == "val";
    const Example& first = *first_of_group.emplace(example.group, &example).first->second;
    check_input(first.split == example.split, Fault::kBadInput, where, ": group ", example.group, " crosses a split (",
                first.file, " is in ", first.split, ", ", example.file, " in ", example.split,
                "); give one group one split");
  }
  if (has_validation) return;
  std::vector<std::string> groups;
  for (const auto& [group, example] : first_of_group)
    if (example->split == "train") groups.push_back(group);
  if (groups.size() < 2) return;  // the only group has to be trained on
  const std::set<std::string> validation = drawn_by_name(groups);
  for (Example& example : examples)
    if (example.split == "train" && validation.contains(example.group)) example.split = "val";
}

void keep_split(const std::string& run, const Dataset& data) { write_file_atomic(list_path(run), lists_of(data)); }

bool keeps_split(const std::string& run) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(list_path(run), ignored);
}

std::string read_split(const std::string& run) { return keeps_split(run) ? read_file(list_path(run)) : ""; }

bool shares_pictures(const std::string& run, const Dataset& data) {
  const FolderIndex kept = read_index(list_path(run));
  return std::any_of(data.examples.begin(), data.examples.end(),
                     [&](const Example& example) { return kept.find(example.file) != nullptr; });
}

void require_same_split(const std::string& run, const Dataset& data, const std::string& directory) {
  if (!keeps_split(run)) return;
  const std::map<std::string, IndexRow> kept = read_index(list_path(run)).rows;
  const auto differs = [&](const std::string& file, const std::string& what) {
    throw Error(Fault::kBadInput, concat_message(directory, ": ", file, " ", what, " by ", list_path(run),
                                                 "; the data has changed since the run began: begin a new one"));
  };
  std::set<std::string> files;
  for (const Example& example : data.examples) {
    files.insert(example.file);
    const auto row = kept.find(example.file);
    if (row == kept.end()) differs(example.file, "is new");
    if (row->second.split != example.split)
      differs(example.file, "is in " + example.split + ", was in " + row->second.split);
  }
  for (const auto& [file, row] : kept)
    if (!files.contains(file)) differs(file, "is missing");
}

void follow_split(const std::string& run, Dataset& data, const std::string& directory) {
  if (!keeps_split(run)) {
    data.notes.push_back(concat_message(run, " keeps no split.csv: held out is what ", directory,
                                        " says, which may not be what the run held out"));
    return;
  }
  const FolderIndex kept = read_index(list_path(run));
  int64_t unlisted = 0;
  for (Example& example : data.examples) {
    const IndexRow* row = kept.find(example.file);
    unlisted += row == nullptr ? 1 : 0;
    example.split = row == nullptr ? "" : row->split;
    if (row != nullptr && !row->group.empty()) example.group = row->group;
  }
  check_input(unlisted < int64_t(data.examples.size()), Fault::kBadInput, directory, ": none of its pictures is in ",
              list_path(run), "; give the data that the run was trained on");
  data.notes.push_back(
      concat_message("held out is what ", list_path(run), " says",
                     unlisted > 0 ? concat_message("; ", unlisted, " pictures aren't in it and are left out") : ""));
}

}  // namespace echodiff
