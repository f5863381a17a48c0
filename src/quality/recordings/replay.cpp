#include "quality/recordings/replay.h"

#include <cmath>

#include "diffusion/condition.h"
#include "kernels/error.h"
#include "quality/sampling/policy/posthoc.h"
#include "quality/sampling/slots.h"

namespace echodiff {
namespace {

constexpr const char* kLabel = "label";

// Trajectories that a recording holds.
class RecordedTrajectories : public Trajectories {
 public:
  RecordedTrajectories(const Recording& recording, const SamplerJob& job, const ReplayOptions& options)
      : recording_(recording), job_(job) {
    const RecordedSeconds& seconds = recording.seconds;
    const int64_t whole_calls = seconds.unet_calls - seconds.shallow_calls;
    if (whole_calls > 0) per_call_ = (seconds.unet_seconds - seconds.shallow_seconds) / double(whole_calls);
    if (seconds.shallow_calls > 0) per_shallow_call_ = seconds.shallow_seconds / double(seconds.shallow_calls);
    if (seconds.scored_images > 0) per_score_ = seconds.scorer_seconds / double(seconds.scored_images);
    if (!options.judge.empty()) judge_ = recording.facts.judge(options.judge);
    const std::string& final = options.final_judge.empty() ? options.judge : options.final_judge;
    by_label_ = final == kLabel;
    check_input(!by_label_ || recording.facts.thresholds.has_value(), Fault::kUsage,
                "final judge label: this recording has no labels, record it with a threshold file");
    if (!by_label_ && !final.empty()) final_judge_ = recording.facts.judge(final);
    check_input(by_label_ || final_judge_ || !job.policy.needs_scorer, Fault::kUsage, "judge: policy ", job.policy.name,
                " needs one of the recording's judges");
    const bool other = judge_ && recording.facts.judges[*judge_].on != job.score_on && job.policy.reads_scores;
    check_input(!other, Fault::kUsage, "judge ", options.judge, " scored the other of x0hat and xt");
  }

  void begin(Slot& slot, SamplerTotals& totals) override {
    const double seconds = per_call_ * double(slot.record.mean_start_calls);
    slot.record.seconds += seconds;
    totals.unet_seconds += seconds;
  }

  void step(const std::vector<Slot*>& slots, SamplerTotals& totals) override {
    const int64_t calls = calls_per_step(job_.guidance);
    for (Slot* slot : slots) {
      const bool shallow = slot->state.step % job_.whole_every != 0;
      const double seconds = (shallow ? per_shallow_call_ : per_call_) * double(calls);
      ++slot->state.step;
      slot->record.shallow_calls += shallow ? calls : 0;
      slot->record.seconds += seconds;
      totals.unet_seconds += seconds;
      SamplerTotals::Calls& kind = shallow ? totals.shallow : totals.whole;
      kind.count += calls;
      kind.seconds += seconds;
    }
  }

  std::vector<double> score(const std::vector<Slot*>& slots, const std::vector<int64_t>&,
                            SamplerTotals& totals) override {
    check_input(judge_.has_value(), Fault::kUsage, "judge: policy ", job_.policy.name,
                " scores on the way, name one of the recording's judges");
    std::vector<double> scores;
    for (Slot* slot : slots) {
      count_score(*slot, totals);
      const Trajectory& trajectory = trajectory_of(*slot);
      const int64_t k = slot->state.step - 1;
      const float value = trajectory.score_after(*judge_, k);
      check_input(!std::isnan(value), Fault::kUsage, "trajectory ", trajectory.index, ": step ", k,
                  " was not scored; look every ", recording_.facts.score_every, " steps or record again");
      scores.push_back(double(value));
    }
    return scores;
  }

  void finish(const std::vector<Slot*>& slots, SamplerTotals& totals) override {
    for (Slot* slot : slots) {
      const Trajectory& trajectory = trajectory_of(*slot);
      check_input(slot->at_end(), Fault::kUsage, "trajectory ", trajectory.index,
                  ": accepted on its way; a recording has no score of what would be kept, keep the finished one");
      slot->record.image = trajectory.final;
      if (by_label_)
        slot->record.final_score = *trajectory.good ? 1 : 0;
      else if (final_judge_)
        slot->record.final_score = double(trajectory.scores[*final_judge_].back());
      else
        continue;
      count_score(*slot, totals);
    }
  }

  void drop(Slot&) override {}

  void finish_early(Slot& slot) override {
    check_input(!job_.tail, Fault::kUsage, "trajectory ", slot.record.index,
                ": accepted on its way; a recording holds no other tail, let its own steps finish it");
  }

  void take_over(Slot& slot, const Slot&) override {
    throw Error(Fault::kUsage, concat_message("trajectory ", slot.record.index, ": policy ", job_.policy.name,
                                              " resamples, which no recording can answer; run it live"));
  }

 private:
  void count_score(Slot& slot, SamplerTotals& totals) const {
    ++totals.scored_images;
    totals.scorer_seconds += per_score_;
    slot.record.seconds += per_score_;
  }

  const Trajectory& trajectory_of(const Slot& slot) const { return recording_.trajectories[size_t(slot.record.index)]; }

  const Recording& recording_;
  const SamplerJob& job_;
  std::optional<size_t> judge_, final_judge_;
  bool by_label_ = false;
  double per_call_ = 0, per_shallow_call_ = 0, per_score_ = 0;  // seconds, as they were recorded
};

}  // namespace

SamplerJob recorded_job(const Recording& recording) {
  SamplerJob job;
  for (size_t k = 0; k < recording.facts.times.size(); ++k) {
    PlanStep row;
    row.t = recording.facts.times[k];
    row.next_t = recording.facts.next_times[k];
    job.plan.steps.push_back(row);
  }
  job.conditions = recording.conditions;
  job.noise = default_noise(recording.facts.seed);
  job.count = int64_t(recording.trajectories.size());
  job.guidance = recording.facts.guidance;
  job.whole_every = recording.facts.deepcache;
  job.mean_start = recording.facts.mean_start;
  return job;
}

Fates fates_of(const Recording& recording, SamplerJob job, const ReplayOptions& options) {
  job.policy = posthoc_policy();
  job.accept.reset();
  job.accept_per_mask.reset();
  Fates fates;
  fates.kept.resize(recording.trajectories.size());
  SamplerHooks hooks;
  hooks.on_record = [&](const SampleRecord& record) { fates.kept[size_t(record.index)] = record.kept(); };
  fates.totals = replay(recording, job, options, hooks);
  return fates;
}

SamplerTotals replay(const Recording& recording, const SamplerJob& job, const ReplayOptions& options,
                     const SamplerHooks& hooks) {
  check_input(job.count <= int64_t(recording.trajectories.size()), Fault::kUsage, "count: expected at most the ",
              recording.trajectories.size(), " recorded trajectories, found ", job.count);
  RecordedTrajectories trajectories(recording, job, options);
  return Loop(job, trajectories, hooks).run();
}

}  // namespace echodiff
