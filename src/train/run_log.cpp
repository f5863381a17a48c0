#include "train/run_log.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tensor/io/json.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

// JSON has no NaN.
std::string finite_or_null(double value) { return std::isfinite(value) ? number_text(value) : "null"; }

std::string json_text(const LogValue& value) {
  if (const int64_t* integer = std::get_if<int64_t>(&value)) return std::to_string(*integer);
  if (const double* real = std::get_if<double>(&value)) return finite_or_null(*real);
  if (const std::string* text = std::get_if<std::string>(&value)) return json_quoted(*text);
  std::string list = "[";
  for (double element : std::get<std::vector<double>>(value))
    list += (list.size() > 1 ? ", " : "") + finite_or_null(element);
  return list + "]";
}

// The whole lines of `text` whose step isn't beyond `keep_to_step`.
std::string kept_lines(const std::string& text, int64_t keep_to_step) {
  std::string kept;
  size_t start = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', start)) {
    const std::string line = text.substr(start, end - start);
    start = end + 1;
    const std::optional<JsonNode> object = try_parse_json(line, "");
    const JsonNode* step = object ? object->find("step") : nullptr;
    if (!object || (step != nullptr && step->value > double(keep_to_step))) continue;
    kept += line + "\n";
  }
  return kept;
}

}  // namespace

RunLog::RunLog(const std::string& path, int64_t keep_to_step, std::shared_ptr<EventFile> events)
    : events_(std::move(events)) {
  std::string kept;
  if (keep_to_step >= 0 && std::filesystem::exists(path)) kept = kept_lines(read_file(path), keep_to_step);
  write_file_atomic(path, kept);
  file_.emplace(path, int64_t(kept.size()));
}

void RunLog::write(const LogFields& fields) {
  std::string line = "{";
  for (const auto& [name, value] : fields) line += (line.size() > 1 ? ", \"" : "\"") + name + "\": " + json_text(value);
  file_->write(line + "}\n");
  if (events_) events_->add(fields);
}

int64_t last_logged(const std::string& path, const std::string& field) {
  if (!std::filesystem::exists(path)) return 0;
  int64_t last = 0;
  for (const std::string& line : split(read_file(path), '\n')) {
    const std::optional<JsonNode> object = try_parse_json(line, "");
    if (!object || !object->has(field) || object->find("step") == nullptr) continue;
    last = std::max(last, int64_t(object->find("step")->value));
  }
  return last;
}

PatientLog::PatientLog(const std::string& path, int64_t keep_to_step, std::function<void(const std::string&)> warn,
                       std::shared_ptr<EventFile> events)
    : path_(path), warn_(std::move(warn)), log_(std::in_place, path, keep_to_step), events_(std::move(events)) {}

void PatientLog::finish() {
  while (!waiting_.empty()) {
    // Opening again drops the line that the failed write left half written, if any.
    if (!log_) log_.emplace(path_, std::get<int64_t>(waiting_.front()[0].second));
    try {
      log_->write(waiting_.front());
    } catch (const Error&) {
      log_.reset();
      throw;
    }
    waiting_.pop_front();
  }
}

void PatientLog::sync() {
  try {
    if (log_) log_->sync();
  } catch (const Error& error) {
    warn_(error.what());
  }
}

void PatientLog::write(int64_t step, const LogFields& fields) {
  LogFields line{{"step", step}};
  line.insert(line.end(), fields.begin(), fields.end());
  if (events_) events_->add(line);
  waiting_.push_back(std::move(line));
  try {
    finish();
    warned_ = false;
  } catch (const Error& error) {
    if (!warned_) warn_(std::string(error.what()) + "; the log waits, training goes on");
    warned_ = true;
  }
}

}  // namespace echodiff
