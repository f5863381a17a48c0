#include "quality/labels/labels.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "kernels/error.h"
#include "kernels/philox.h"
#include "tensor/io/file.h"
#include "tensor/io/json_fields.h"

namespace echodiff {
namespace {

constexpr uint64_t kBalanceStream = 0x62616c;  // keeps these draws apart from others of the same seed

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string number(double value) { return nlohmann::json(value).dump(); }

bool parse_label(JsonFields& fields) {
  const std::string label = fields.text("label");
  check_input(label == "good" || label == "poor", Fault::kBadInput, fields.place(),
              ": label: expected good or poor, found '", label, "'");
  return label == "good";
}

std::string parse_source(JsonFields& fields, const std::vector<std::string>& known) {
  const std::string source = fields.text("source");
  std::string all;
  for (const std::string& one : known) all += (all.empty() ? "" : ", ") + one;
  check_input(std::find(known.begin(), known.end(), source) != known.end(), Fault::kBadInput, fields.place(),
              ": source: expected one of ", all, ", found '", source, "'");
  return source;
}

LabelledImage parse_line(const std::string& line, const std::string& place, const std::filesystem::path& folder) {
  JsonFields fields(line, place);
  LabelledImage image;
  image.file = fields.text("file");
  check_input(!image.file.empty(), Fault::kBadInput, place, ": file: expected a file name, found an empty one");
  image.path = (folder / image.file).string();  // an absolute `file` replaces the folder
  image.metrics = {fields.number("sharpness"), fields.number("contrast"), fields.number("noise")};
  image.good = parse_label(fields);
  image.source = parse_source(fields, {"metric", "person", "script"});
  image.group = fields.text_or("group", image.file);
  image.origin = fields.text_or("origin", "");
  fields.done();
  return image;
}

}  // namespace

Labels read_label_file(const std::string& path) {
  const std::string text = read_file(path);
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  Labels labels;
  std::map<std::string, int64_t> lines;
  int64_t line_number = 0;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string line = text.substr(start, end - start);
    const std::string place = concat_message(path, ":", ++line_number);
    start = end + 1;
    if (line_number == 1) {
      labels.thresholds = parse_thresholds(line, place, "labels");
      continue;
    }
    labels.images.push_back(parse_line(line, place, folder));
    const auto [earlier, fresh] = lines.emplace(labels.images.back().file, line_number);
    check_input(fresh, Fault::kBadInput, place, ": ", earlier->first, " is already labelled in line ", earlier->second);
  }
  check_input(line_number > 0, Fault::kBadInput, path, ": is empty, expected the rule in its first line");
  return labels;
}

std::vector<LabelledImage> read_labels(const std::string& path) { return read_label_file(path).images; }

std::string labels_text(const Labels& labels) {
  std::string text = thresholds_json(labels.thresholds, "labels") + "\n";
  for (const LabelledImage& image : labels.images) {
    text +=
        concat_message("{\"file\": ", quoted(image.file), ", \"sharpness\": ", number(image.metrics.sharpness),
                       ", \"contrast\": ", number(image.metrics.contrast), ", \"noise\": ", number(image.metrics.noise),
                       ", \"label\": \"", image.good ? "good" : "poor", "\", \"source\": ", quoted(image.source));
    if (!image.group.empty() && image.group != image.file) text += ", \"group\": " + quoted(image.group);
    if (!image.origin.empty()) text += ", \"origin\": " + quoted(image.origin);
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
  JsonFields fields(read_file(path), path);
  check_input(fields.text("kind") == "decisions", Fault::kBadInput, path, ": kind: expected \"decisions\"");
  Decisions decisions;
  decisions.source = parse_source(fields, {"person", "script"});
  std::set<std::string> seen;
  for (JsonFields& entry : fields.objects("decisions")) {
    Decision decision;
    decision.file = entry.text("file");
    decision.good = parse_label(entry);
    entry.done();
    check_input(seen.insert(decision.file).second, Fault::kBadInput, entry.place(), ": ", decision.file,
                " is decided twice");
    decisions.list.push_back(decision);
  }
  fields.done();
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
