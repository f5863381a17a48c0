#include "quality/sampling/mean_start.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "diffusion/condition.h"
#include "kernels/error.h"
#include "kernels/philox.h"
#include "quality/sampling/network.h"
#include "tensor/ops.h"
#include "train/draws.h"

namespace echodiff {

MeanPictures::MeanPictures(const Schedule& schedule, const SamplerJob& job, Network network, uint64_t seed,
                           int64_t draws)
    : conditions_(job.conditions),
      means_(job.conditions.size()),
      network_(std::move(network)),
      guidance_(job.guidance),
      device_(job.device),
      seed_(seed_of(seed, Draw::mean_start)),
      draws_(draws) {
  check(draws >= 1 && !conditions_.empty(), "mean start: ", draws, " draws of ", conditions_.size(), " masks");
  plan_.prediction = job.plan.prediction;
  plan_.clip = true;  // a mean of pictures, whatever the sampler does: where alpha is small x0_hat may be anything
  plan_.steps = {plan_step(schedule, schedule.T - 1, -1)};
  plan_.steps[0].from_x_start = 1;
}

const Tensor& MeanPictures::of(int64_t mask) {
  Tensor& mean = means_.at(size_t(mask));
  if (!mean) mean = asked(mask);
  return mean;
}

Tensor MeanPictures::asked(int64_t mask) const {
  const NoGrad no_grad;
  const Tensor& condition = conditions_[size_t(mask)];
  const Shape one{1, 1, condition.dim(2), condition.dim(3)};
  std::vector<SampleState> states(static_cast<size_t>(draws_));
  std::vector<Tensor> noise;
  std::vector<Walk> walks;
  for (int64_t j = 0; j < draws_; ++j) {
    Tensor z = empty(one);
    fill_normal(z.mutable_data<float>(), one.count(), seed_, uint64_t(mask), uint64_t(j));
    noise.push_back(z.to(device_));
    states[size_t(j)].x = noise.back();
    walks.push_back({&plan_, &states[size_t(j)]});
  }
  const Tensor x = concat(noise, 0);  // (N, 1, H, W)
  const Tensor t = from_indices(std::vector<int64_t>(static_cast<size_t>(draws_), plan_.steps[0].t));
  const auto answer = [&](const Tensor& to) {
    const std::vector<Tensor> conditions(static_cast<size_t>(draws_), to);
    return picture_half(network_(x, t, concat(conditions, 0).to(device_)));
  };
  Tensor output = answer(condition);
  if (guidance_ != 1) output = guide(output, answer(without_organs(condition)), guidance_);
  take_steps(walks, output);
  std::vector<double> sum(size_t(one.count()));
  for (const SampleState& state : states) {
    const Tensor x0_hat = state.x_start.to(Device::kCpu);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += double(x0_hat.data<float>()[i]);
  }
  Tensor mean = empty(one);
  for (size_t i = 0; i < sum.size(); ++i) mean.mutable_data<float>()[i] = float(sum[i] / double(draws_));
  return mean;
}

void begin_at_means(const Schedule& schedule, const std::shared_ptr<MeanPictures>& means, SamplerJob& job) {
  const Tensor t = from_indices({job.plan.steps[0].t});
  const int64_t masks = int64_t(job.conditions.size());
  const auto fill = [schedule, t, masks, means, noise = job.noise](int64_t index, int64_t draw, float* out,
                                                                   int64_t count) {
    noise(index, draw, out, count);
    if (draw != 0) return;
    const Tensor& mean = means->of(index % masks);
    const Tensor x = q_sample(schedule, mean, t, from_values(mean.shape(), out));
    std::copy_n(x.data<float>(), count, out);
  };
  job.noise = {fill};
  job.mean_start = means->draws();
}

int64_t mean_start_calls(const SamplerJob& job, int64_t index) {
  const int64_t masks = int64_t(job.conditions.size()), turn = (index - job.shard) / job.shards;
  const bool first = turn < masks / std::gcd(masks, job.shards);
  return first ? job.mean_start * calls_per_step(job.guidance) : 0;
}

}  // namespace echodiff
