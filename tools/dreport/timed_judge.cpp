#include "dreport/timed_judge.h"

#include <algorithm>
#include <filesystem>

#include "kernels/error.h"
#include "quality/recordings/recording.h"
#include "tensor/io/json.h"

namespace echodiff {
namespace {

// A time, -1 for finished pictures.
int64_t time_in(const JsonNode& json, const std::string& key) { return json.number(key) == -1 ? -1 : json.count(key); }

constexpr int64_t kTimeBins = 5;  // of the reliability of recorded scores

// The steps looked at, evenly among the scored ones, the last always.
std::vector<int64_t> looks_of(const RecordingFacts& facts) {
  std::vector<int64_t> scored, looks;
  for (int64_t k = 0; k < facts.steps(); ++k)
    if (facts.scored(k)) scored.push_back(k);
  const int64_t n = int64_t(scored.size()), count = std::min(n, kMostLooks);
  for (int64_t i = 1; i <= count; ++i) looks.push_back(scored[size_t(i * n / count - 1)]);
  return looks;
}

// `frames` at t in low..high together; scores are the chances.
TimeBin time_bin(const std::vector<JudgedFrame>& frames, int64_t low, int64_t high) {
  std::vector<JudgedFrame> members;
  std::vector<double> chances;
  for (const JudgedFrame& frame : frames)
    if (frame.t >= low && frame.t <= high) {
      members.push_back(frame);
      chances.push_back(frame.logit);
    }
  TimeBin span{low, high, int64_t(members.size())};
  if (!members.empty()) span.reliability = reliability_of(members, chances);
  return span;
}

TimedJudge timed_judge(const std::vector<JudgedFrame>& frames, int64_t T) {
  TimedJudge judge;
  judge.auroc = auroc_over_t(frames);
  for (int64_t bin = 0; bin < kTimeBins; ++bin) {
    const TimeBin span = time_bin(frames, (bin * T + kTimeBins - 1) / kTimeBins, ((bin + 1) * T - 1) / kTimeBins);
    if (span.frames > 0) judge.calibration.push_back(span);
  }
  judge.calibration.push_back(time_bin(frames, -1, -1));
  return judge;
}

}  // namespace

std::vector<TimedJudge> recorded_judges(const std::string& directory, const std::string& name) {
  const Recording recording = read_recording(directory, false);
  const RecordingFacts& facts = recording.facts;
  std::vector<TimedJudge> judges;
  if (!facts.thresholds) return judges;
  const std::vector<int64_t> looks = looks_of(facts);
  for (size_t j = 0; j < facts.judges.size(); ++j) {
    const ScoreOn on = facts.judges[j].on;
    std::vector<JudgedFrame> frames;
    for (const Trajectory& trajectory : recording.trajectories) {
      check_input(trajectory.good.has_value(), Fault::kBadInput, directory, ": trajectory ", trajectory.index,
                  " has no label, though the recording has thresholds; record it again");
      const auto add = [&](int64_t t, int64_t step) {
        frames.push_back({trajectory.score_after(j, step), *trajectory.good, trajectory.condition, t});
      };
      add(facts.T, -1);
      for (const int64_t k : looks)
        if (on == ScoreOn::x0hat || facts.next_times[size_t(k)] >= 0)
          add(on == ScoreOn::x0hat ? facts.times[size_t(k)] : facts.next_times[size_t(k)], k);
      add(-1, facts.steps());
    }
    TimedJudge& judge = judges.emplace_back(timed_judge(frames, facts.T));
    judge.name = facts.judges[j].name;
    judge.on = name_of(on);
    judge.folder = name;
  }
  return judges;
}

TimedJudge read_timed_judge(const std::string& path, const std::string& name) {
  const JsonNode json = read_json(path);
  TimedJudge judge;
  judge.name = judge.folder = name;
  judge.on = json.text("on", "");
  for (const JsonNode& row : json.items("auroc_by_time")) {
    AurocAtTime& at = judge.auroc.emplace_back();
    at.t = time_in(row, "t");
    at.good = row.count("good");
    at.poor = row.count("poor");
    at.masks = row.count("masks");
    at.pairs = row.count("within_pairs");
    at.all = {row.number("auroc", kNotGiven), row.number("low", kNotGiven), row.number("high", kNotGiven)};
    at.within = {row.number("within_masks", kNotGiven), row.number("within_low", kNotGiven),
                 row.number("within_high", kNotGiven)};
  }
  for (const JsonNode& row : json.items("calibration_by_time")) {
    TimeBin& span = judge.calibration.emplace_back();
    span.t_low = time_in(row, "t_low");
    span.t_high = time_in(row, "t_high");
    span.frames = row.count("frames");
    span.reliability.brier = row.number("brier", kNotGiven);
    span.reliability.ece = row.number("ece", kNotGiven);
    for (const JsonNode& bin : row.items("reliability"))
      span.reliability.bins.push_back(
          {{bin.number("lo"), bin.number("hi"), bin.count("n"), bin.number("mean_score"), bin.number("fraction_good")},
           {bin.number("fraction_good"), bin.number("low", kNotGiven), bin.number("high", kNotGiven)}});
  }
  return judge;
}

Ceiling read_ceiling(const std::string& path) {
  check_input(std::filesystem::exists(path), Fault::kMissingInput, path,
              ": expected a file of dsample ceiling, found nothing there");
  const JsonNode json = read_json(path);
  Ceiling ceiling;
  ceiling.name = std::filesystem::path(path).stem().string();
  ceiling.states = json.count("states");
  ceiling.branches = json.count("branches");
  ceiling.steps = json.count("steps");
  for (const JsonNode& row : json.items("rows"))
    ceiling.looks.push_back(
        {row.count("calls"), row.count("t"), row.number("lower", kNotGiven), row.number("upper", kNotGiven)});
  return ceiling;
}

}  // namespace echodiff
