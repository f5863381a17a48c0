#include "quality/labels/labels.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "kernels/error.h"
#include "kernels/philox.h"
#include "tensor/io/file.h"
#include "tensor/io/json.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

constexpr uint64_t kBalanceStream = 0x62616c;  // keeps these draws apart from others of the same seed

bool parse_label(const JsonNode& json) { return json.choice("label", {"good", "poor"}) == "good"; }

// A labels file from elsewhere could have any file of this machine shown in the review page.
void check_inside(const JsonNode& json, const std::string& file) {
  const std::filesystem::path path = std::filesystem::path(file).lexically_normal();
  check_input(path.is_relative() && path.begin() != path.end() && *path.begin() != "..", Fault::kBadInput, json.where,
              ": file: expected a picture inside the labels file's folder, found ", in_quotes(file),
              "; put the labels file above its pictures, or allow pictures outside (--allow-outside)");
}

LabelledImage parse_line(const JsonNode& json, const std::filesystem::path& folder, bool allow_outside) {
  LabelledImage image;
  image.file = json.text("file");
  check_input(!image.file.empty(), Fault::kBadInput, json.where, ": file: expected a file name, found an empty one");
  if (!allow_outside) check_inside(json, image.file);
  image.path = (folder / image.file).string();  // an absolute `file` replaces the folder
  image.metrics = {json.number("sharpness"), json.number("contrast"), json.number("noise")};
  image.good = parse_label(json);
  image.source = json.choice("source", {"metric", "person", "script"});
  image.group = json.text("group", image.file);
  image.origin = json.text("origin", "");
  json.done();
  return image;
}

}  // namespace

Labels read_label_file(const std::string& path, bool allow_outside) {
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  const std::vector<JsonNode> lines = read_json_lines(path, false);
  check_input(!lines.empty(), Fault::kBadInput, path, ": is empty, expected the rule in its first line");
  Labels labels;
  const int64_t found = int64_t(lines.size()) - 1, counted = lines[0].count("count", found);
  labels.thresholds = parse_thresholds(lines[0], "labels");
  check_input(found == counted, Fault::kBadInput, path, ": expected ", counted,
              " labels as \"count\" in the first line says, found ", found,
              ": lines were lost; restore the file, or set the count if they were taken out on purpose");
  std::map<std::string, size_t> line_of;
  for (size_t i = 1; i < lines.size(); ++i) {
    labels.images.push_back(parse_line(lines[i], folder, allow_outside));
    const auto [earlier, fresh] = line_of.emplace(labels.images.back().file, i + 1);
    check_input(fresh, Fault::kBadInput, lines[i].where, ": ", earlier->first, " is already labelled in line ",
                earlier->second);
  }
  return labels;
}

std::string labels_text(const Labels& labels) {
  std::string text = thresholds_json(labels.thresholds, "labels");
  text.insert(text.size() - 1, concat_message(", \"count\": ", labels.images.size()));
  text += "\n";
  for (const LabelledImage& image : labels.images) {
    text += concat_message(
        "{\"file\": ", json_quoted(image.file), ", \"sharpness\": ", json_number(image.metrics.sharpness),
        ", \"contrast\": ", json_number(image.metrics.contrast), ", \"noise\": ", json_number(image.metrics.noise),
        ", \"label\": \"", image.good ? "good" : "poor", "\", \"source\": ", json_quoted(image.source));
    if (!image.group.empty() && image.group != image.file) text += ", \"group\": " + json_quoted(image.group);
    if (!image.origin.empty()) text += ", \"origin\": " + json_quoted(image.origin);
    text += "}\n";
  }
  return text;
}

void write_labels(const std::string& path, const Labels& labels) { write_file_atomic(path, labels_text(labels)); }

std::string file_in_labels(const std::string& picture, const std::string& labels_path) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::weakly_canonical(fs::absolute(labels_path).parent_path());
  const fs::path absolute = fs::weakly_canonical(fs::absolute(picture));
  const fs::path relative = absolute.lexically_relative(folder);
  return relative.empty() ? absolute.string() : relative.string();
}

Decisions read_decisions(const std::string& path) {
  const JsonNode json = read_json(path);
  json.choice("kind", {"decisions"});
  Decisions decisions;
  decisions.source = json.choice("source", {"person", "script"});
  std::set<std::string> seen;
  for (const JsonNode& entry : json.objects("decisions")) {
    decisions.list.push_back({entry.text("file"), parse_label(entry)});
    entry.done();
    check_input(seen.insert(entry.text("file")).second, Fault::kBadInput, entry.where, ": ", entry.text("file"),
                " is decided twice");
  }
  json.done();
  return decisions;
}

Applied apply_decisions(Labels& labels, const Decisions& decisions, const std::string& decisions_path) {
  std::map<std::string, LabelledImage*> by_file;
  for (LabelledImage& image : labels.images) by_file[image.file] = &image;
  Applied applied;
  for (const Decision& decision : decisions.list) {
    const auto found = by_file.find(decision.file);
    check_input(found != by_file.end(), Fault::kBadInput, decisions_path, ": ", decision.file,
                " is not in the labels file; were the decisions made for another one?");
    LabelledImage& image = *found->second;
    (image.good == decision.good ? applied.confirmed : applied.flipped) += 1;
    image.good = decision.good;
    image.source = decisions.source;
  }
  return applied;
}

int64_t keep_decisions(const std::string& path, Labels& labels) {
  if (!std::filesystem::is_regular_file(path)) return 0;
  Labels before;
  try {
    before = read_label_file(path);
  } catch (const Error& error) {
    throw Error(Fault::kCannotCreate, path +
                                          ": is there already, and what may have been decided in it can't be read (" +
                                          error.what() + "); name another file or remove it");
  }
  std::map<std::string, LabelledImage*> by_file;
  for (LabelledImage& image : labels.images) by_file[image.file] = &image;
  int64_t kept = 0;
  for (const LabelledImage& image : before.images) {
    if (image.source == "metric") continue;
    const auto found = by_file.find(image.file);
    check_input(found != by_file.end(), Fault::kCannotCreate, path, ": a ", image.source, " has decided on ",
                image.file, ", which is not among the pictures now, and that would be lost; name another file");
    found->second->good = image.good;
    found->second->source = image.source;
    ++kept;
  }
  return kept;
}

Labels balance_labels(const Labels& labels, int64_t count, uint64_t seed) {
  std::vector<size_t> classes[2];
  for (size_t i = 0; i < labels.images.size(); ++i) classes[labels.images[i].good].push_back(i);
  const size_t each = std::min({size_t(count / 2), classes[0].size(), classes[1].size()});
  std::vector<size_t> chosen;
  Random random(seed, kBalanceStream);
  for (std::vector<size_t>& members : classes)
    for (size_t i = 0; i < each; ++i) {  // the first `each` of a Fisher-Yates shuffle
      std::swap(members[i], members[i + size_t(random.below(int64_t(members.size() - i)))]);
      chosen.push_back(members[i]);
    }
  std::sort(chosen.begin(), chosen.end());
  Labels balanced{labels.thresholds, {}};
  for (size_t i : chosen) balanced.images.push_back(labels.images[i]);
  return balanced;
}

}  // namespace echodiff
