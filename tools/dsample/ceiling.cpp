// dsample ceiling: the AUROC of an ideal judge after some calls, by branching the noise that remains.
#include "quality/sampling/ceiling.h"

#include <nlohmann/json.hpp>
#include <numeric>

#include "dsample/dsample.h"
#include "dsample/setup.h"
#include "quality/judges/threshold_judge.h"
#include "quality/sampling/policy/none.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "train/draws.h"

namespace echodiff {
namespace {

using Json = nlohmann::ordered_json;  // NaN becomes null

struct Settings {
  ModelSettings model;
  MaskSettings masks;
  std::string out, thresholds, branch_after = "0,1,5";
  int64_t branches = 8;
};

std::vector<int64_t> parse_calls(const std::string& text, int64_t steps) {
  std::vector<int64_t> looks;
  for (const double calls : parse_numbers(text, "--branch-after")) {
    looks.push_back(int64_t(calls));
    check_input(calls >= 0 && calls == double(looks.back()) && looks.back() < steps, Fault::kUsage,
                "--branch-after: expected whole numbers of calls below the sampler's ", steps, ", found ", calls);
  }
  return looks;
}

// The good endings of each state, branched after so many calls; nothing when interrupted.
std::vector<int64_t> good_endings(SamplerJob& job, const Network& network, const Thresholds& thresholds,
                                  int64_t branches, const std::function<void(int64_t)>& on_progress) {
  std::vector<int64_t> good(static_cast<size_t>(job.count / branches));
  SamplerHooks hooks;
  hooks.stop = interrupted;
  hooks.on_progress = [&](int64_t done, int64_t) { on_progress(done); };
  hooks.on_record = [&](const SampleRecord& record) {
    const Metrics metrics = measure_sample(record.image, &thresholds, job.conditions[size_t(record.condition)]);
    good[size_t(record.index / branches)] += is_good(metrics, thresholds) ? 1 : 0;
  };
  if (run_sampler(job, network, {}, hooks).interrupted) good.clear();
  return good;
}

int find_ceiling(const Settings& settings, const Common& common) {
  const Thresholds thresholds = read_thresholds(settings.thresholds);
  const SampledModel model = load_model(settings.model, settings.masks, common);
  require_same_size(thresholds, model.run.image_size, model.run.image_size, settings.model.model);
  const int64_t states = *settings.masks.count, branches = settings.branches;
  const std::vector<Tensor> masks = read_masks(settings.masks, common, model.run, states).masks;
  SamplerJob job = sampler_job(model, settings.model, settings.masks, common);
  job.conditions = masks;
  start_at_means(model, settings.model, common, job);
  job.conditions.clear();
  job.policy = none_policy();
  job.count = states * branches;
  for (int64_t i = 0; i < job.count; ++i)  // branches of one state share its mask
    job.conditions.push_back(masks[size_t(i / branches) % masks.size()]);
  const NoiseSource own = job.noise;
  const std::vector<int64_t> looks = parse_calls(settings.branch_after, job.plan.count());

  Json json{{"states", states}, {"branches", branches}, {"steps", job.plan.count()}, {"rows", Json::array()}};
  std::printf("calls      t  good endings  AUROC of the ideal judge, lower and upper bound\n");
  const int64_t steps = job.count * job.plan.count();
  Progress progress("ceiling", int64_t(looks.size()) * steps, "steps", common.quiet);
  for (size_t look = 0; look < looks.size(); ++look) {
    const int64_t calls = looks[look];
    job.noise = branched_noise(own, seed_of(common.seed, Draw::noise), branches, calls);
    const std::vector<int64_t> good = good_endings(job, model.network(), thresholds, branches, [&](int64_t done) {
      progress.update(int64_t(look) * steps + done, "");
    });
    if (good.empty()) return interrupt_exit_code();
    const int64_t all = std::accumulate(good.begin(), good.end(), int64_t{0});
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
  write_file_atomic(settings.out, json.dump(2) + "\n");
  return 0;
}

}  // namespace

void add_ceiling(Options& program) {
  static Settings settings;
  Options& options = program.subcommand(
      "ceiling",
      "What no judge can exceed: the AUROC of an ideal one after some calls. The noise that remains is drawn anew for "
      "each of --branches endings of a state.",
      "dsample ceiling --model run --masks phantom --count 40 --thresholds thresholds.json --out ceiling.json");
  options.add("--out", settings.out, "table to write", "FILE").required();
  declare_model(options, settings.model);
  declare_guidance(options, settings.model);
  declare_masks(options, settings.masks);
  options.add("--thresholds", settings.thresholds, "labels the endings", "FILE").required();
  options.add("--branches", settings.branches, "endings of each of --count states", {2, 10000}, "trajectories");
  options.add("--branch-after", settings.branch_after, "calls before the noise is drawn anew", "CALLS,...");
  options.runs_on_cuda();
  options.body([](const Common& common) { return find_ceiling(settings, common); });
}

}  // namespace echodiff
