#include "quality/recordings/sample_folder.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "diffusion/condition.h"
#include "kernels/error.h"
#include "tensor/io/json.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// File names needn't be UTF-8: what isn't becomes U+FFFD. NaN becomes null.
std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

SampleFolder::SampleFolder(const std::string& directory, const std::string& settings, bool keep_discarded,
                           const SamplerJob& job)
    : directory_(directory),
      keep_discarded_(keep_discarded),
      calls_if_finished_(job.plan.count() * calls_per_step(job.guidance)),
      ledger_(unit_of(job)) {
  holds_same_run(directory, settings);  // before anything is put there
  lock_.emplace(directory);
  if (!holds_same_run(directory, settings)) write_file_atomic(directory + "/config.toml", with_end_marked(settings));
  const std::string summary = directory + "/summary.json";
  finished_ = fs::exists(summary) && !read_json(summary).flag("interrupted", false);
  if (finished_) return;
  const std::pair<const char*, bool> parts[] = {
      {"/images", true}, {"/discarded", keep_discarded}, {"/scored", job.keep_noise > 0}};
  for (const auto& [part, wanted] : parts) {
    if (!wanted) continue;
    make_directories(directory + part);
    sweep_temporaries(directory + part);
  }
  progress_ = read_progress(directory, keep_discarded);
  fs::remove(summary);
  sync_names(directory);
}

// The progress goes as far as the records that come are the same again.
bool SampleFolder::holds_next(int64_t index) {
  if (lines_ || next_ == progress_.indices.size() || progress_.indices[next_] != index) return false;
  ++next_;
  return true;
}

void SampleFolder::append_from_here() {
  if (lines_) return;
  lines_.emplace(directory_ + "/samples.jsonl", next_ == 0 ? 0 : progress_.line_ends[next_ - 1]);
  seconds_.emplace(directory_ + "/seconds.jsonl", next_ == 0 ? 0 : progress_.seconds_ends[next_ - 1]);
}

void SampleFolder::write(const SampleRecord& record, const std::string& mask, uint64_t seed) {
  ledger_.add(record);
  if (holds_next(record.index)) return;
  append_from_here();
  if (record.kept() || keep_discarded_) {
    const std::string picture = picture_path(directory_, record);
    if (!record.scored.pixels.empty())
      write_png(directory_ + "/scored/" + fs::path(picture).filename().string(), record.scored);
    write_png(picture, record.image);
  }
  Json line;
  line["index"] = record.index;
  line["mask"] = mask.empty() ? Json() : Json(mask);
  line["seed"] = seed;
  line["unet_calls"] = record.unet_calls;
  if (record.shallow_calls > 0) line["shallow_calls"] = record.shallow_calls;
  if (record.mean_start_calls > 0) line["mean_start_calls"] = record.mean_start_calls;
  line["decision"] = record.decision;
  line["reason"] = record.reason;
  line["final_score"] = record.final_score ? Json(*record.final_score) : Json();
  line["halted_t"] = record.halted_t ? Json(*record.halted_t) : Json();
  if (record.ancestor) line["ancestor"] = *record.ancestor;
  line["scores"] = Json::array();
  for (const Score& score : record.scores) line["scores"].push_back(Json::array({score.t, score.value}));
  seconds_->write(text_of(Json{{"index", record.index}, {"seconds", record.seconds}}) + "\n");
  lines_->write(text_of(line) + "\n");
}

void SampleFolder::write_summary(const SummaryFacts& facts, const SamplerTotals& totals) {
  append_from_here();  // without what a kill left half written
  lines_->sync();      // before the file that counts them
  seconds_->sync();
  const double all = double(totals.begun * calls_if_finished_ + totals.mean_start_calls);
  write_file_atomic(directory_ + "/summary.json", summary_text(facts, totals, ledger_, all));
}

namespace {

// Of a run that was finished, or interrupted in good order.
void require_counted(const std::string& directory, size_t lines) {
  const std::string summary = directory + "/summary.json";
  if (!fs::exists(summary)) return;
  const int64_t counted = read_json(summary).count("trajectories");
  check_input(int64_t(lines) == counted, Fault::kBadInput, directory, "/samples.jsonl: expected ", counted,
              " lines as summary.json counts, found ", lines, ": the file was cut; sample again");
}

}  // namespace

std::vector<SampleLine> read_samples(const std::string& directory) {
  const std::string path = directory + "/samples.jsonl";
  check_input(fs::exists(path), Fault::kBadInput, path,
              ": expected a line per trajectory beside summary.json, found no such file; sample again");
  std::vector<SampleLine> lines;
  std::set<int64_t> seen;
  for (const JsonNode& json : read_json_lines(path, !fs::exists(directory + "/summary.json"))) {
    SampleLine& line = lines.emplace_back(read_sample_line(json));
    check_input(seen.insert(line.index).second, Fault::kBadInput, json.where, ": expected each index once, found ",
                line.index, " again; sample again");
    const std::string picture = picture_path(directory, line);
    const bool there = fs::exists(picture);
    check_input(there || !line.kept(), Fault::kBadInput, json.where, ": expected the picture ", picture,
                ", found none; sample again");
    if (there) line.image = read_png(picture);
  }
  require_counted(directory, lines.size());
  return lines;
}

std::map<std::string, std::string> read_sampled_masks(const std::string& directory) {
  std::map<std::string, std::string> masks;
  const std::string path = directory + "/samples.jsonl";
  if (!fs::exists(path)) return masks;
  const std::vector<JsonNode> lines = read_json_lines(path, !fs::exists(directory + "/summary.json"));
  require_counted(directory, lines.size());
  for (const JsonNode& line : lines)
    if (const std::string mask = mask_of(line); !mask.empty()) masks[picture_name(line.count("index"))] = mask;
  return masks;
}

}  // namespace echodiff
