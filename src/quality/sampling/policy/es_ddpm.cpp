#include "quality/sampling/policy/es_ddpm.h"

#include <algorithm>
#include <utility>

#include "diffusion/samplers/samplers.h"
#include "kernels/error.h"
#include "quality/sampling/policy/posthoc.h"

namespace echodiff {

Policy es_ddpm_policy() {
  Policy policy = posthoc_policy();
  policy.name = "es-ddpm";
  return policy;
}

SamplingPlan es_ddpm_plan(const Schedule& schedule, const SamplerOptions& options, int64_t last) {
  const Sampler& sampler = sampler_of(options.sampler);
  SamplingPlan plan = make_plan(schedule, options);
  if (options.grid == Grid()) {
    check_input(sampler.begins_anywhere, Fault::kUsage, "es-ddpm: begins in the middle, which the sampler ",
                sampler.name, " does on a grid only; add --grid logsnr");
    plan.steps = sampler.rows(schedule, last, plan.count(), options);
  } else {
    SamplerOptions lower = options;
    lower.grid = {.kind = GridKind::given};
    for (const PlanStep& step : plan.steps)
      if (step.t <= last) lower.grid.times.push_back(step.t);
    lower.steps = int64_t(lower.grid.times.size());
    if (lower.steps > 0) return make_plan(schedule, lower);
    plan.steps.clear();
  }
  check_input(!plan.steps.empty(), Fault::kUsage, "es-ddpm: no step of the sampler is left below t = ", last,
              "; start higher");
  return plan;
}

NoiseSource es_ddpm_start(const Schedule& schedule, int64_t t, std::vector<Tensor> pictures, NoiseSource noise) {
  check(!pictures.empty(), "es-ddpm: no pictures to begin with");
  const auto fill = [schedule, t, pictures = std::move(pictures), noise = std::move(noise)](int64_t index, int64_t draw,
                                                                                            float* out, int64_t count) {
    noise(index, draw, out, count);
    if (draw != 0) return;
    const Tensor& picture = pictures[size_t(index) % pictures.size()];
    const Tensor x = q_sample(schedule, picture, from_indices({t}), from_values(picture.shape(), out));
    std::copy_n(x.data<float>(), count, out);
  };
  return {fill};
}

}  // namespace echodiff
