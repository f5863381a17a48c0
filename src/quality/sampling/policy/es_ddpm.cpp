#include "quality/sampling/policy/es_ddpm.h"

#include <algorithm>
#include <utility>

#include "diffusion/samplers/ddim.h"
#include "kernels/error.h"
#include "quality/sampling/policy/posthoc.h"

namespace echodiff {

Policy es_ddpm_policy() {
  Policy policy = posthoc_policy();
  policy.name = "es-ddpm";
  return policy;
}

SamplingPlan es_ddpm_plan(const Schedule& schedule, const SamplerOptions& options, int64_t last) {
  check_input(options.kind != SamplerKind::dpmpp, Fault::kUsage,
              "--policy es-ddpm: begins in the middle, which --sampler dpmpp does not; use ddim or ddpm");
  SamplingPlan plan = make_plan(schedule, options);
  if (options.kind == SamplerKind::ddim)
    plan.steps = ddim_steps(schedule, last, std::min(plan.count(), last + 1), options.eta);
  else
    std::erase_if(plan.steps, [last](const PlanStep& row) { return row.t > last; });
  check_input(!plan.steps.empty(), Fault::kUsage, "--start: no step of the sampler is left below t = ", last,
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
