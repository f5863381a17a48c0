#include "quality/judges/value_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "quality/statistics/calibration.h"
#include "train/draws.h"

namespace echodiff {
namespace {

using Json = nlohmann::ordered_json;  // NaN becomes null

constexpr int64_t kBatch = 64;

std::string text_of(const Estimate& interval) {
  if (!std::isfinite(interval.value)) return "-";
  char text[64];
  if (std::isfinite(interval.low))
    std::snprintf(text, sizeof text, "%.3f [%.3f, %.3f]", interval.value, interval.low, interval.high);
  else
    std::snprintf(text, sizeof text, "%.3f", interval.value);
  return text;
}

// One row for each time that frames have.
void auroc_rows(const std::vector<JudgedFrame>& frames, Json& rows, std::string& text) {
  text += "     t   good  poor  masks  AUROC                 within masks (pairs)\n";
  for (const AurocAtTime& at : auroc_over_t(frames)) {
    rows.push_back({{"t", at.t},
                    {"good", at.good},
                    {"poor", at.poor},
                    {"masks", at.masks},
                    {"auroc", at.all.value},
                    {"low", at.all.low},
                    {"high", at.all.high},
                    {"within_masks", at.within.value},
                    {"within_low", at.within.low},
                    {"within_high", at.within.high},
                    {"within_pairs", at.pairs}});
    char line[200];
    std::snprintf(line, sizeof line, "%6lld %6lld %5lld %6lld  %-20s  %s (%lld)\n", static_cast<long long>(at.t),
                  static_cast<long long>(at.good), static_cast<long long>(at.poor), static_cast<long long>(at.masks),
                  text_of(at.all).c_str(), text_of(at.within).c_str(), static_cast<long long>(at.pairs));
    text += line;
  }
}

Json reliability_json(const std::vector<JudgedFrame>& frames, const std::vector<double>& chances) {
  const Reliability reliability = reliability_of(frames, chances);
  Json json{{"brier", reliability.brier}, {"ece", reliability.ece}, {"reliability", Json::array()}};
  for (const ReliabilityShare& bin : reliability.bins)
    json["reliability"].push_back({{"lo", bin.low},
                                   {"hi", bin.high},
                                   {"n", bin.count},
                                   {"mean_score", bin.mean_score},
                                   {"fraction_good", bin.fraction_good},
                                   {"low", bin.share.low},
                                   {"high", bin.share.high}});
  return json;
}

// One row for each bin of t.
void calibration_rows(ValueModel& model, const std::vector<JudgedFrame>& frames,
                      const std::vector<JudgedFrame>& fitted_on, Json& rows, std::string& text) {
  text += "bin of t        frames  fitted on  slope   offset  Brier   calibration error\n";
  for (int64_t bin = 0; bin <= ValueModel::kTimeBins; ++bin) {
    const Platt platt = model.calibration()[size_t(bin)];
    std::vector<JudgedFrame> members;
    std::vector<double> chances;
    for (const JudgedFrame& frame : frames)
      if (model.bin_of(frame.t) == bin) {
        members.push_back(frame);
        chances.push_back(platt.probability(frame.logit));
      }
    if (members.empty()) continue;
    const int64_t fitted = std::count_if(fitted_on.begin(), fitted_on.end(),
                                         [&](const JudgedFrame& frame) { return model.bin_of(frame.t) == bin; });
    const int64_t T = model.options().T, bins = ValueModel::kTimeBins;
    const bool finished = bin == bins;
    const int64_t low = finished ? -1 : (bin * T + bins - 1) / bins, high = finished ? -1 : ((bin + 1) * T - 1) / bins;
    Json row{{"t_low", low},        {"t_high", high},       {"frames", members.size()},
             {"fitted_on", fitted}, {"slope", platt.slope}, {"offset", platt.offset}};
    row.update(reliability_json(members, chances));
    rows.push_back(row);
    char line[200];
    std::snprintf(line, sizeof line, "%6lld..%-6lld %7zu %10lld  %6.3f %7.3f  %.4f  %.4f\n",
                  static_cast<long long>(low), static_cast<long long>(high), members.size(),
                  static_cast<long long>(fitted), platt.slope, platt.offset, row["brier"].get<double>(),
                  row["ece"].get<double>());
    text += line;
  }
}

Json counts_of(const ValueData& data, const std::vector<int64_t>& trajectories) {
  std::set<int64_t> masks;
  int64_t good = 0;
  for (const int64_t i : trajectories) {
    masks.insert(data.trajectories[size_t(i)].mask);
    good += data.trajectories[size_t(i)].good ? 1 : 0;
  }
  return {{"masks", masks.size()}, {"good", good}, {"poor", int64_t(trajectories.size()) - good}};
}

}  // namespace

std::vector<JudgedFrame> judge_frames(const ValueModel& model, const ValueData& data,
                                      const std::vector<int64_t>& trajectories, uint64_t seed) {
  const NoGrad no_grad;
  const Schedule schedule = make_schedule(data.schedule, data.T, data.log_snr_shift);
  const std::vector<ValueFrame> frames = frames_of(data, trajectories, model.options().on);
  std::vector<JudgedFrame> judged;
  for (size_t begin = 0; begin < frames.size(); begin += kBatch) {
    const size_t end = std::min(frames.size(), begin + kBatch);
    const std::vector<ValueFrame> some(frames.begin() + int64_t(begin), frames.begin() + int64_t(end));
    const ValueBatch batch = make_value_batch(data, schedule, some, std::vector<bool>(some.size()), model.options().on,
                                              seed_of(seed, Draw::val_noise), int64_t(begin));
    const std::vector<double> logits = model.logits(batch.images, batch.t, batch.condition).to_vector();
    for (size_t i = 0; i < some.size(); ++i) {
      const ValueTrajectory& trajectory = data.trajectories[size_t(some[i].trajectory)];
      judged.push_back({logits[i], trajectory.good, trajectory.mask, batch.t.data<int64_t>()[i]});
    }
  }
  return judged;
}

double balanced_loss(const std::vector<JudgedFrame>& frames) {
  double sums[2] = {0, 0}, counts[2] = {0, 0};
  for (const JudgedFrame& frame : frames) {
    const double wrong = frame.good ? -frame.logit : frame.logit;  // log(1 + exp(wrong)), without overflow
    sums[frame.good] += std::max(wrong, 0.0) + std::log1p(std::exp(-std::abs(wrong)));
    ++counts[frame.good];
  }
  return 0.5 * (sums[0] / std::max(1.0, counts[0]) + sums[1] / std::max(1.0, counts[1]));
}

void calibrate(ValueModel& model, const std::vector<JudgedFrame>& frames) {
  constexpr int64_t kBins = ValueModel::kTimeBins + 1;
  std::vector<std::vector<double>> logits(kBins);
  std::vector<std::vector<bool>> good(kBins);
  for (const JudgedFrame& frame : frames) {
    const size_t bin = size_t(model.bin_of(frame.t));
    logits[bin].push_back(frame.logit);
    good[bin].push_back(frame.good);
  }
  for (int64_t bin = 0; bin < kBins; ++bin) {
    // Finished pictures come after t = 0: the bins in their order in time.
    const auto place = [](int64_t b) { return b == ValueModel::kTimeBins ? -1 : b; };
    int64_t nearest = -1;
    for (int64_t other = 0; other < kBins; ++other) {
      const bool nearer = nearest < 0 || std::abs(place(other) - place(bin)) < std::abs(place(nearest) - place(bin));
      if (!logits[size_t(other)].empty() && nearer) nearest = other;
    }
    if (nearest < 0) continue;
    const Platt platt = fit_platt(logits[size_t(nearest)], good[size_t(nearest)]);
    model.calibration()[size_t(bin)] = {double(float(platt.slope)), double(float(platt.offset))};  // as it is saved
  }
}

ValueReport value_report(ValueModel& model, const ValueData& data, const ValueSplit& split,
                         const std::vector<JudgedFrame>& fitted_on, uint64_t seed) {
  const std::vector<JudgedFrame> frames = judge_frames(model, data, split.test, seed);
  ValueReport report;
  Json json{{"on", model.options().on}, {"architecture", model.options().architecture}};
  json["counts"] = {{"train", counts_of(data, split.train)},
                    {"calibrate", counts_of(data, split.calibrate)},
                    {"test", counts_of(data, split.test)}};
  for (const char* part : {"train", "calibrate", "test"}) {
    const Json& counts = json["counts"][part];
    report.text += std::string(part) + ": " + counts["masks"].dump() + " masks, " + counts["good"].dump() +
                   " good and " + counts["poor"].dump() + " poor trajectories\n";
  }
  json["auroc_by_time"] = Json::array();
  json["calibration_by_time"] = Json::array();
  auroc_rows(frames, json["auroc_by_time"], report.text);
  calibration_rows(model, frames, fitted_on, json["calibration_by_time"], report.text);
  report.json = json.dump(2) + "\n";
  return report;
}

}  // namespace echodiff
