#include "train/data/dataset_index.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "kernels/philox.h"
#include "tensor/io/file.h"
#include "tensor/io/json.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

// The cells of one record, and moves `at` behind it. Quoted cells may hold commas, doubled quotes and line ends.
std::vector<std::string> csv_record(const std::string& text, size_t& at, int64_t& line, const std::string& path) {
  std::vector<std::string> cells(1);
  const int64_t first_line = line;
  bool quoted = false;
  for (; at < text.size(); ++at) {
    const char letter = text[at];
    if (letter == '\n') ++line;
    if (quoted) {
      if (letter != '"') {
        cells.back() += letter;
      } else if (at + 1 < text.size() && text[at + 1] == '"') {
        cells.back() += '"';
        ++at;
      } else {
        quoted = false;
      }
    } else if (letter == '\n') {
      ++at;
      break;
    } else if (letter == ',') {
      cells.emplace_back();
    } else if (letter == '"' && cells.back().empty()) {
      quoted = true;
    } else {
      cells.back() += letter;
    }
  }
  check_input(!quoted, Fault::kBadInput, path, ":", first_line, ": a quoted cell is never closed");
  if (!cells.back().empty() && cells.back().back() == '\r') cells.back().pop_back();
  return cells;
}

// The position of a column by its header name, -1 without it.
int64_t column_of(const std::vector<std::string>& header, const std::string& name, const std::string& path) {
  const int64_t count = std::count(header.begin(), header.end(), name);
  check_input(count <= 1, Fault::kBadInput, path, ":1: column \"", name, "\" appears ", count, " times");
  return count == 0 ? -1 : std::find(header.begin(), header.end(), name) - header.begin();
}

}  // namespace

void check_planes(const std::vector<Plane>& planes, Fault fault, const std::string& where) {
  std::set<std::string> names;
  std::set<int> values;
  for (const Plane& plane : planes) {
    check_input(!plane.name.empty() && plane.name != "sector", fault, where, ": a plane named \"", plane.name,
                "\", expected a name other than \"sector\" (the sector is always a plane)");
    check_name(plane.name, fault, where, "plane");
    check_input(plane.value >= 1 && plane.value <= 255, fault, where, ": plane ", plane.name, " has value ",
                plane.value, ", expected 1 to 255 (0 is the background)");
    check_input(names.insert(plane.name).second, fault, where, ": plane ", plane.name, " is given twice");
    check_input(values.insert(plane.value).second, fault, where, ": two planes have the value ", plane.value);
  }
}

DatasetDescription read_description(const std::string& path) {
  const JsonNode json = read_json(path);
  DatasetDescription description;
  if (json.find("planes") == nullptr)
    json.refuse("planes", R"({"planes": [{"name": "liver", "value": 1}], "sector": true})");
  for (const JsonNode& plane : json.objects("planes")) {
    const int64_t value = std::clamp(plane.integer("value"), int64_t{-1}, int64_t{256});
    description.planes.push_back({plane.text("name"), int(value)});
  }
  check_planes(description.planes, Fault::kBadInput, path);
  if (json.find("sector") != nullptr) description.sector = json.flag("sector");
  return description;
}

std::map<std::string, IndexRow> read_index(const std::string& path) {
  std::string text = read_file(path);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // the mark some spreadsheets put first
  size_t at = 0;
  int64_t line = 1;
  const std::vector<std::string> header = csv_record(text, at, line, path);
  const int64_t file = column_of(header, "file", path), split = column_of(header, "split", path);
  const int64_t group = column_of(header, "group", path);
  check_input(file >= 0, Fault::kBadInput, path, ":1: no column named \"file\" in its header");
  std::map<std::string, IndexRow> rows;
  while (at < text.size()) {
    const int64_t row_line = line;
    const std::vector<std::string> cells = csv_record(text, at, line, path);
    if (cells.size() == 1 && cells[0].empty()) continue;
    check_input(cells.size() == header.size(), Fault::kBadInput, path, ":", row_line, ": ", cells.size(),
                " cells, expected ", header.size(), " as in the header");
    IndexRow row{row_line, split < 0 ? "" : cells[size_t(split)], group < 0 ? "" : cells[size_t(group)]};
    check_input(split < 0 || row.split == "train" || row.split == "val" || row.split == "test", Fault::kBadInput, path,
                ":", row_line, ": split \"", row.split, "\", expected train, val or test");
    const bool added = rows.emplace(cells[size_t(file)], std::move(row)).second;
    check_input(added, Fault::kBadInput, path, ":", row_line, ": file ", cells[size_t(file)], " appears twice");
  }
  return rows;
}

void resolve_splits(std::vector<Example>& examples, uint64_t seed, const std::string& where) {
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
  for (const auto& [group, example] : first_of_group) {
    if (example->split == "train") groups.push_back(group);
  }
  const int64_t count = int64_t(groups.size());
  if (count < 2) return;  // the only group has to be trained on
  Random random(seed, /*stream=*/0x5A11D);
  for (int64_t i = count - 1; i > 0; --i) std::swap(groups[size_t(i)], groups[size_t(random.below(i + 1))]);
  const int64_t drawn = std::max(int64_t{1}, (count + 5) / 10);
  const std::set<std::string> validation(groups.begin(), groups.begin() + drawn);
  for (Example& example : examples) {
    if (example.split == "train" && validation.contains(example.group)) example.split = "val";
  }
}

}  // namespace echodiff
