// dsample replay: a policy on a recording, with the folder that a live run would leave.
#include "quality/recordings/replay.h"

#include "dsample/dsample.h"
#include "dsample/policies.h"
#include "quality/recordings/picture_list.h"
#include "quality/recordings/sample_folder.h"
#include "tensor/io/toml.h"
#include "train/checkpoint.h"
#include "train/run_checkpoint.h"

namespace echodiff {
namespace {

struct Settings {
  std::string recording, out, judge, final_judge;
  std::optional<int64_t> count;
  int64_t batch = 8;
  PolicySettings policy;
};

SummaryFacts facts_of(const Settings& settings, const RecordingFacts& facts, const SamplerJob& job) {
  SummaryFacts summary;
  static_cast<SamplerFacts&>(summary) = facts;
  summary.policy = settings.policy.policy;
  summary.judge = settings.judge;
  summary.final_judge = settings.final_judge.empty() ? settings.judge : settings.final_judge;
  summary.replayed = true;
  summary.score_on = name_of(job.score_on);
  summary.keep = settings.policy.keep;
  summary.batch = job.batch;
  summary.tau = job.tau;
  return summary;
}

int replay_policy(const Settings& settings, const Common& common) {
  check_present(settings.recording, "a recording");
  check_present(settings.policy.rule, "a rule that dsample fit wrote");
  const Recording recording = read_recording(settings.recording, true);
  const RecordingFacts& facts = recording.facts;
  SamplerJob job = recorded_job(recording);
  const ReplayOptions judges{settings.judge, settings.final_judge};
  if (!judges.judge.empty()) job.score_on = facts.judges[facts.judge(judges.judge)].on;
  if (settings.count) job.count = *settings.count;
  job.batch = settings.batch;
  // Only its being there counts: a recording holds no tail.
  if (settings.policy.tail_steps > 0) job.tail = [](int64_t) { return SamplingPlan(); };
  apply_policy(settings.policy, facts.seed, facts.masks, job, [&] { return fates_of(recording, job, judges).kept; });

  const std::string resolved = "\n[resolved]\n" + toml_text_line("fit", name_of(facts.fit)) +
                               toml_text_line("recording", file_hash(settings.recording + "/recording.json"));
  SampleFolder folder(settings.out, common.resolved_toml + resolved, settings.policy.keep_discarded, job);
  if (folder.finished()) {
    note(common, settings.out + ": is finished already");
    return 0;
  }
  SamplerHooks hooks;
  hooks.on_record = [&](const SampleRecord& record) {
    folder.write(record, facts.masks[size_t(record.condition)], facts.seed);
  };
  const SamplerTotals totals = replay(recording, job, judges, hooks);
  SummaryFacts summary = facts_of(settings, facts, job);
  summary.seconds = totals.unet_seconds + totals.scorer_seconds;
  folder.write_summary(summary, totals);
  note(common, concat_message(settings.out, ": ", totals.kept, " kept of ", totals.trajectories, " trajectories, ",
                              totals.unet_calls, " network calls, replayed"));
  return 0;
}

}  // namespace

void add_replay(Options& program) {
  static Settings settings;
  Options& options = program.subcommand("replay", "Replays a policy on a recording, without the network.",
                                        "dsample replay recording --judge clean --policy posthoc --out replayed");
  options.add_positional("recording", settings.recording, "recording of dsample record").required();
  options.add("--out", settings.out, "folder to make, as a live run's", "DIR").required();
  options.add("--judge", settings.judge, "the recorded judge on the way", "NAME");
  options.add("--final-judge", settings.final_judge,
              "the recorded judge of finished pictures; label: by the recording's thresholds", "NAME", "as --judge");
  options.add("--count", settings.count, "trajectories", {1, 1000000000}, "trajectories", "all recorded");
  options.add("--batch", settings.batch, "trajectories under way at once; changes no picture", {1, 100000},
              "trajectories");
  declare_policies(options, settings.policy, true);
  options.rule([] {
    check_flags(policy_row(settings.policy).is(kUnjudged) || !settings.judge.empty() || !settings.final_judge.empty(),
                "--judge: this --policy needs a judge, add --judge NAME");
  });
  options.body([](const Common& common) { return replay_policy(settings, common); });
}

}  // namespace echodiff
