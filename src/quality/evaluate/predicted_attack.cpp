#include "quality/evaluate/predicted_attack.h"

#include <algorithm>

#include "quality/sampling/policy/es_ddpm.h"
#include "quality/sampling/policy/none.h"
#include "train/data/image.h"
#include "train/data/loader.h"

namespace echodiff {

std::vector<GrayImage> predicted_attack(const Network& network, const Schedule& schedule, Prediction prediction,
                                        const std::vector<const Example*>& sources, uint64_t seed) {
  const int64_t t = std::max<int64_t>(1, schedule.T / 2) - 1;
  SamplerJob job;
  job.plan = make_tail(schedule, {.clip = true, .prediction = prediction}, t, 1);  // one step: x_0 is x0_hat
  job.policy = none_policy();
  job.count = int64_t(sources.size());
  std::vector<Tensor> pictures;
  for (const Example* source : sources) {
    pictures.push_back(to_tensor({&source->image}));
    job.conditions.push_back(condition_of(*source));
  }
  job.noise = es_ddpm_start(schedule, t, std::move(pictures), default_noise(seed));
  std::vector<GrayImage> images;
  SamplerHooks hooks;
  hooks.on_record = [&](const SampleRecord& record) { images.push_back(record.image); };
  run_sampler(job, network, {}, hooks);
  return images;
}

}  // namespace echodiff
