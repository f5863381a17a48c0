#include "train/run_status.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tensor/io/json.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"
#include "train/best_checkpoint.h"
#include "train/checkpoint.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kTail = 64 * 1024;  // bytes of the log that are looked at
constexpr size_t kMostLines = 20;     // that the rate and the losses are taken from

// The last lines that hold a training loss, or that training stopped, oldest first.
std::vector<JsonNode> last_lines(const std::string& path) {
  std::vector<JsonNode> lines;
  if (!fs::exists(path)) return lines;
  const InputFile log(path);
  const int64_t start = std::max<int64_t>(0, log.size() - kTail);
  for (const std::string& text : split(log.read(start, log.size() - start), '\n')) {
    std::optional<JsonNode> line = try_parse_json(text, path);
    if (line && line->has("step") && (line->has("loss") || line->has("stopped"))) lines.push_back(std::move(*line));
  }
  if (lines.size() > kMostLines) lines.erase(lines.begin(), lines.end() - int64_t(kMostLines));
  return lines;
}

double number_of(const JsonNode& line, const char* key) {
  const JsonNode* node = line.find(key);
  return node != nullptr && node->kind == JsonNode::Kind::kNumber ? node->value : NAN;
}

// After read_checkpoint_name: a run that was killed before it could save goes on.
void read_log(const std::string& path, RunStatus* status) {
  double first_step = NAN, first_seconds = NAN;  // of the last session: its seconds begin anew
  double step = NAN, seconds = NAN;
  for (const JsonNode& line : last_lines(path)) {
    const JsonNode* reason = line.find("stopped");
    const bool ends = reason != nullptr && number_of(line, "step") == double(status->saved_step);
    status->stopped = ends && reason->kind == JsonNode::Kind::kText ? reason->string : "";
    if (reason != nullptr) continue;
    ++status->losses;
    const double loss = number_of(line, "loss");
    if (std::isfinite(loss))
      status->loss = loss;
    else
      ++status->bad_losses;
    const double last = seconds;
    step = number_of(line, "step");
    seconds = number_of(line, "seconds");
    if (!(seconds >= last)) first_step = step, first_seconds = seconds;
  }
  if (step >= 0 && step < 1e18) status->step = std::max(status->step, int64_t(step));
  if (seconds > first_seconds && step > first_step)
    status->steps_a_second = (step - first_step) / (seconds - first_seconds);
}

// /proc/locks has "1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF". Asking the kernel for the lock would take it, and
// a run that begins at that moment would find it taken.
std::optional<int64_t> holder_of(const std::string& lock) {
  struct stat about = {};
  if (::stat(lock.c_str(), &about) != 0) return std::nullopt;
  std::ifstream locks("/proc/locks");
  const std::string inode = ":" + std::to_string(about.st_ino);
  for (std::string number, kind, strength, access, process, file, from, to;
       locks >> number >> kind >> strength >> access >> process >> file >> from >> to;)
    if (kind == "FLOCK" && access == "WRITE" && file.ends_with(inode))
      return std::max<int64_t>(0, parse_number<int64_t>(process).value_or(0));
  return std::nullopt;
}

void read_checkpoint_name(const std::string& run, RunStatus* status) {
  status->checkpoint = latest_checkpoint(run);
  if (status->checkpoint.empty()) return;
  const std::string name = fs::path(status->checkpoint).stem().string();
  status->saved_step = parse_number<int64_t>(name.substr(name.find('-') + 1)).value_or(0);
  std::error_code error;
  const fs::file_time_type saved = fs::last_write_time(status->checkpoint, error);
  if (!error)
    status->saved_seconds_ago = std::chrono::duration<double>(fs::file_time_type::clock::now() - saved).count();
  status->step = status->saved_step;
}

}  // namespace

RunStatus read_run_status(const std::string& run) {
  std::error_code error;
  check_input(fs::is_directory(run, error), Fault::kMissingInput, run,
              ": no such run directory; give the --out of a training");
  RunStatus status;
  const std::string config = run + "/config.toml";
  if (fs::exists(config, error)) {
    const std::map<std::string, std::string> values = read_flat_toml(config);
    const auto value = [&](const char* key) {
      const auto found = values.find(key);
      return found == values.end() ? std::string() : found->second;
    };
    status.program = value("made_by.program");
    for (const char* key : {"steps", "resolved.steps"})
      if (const std::optional<int64_t> steps = parse_number<int64_t>(value(key)); steps && *steps > 0)
        status.steps = steps;
  }
  check_input(
      !status.program.empty() || fs::exists(run + "/log.jsonl", error) || fs::exists(run + "/checkpoints", error),
      Fault::kMissingInput, run, ": holds no run (no config.toml, log.jsonl or checkpoints)");
  read_checkpoint_name(run, &status);
  read_log(run + "/log.jsonl", &status);
  status.best = best_checkpoint(run);
  status.process = holder_of(run + "/.lock");
  const fs::space_info space = fs::space(run, error);
  status.free_bytes = error ? 0 : int64_t(space.available);
  return status;
}

}  // namespace echodiff
