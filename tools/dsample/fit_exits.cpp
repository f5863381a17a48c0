// dsample fit-exits: the uncertainty heads that say which network calls may leave early (AdaDiff).
#include "dsample/dsample.h"
#include "dsample/setup.h"
#include "quality/sampling/exits_fit.h"

namespace echodiff {
namespace {

struct Settings {
  ModelSettings model;
  MaskSettings masks;
  std::string out;
};

int fit(const Settings& settings, const Common& common) {
  const SampledModel model = load_model(settings.model, settings.masks, common);
  SamplerJob job = sampler_job(model, settings.model, settings.masks, common);
  share_deep_levels(model, "fit-exits", job);
  job.conditions = read_masks(settings.masks, common, model.run, job.count).masks;
  start_at_means(model, settings.model, common, job);
  Progress progress("fitting", job.count * job.plan.count(), "steps", common.quiet);
  SamplerHooks hooks;
  hooks.stop = interrupted;
  hooks.on_progress = [&](int64_t done, int64_t) { progress.update(done, ""); };
  const ExitRule rule = fit_exits(job, hooks);
  progress.finish();
  if (interrupted()) return interrupt_exit_code();
  write_exit_rule(settings.out, rule);
  std::string text;
  for (size_t i = 0; i < rule.heads.size(); ++i)
    text += concat_message(i == 0 ? "" : ", ", rule.expected_error(int64_t(i) + 1, 0.5));
  note(common, concat_message(settings.out, ": expected errors of steps 1 to ", rule.heads.size(),
                              " where the input has moved by 0.5: ", text));
  return 0;
}

}  // namespace

void add_fit_exits(Options& program) {
  static Settings settings;
  Options& options = program.subcommand(
      "fit-exits", "Fits the rule that says which network calls may be shallow, for --adadiff, on new trajectories.",
      "dsample fit-exits --model run --masks phantom --count 48 --sampler ddim --sample-steps 10 --out exits.json");
  options.add("--out", settings.out, "rule to write", "FILE").required();
  declare_model(options, settings.model);
  declare_masks(options, settings.masks);
  options.body([](const Common& common) { return fit(settings, common); });
}

}  // namespace echodiff
