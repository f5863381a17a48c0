#include "dsample/ceiling.h"

#include <nlohmann/json.hpp>

#include "dsample/setup.h"
#include "kernels/thread_pool.h"
#include "quality/judges/threshold_judge.h"
#include "quality/sampling/ceiling.h"
#include "quality/sampling/policy/none.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "train/draws.h"

namespace echodiff {
namespace {

using Json = nlohmann::ordered_json;  // NaN becomes null

}  // namespace

int find_ceiling(const SampleSettings& settings, const Common& common) {
  set_thread_count(int(common.threads));
  check_present(settings.model, "a diffusion run");
  check_present(settings.masks, "a data-set folder");
  const Thresholds thresholds = read_thresholds(settings.thresholds);
  const SampledModel model = load_model(settings, common);
  const int64_t states = *settings.count, branches = settings.branches;
  const Conditions conditions = read_masks(settings, common, model.run, states);

  SamplerJob job;
  job.plan = make_plan(model.schedule, model.options);
  job.device = model.device;
  job.policy = none_policy();
  job.count = states * branches;
  job.batch = settings.batch;
  job.guidance = settings.guidance;
  for (int64_t i = 0; i < job.count; ++i)  // branches of one state share its mask
    job.conditions.push_back(conditions.masks[size_t(i / branches) % conditions.masks.size()]);

  std::vector<int64_t> looks;
  for (const double calls : parse_numbers(settings.branch_after, "--branch-after")) {
    looks.push_back(int64_t(calls));
    check_input(calls >= 0 && calls == double(looks.back()) && looks.back() < job.plan.count(), Fault::kUsage,
                "--branch-after: expected whole numbers of calls below the sampler's ", job.plan.count(), ", found ",
                calls);
  }
  Json json{{"states", states}, {"branches", branches}, {"steps", job.plan.count()}, {"rows", Json::array()}};
  std::printf("calls      t  good endings  AUROC of the ideal judge, lower and upper bound\n");
  Progress progress("ceiling", int64_t(looks.size()) * job.count * job.plan.count(), "steps", common.quiet);
  for (size_t look = 0; look < looks.size(); ++look) {
    const int64_t calls = looks[look];
    job.noise = branched_noise(default_noise(common.seed), seed_of(common.seed, Draw::noise), branches, calls);
    std::vector<int64_t> good(static_cast<size_t>(states));
    int64_t all = 0;
    SamplerHooks hooks;
    hooks.stop = interrupted;
    hooks.on_progress = [&](int64_t done, int64_t total) { progress.update(int64_t(look) * total + done, ""); };
    hooks.on_record = [&](const SampleRecord& record) {
      const Metrics metrics = measure_sample(record.image, &thresholds, job.conditions[size_t(record.condition)]);
      const int64_t is_one = is_good(metrics, thresholds) ? 1 : 0;
      good[size_t(record.index / branches)] += is_one;
      all += is_one;
    };
    if (run_sampler(job, model.network(), {}, hooks).interrupted) return interrupt_exit_code();
    const CeilingAuroc auroc = ceiling_auroc(good, branches);
    const int64_t t = job.plan.steps[size_t(calls)].t;  // of the state: the next call's
    json["rows"].push_back({{"calls", calls},
                            {"t", t},
                            {"good", all},
                            {"endings", job.count},
                            {"lower", auroc.lower},
                            {"upper", auroc.upper}});
    progress.finish();
    std::printf("%5lld %6lld  %5lld of %-5lld %.3f to %.3f\n", static_cast<long long>(calls), static_cast<long long>(t),
                static_cast<long long>(all), static_cast<long long>(job.count), auroc.lower, auroc.upper);
  }
  write_file_atomic(settings.ceiling, json.dump(2) + "\n");
  return 0;
}

}  // namespace echodiff
