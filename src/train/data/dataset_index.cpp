#include "train/data/dataset_index.h"

#include <algorithm>
#include <set>

#include "tensor/io/file.h"
#include "tensor/io/json.h"
#include "tensor/io/text.h"
#include "train/folder/listing.h"

namespace echodiff {
namespace {

// Where a reader of the text is.
struct Cursor {
  const std::string& text;
  const std::string& path;
  char separator;
  size_t at = 0;
  int64_t line = 1;

  bool done() const { return at >= text.size(); }
};

// Passes one line end (LF, CR LF or CR alone), if it is there.
bool pass_line_end(Cursor& cursor) {
  const std::string& text = cursor.text;
  if (text[cursor.at] != '\n' && text[cursor.at] != '\r') return false;
  cursor.at += text.compare(cursor.at, 2, "\r\n") == 0 ? 2 : 1;
  ++cursor.line;
  return true;
}

// The cells of one record. Quoted cells may hold separators, doubled quotes and line ends; others lose their blanks.
std::vector<std::string> csv_record(Cursor& cursor) {
  std::vector<std::string> cells(1);
  const int64_t first_line = cursor.line;
  bool quoted = false, was_quoted = false;
  const auto finish_cell = [&] {
    if (!was_quoted) cells.back() = trimmed(cells.back());
    was_quoted = false;
  };
  for (; !cursor.done(); ++cursor.at) {
    const std::string& text = cursor.text;
    const char letter = text[cursor.at];
    if (quoted) {
      if (letter == '\n') ++cursor.line;
      if (letter != '"') {
        cells.back() += letter;
      } else if (cursor.at + 1 < text.size() && text[cursor.at + 1] == '"') {
        cells.back() += '"';
        ++cursor.at;
      } else {
        quoted = false;
      }
    } else if (pass_line_end(cursor)) {
      break;
    } else if (letter == cursor.separator) {
      finish_cell();
      cells.emplace_back();
    } else if (letter == '"' && trimmed(cells.back()).empty() && !was_quoted) {
      cells.back().clear();
      quoted = was_quoted = true;
    } else if (!was_quoted || (letter != ' ' && letter != '\t')) {
      cells.back() += letter;
    }
  }
  finish_cell();
  check_input(!quoted, Fault::kBadInput, cursor.path, ":", first_line, ": a quoted cell is never closed");
  return cells;
}

// The names of the columns, in small letters; the cursor learns the separator.
std::vector<std::string> read_header(Cursor& cursor) {
  std::string seen;
  for (const char separator : {',', ';', '\t'}) {
    Cursor trial{cursor.text, cursor.path, separator};
    std::vector<std::string> header = csv_record(trial);
    for (std::string& name : header) name = lowered(name);
    if (seen.empty()) seen = join(header);
    if (std::find(header.begin(), header.end(), "file") == header.end()) continue;
    cursor.separator = separator;
    cursor.at = trial.at;
    cursor.line = trial.line;
    return header;
  }
  throw Error(Fault::kBadInput,
              concat_message(cursor.path, ":1: no column named \"file\" in its header, found ", in_quotes(seen),
                             "; expected names such as file,split,group, separated by commas, semicolons or tabs"));
}

// The position of a column by its header name, -1 without it.
int64_t column_of(const std::vector<std::string>& header, const std::string& name, const std::string& path) {
  const int64_t count = std::count(header.begin(), header.end(), name);
  check_input(count <= 1, Fault::kBadInput, path, ":1: column \"", name, "\" appears ", count, " times");
  return count == 0 ? -1 : std::find(header.begin(), header.end(), name) - header.begin();
}

// What other tools call the pictures that belong together, the first that is there counts.
constexpr const char* kGroupNames[] = {"group", "patient", "patient_id", "subject", "subject_id", "case", "case_id"};

bool can_be_listed(const std::string& name) {
  const bool plain = std::none_of(name.begin(), name.end(),
                                  [](char letter) { return letter == ',' || static_cast<unsigned char>(letter) < 32; });
  return plain && !name.empty() && name.front() != ' ' && name.back() != ' ';
}

Window read_window(const JsonNode& json) {
  const std::vector<int64_t> ends = json.integers("window");
  if (ends.size() != 2 || ends[0] < 0 || ends[1] > 65535 || ends[0] >= ends[1])
    json.refuse("window", "two greys [LOW, HIGH], 0 <= LOW < HIGH <= 65535");
  return {ends[0], ends[1]};
}

}  // namespace

void check_planes(const std::vector<Plane>& planes, Fault fault, const std::string& where) {
  std::set<std::string> names;
  std::set<int> values;
  for (const Plane& plane : planes) {
    check_input(plane.name != "sector", fault, where, ": a plane named \"sector\", expected another name (the ",
                "sector is always a plane)");
    check_name(plane.name, fault, where, "plane");
    check_input(can_be_listed(plane.name), fault, where, ": a plane named ", in_quotes(plane.name),
                ", expected a name without commas, line ends and blanks around it");
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
  if (json.find("window") != nullptr) description.window = read_window(json);
  if (json.find("reviewed") != nullptr) description.reviewed = json.flag("reviewed");
  return description;
}

const IndexRow* FolderIndex::find(const std::string& file) const {
  const std::map<std::string, IndexRow>::const_iterator own = rows.find(file);
  if (own != rows.end()) return &own->second;
  const std::map<std::string, std::string>::const_iterator name = names.find(stem_of(file));
  return name == names.end() ? nullptr : &rows.at(name->second);
}

FolderIndex read_index(const std::string& path) {
  std::string text = read_file(path);
  check_input(!text.starts_with("\xFF\xFE") && !text.starts_with("\xFE\xFF"), Fault::kBadInput, path,
              ": is UTF-16 text, expected UTF-8; save it as CSV (UTF-8)");
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // the mark some spreadsheets put first
  Cursor cursor{text, path, ','};
  const std::vector<std::string> header = read_header(cursor);
  const int64_t file = column_of(header, "file", path), split = column_of(header, "split", path);
  int64_t group = -1;
  for (const char* name : kGroupNames)
    if (group < 0) group = column_of(header, name, path);
  FolderIndex index;
  if (group >= 0) index.group_column = header[size_t(group)];
  for (int64_t column = 0; column < int64_t(header.size()); ++column)
    if (column != file && column != split && column != group) index.unused.push_back(header[size_t(column)]);
  while (!cursor.done()) {
    const int64_t row_line = cursor.line;
    const std::vector<std::string> cells = csv_record(cursor);
    if (std::all_of(cells.begin(), cells.end(), [](const std::string& cell) { return cell.empty(); })) continue;
    check_input(cells.size() == header.size(), Fault::kBadInput, path, ":", row_line, ": ", cells.size(),
                " cells, expected ", header.size(), " as in the header");
    const std::string& name = cells[size_t(file)];
    check_input(!name.empty(), Fault::kBadInput, path, ":", row_line, ": no file is named");
    IndexRow row{row_line, split < 0 ? "" : cells[size_t(split)], group < 0 ? "" : cells[size_t(group)]};
    check_input(split < 0 || row.split == "train" || row.split == "val" || row.split == "test", Fault::kBadInput, path,
                ":", row_line, ": split \"", row.split, "\", expected train, val or test");
    const bool added = index.rows.emplace(name, std::move(row)).second;
    check_input(added, Fault::kBadInput, path, ":", row_line, ": file ", name, " appears twice");
    index.names.emplace(stem_of(name), name);
  }
  return index;
}

}  // namespace echodiff
