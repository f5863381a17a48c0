// dsample fit: the restart rule, fitted on a recording.
#include "dsample/dsample.h"
#include "dsample/setup.h"
#include "quality/recordings/restart_fit.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

struct Settings {
  std::string recording, out, judge, final_judge, looks;
  double tau = 0.95;
  std::optional<int64_t> accept_per_mask;
};

int fit(const Settings& settings, const Common& common) {
  check_present(settings.recording, "a recording");
  const Recording recording = read_recording(settings.recording, false);
  RestartFitOptions options;
  options.judges = {settings.judge, settings.final_judge};
  options.tau = settings.tau;
  options.equal_quota = settings.accept_per_mask.has_value();
  for (const double look : parse_numbers(settings.looks, "--looks")) options.looks.push_back(int64_t(look));
  const RestartRule rule = fit_restart(recording, options);
  write_restart_rule(settings.out, rule);
  note(common, concat_message(settings.out, ": lambda ", rule.lambda,
                              "; network calls per accepted picture: ", rule.fit.posthoc_cost, " without, ",
                              rule.fit.fitted_cost, " with it, ", rule.fit.held_out_cost, " on held-out ",
                              options.equal_quota ? "trajectories, the mean over masks" : "masks"));
  return 0;
}

}  // namespace

void add_fit(Options& program) {
  static Settings settings;
  Options& options = program.subcommand("fit", "Fits the restart rule, a policy, on a recording.",
                                        "dsample fit recording --judge value --final-judge label --out rule.json");
  options.add_positional("recording", settings.recording, "recording of dsample record").required();
  options.add("--out", settings.out, "rule to write, for --policy restart", "FILE").required();
  options.add("--judge", settings.judge, "the recorded judge that the rule listens to", "NAME").required();
  options.add("--final-judge", settings.final_judge,
              "the recorded judge of finished pictures; label: by the recording's thresholds", "NAME", "as --judge");
  options.add("--tau", settings.tau, "score of a finished picture that accepts", {0, 1}, "score");
  options.add("--accept-per-mask", settings.accept_per_mask,
              "fit a rule for an equal quota of each mask, of any number", {1, 1000000000}, "pictures",
              "for any mask's pictures");
  options.add("--looks", settings.looks, "the steps it looks at, -1 is before the first call", "STEP,...",
              "8 on a log scale");
  options.rule([] { parse_numbers(settings.looks, "--looks"); });
  options.body([](const Common& common) { return fit(settings, common); });
}

}  // namespace echodiff
