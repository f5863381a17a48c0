#include "dsample/exits.h"

#include "dsample/setup.h"
#include "kernels/thread_pool.h"
#include "quality/sampling/exits_fit.h"

namespace echodiff {

int fit_adadiff(const SampleSettings& settings, const Common& common) {
  set_thread_count(int(common.threads));
  check_present(settings.model, "a diffusion run");
  check_present(settings.masks, "a data-set folder");
  const SampledModel model = load_model(settings, common);
  SamplerJob job;
  job.plan = make_plan(model.schedule, model.options);
  job.device = model.device;
  apply_early_exits(settings, model, job);
  job.conditions = read_masks(settings, common, model.run, *settings.count).masks;
  job.noise = default_noise(common.seed);
  job.count = *settings.count;
  job.batch = settings.batch;
  Progress progress("fitting", job.count * job.plan.count(), "steps", common.quiet);
  SamplerHooks hooks;
  hooks.stop = interrupted;
  hooks.on_progress = [&](int64_t done, int64_t) { progress.update(done, ""); };
  const ExitRule rule = fit_exits(job, hooks);
  progress.finish();
  if (interrupted()) return interrupt_exit_code();
  write_exit_rule(settings.fit_adadiff, rule);
  std::string text;
  for (size_t i = 0; i < rule.heads.size(); ++i)
    text += concat_message(i == 0 ? "" : ", ", rule.expected_error(int64_t(i) + 1, 0.5));
  note(common, concat_message(settings.fit_adadiff, ": expected errors of steps 1 to ", rule.heads.size(),
                              " where the input has moved by 0.5: ", text));
  return 0;
}

}  // namespace echodiff
