#include "quality/sampler.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "diffusion/condition.h"
#include "kernels/error.h"
#include "kernels/philox.h"
#include "kernels/thread_pool.h"
#include "quality/slots.h"
#include "tensor/ops.h"
#include "train/image.h"
#include "train/model_run.h"

namespace echodiff {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Trajectories that the network makes.
class NetworkChains : public Chains {
 public:
  NetworkChains(const SamplerJob& job, const Network& network, const Judge& judge)
      : job_(job), network_(network), judge_(judge), final_judge_(job.final_judge ? job.final_judge : judge) {
    check(!job.conditions.empty() && job.conditions[0].rank() == 4,
          "sampler: needs at least one condition (1, P, H, W)");
    check(final_judge_ || !job.policy.needs_scorer, "sampler: policy ", job.policy.name, " needs a judge");
    for (const Tensor& condition : job.conditions)
      check(condition.shape() == job.conditions[0].shape(), "sampler: conditions of shapes ", condition.shape(),
            " and ", job.conditions[0].shape());
    height_ = job.conditions[0].dim(2);
    width_ = job.conditions[0].dim(3);
    pixels_ = height_ * width_;
    for (const Tensor& condition : job.conditions)
      if (job.guidance != 1) bare_.push_back(without_organs(condition));
  }

  void begin(Slot& slot) override {
    slot.state.x.resize(size_t(pixels_));
    job_.noise(slot.record.index, 0, slot.state.x.data(), pixels_);
  }

  // One network call (two with guidance) for all.
  void step(const std::vector<Slot*>& slots, SamplerTotals& totals) override {
    const int64_t n = int64_t(slots.size());
    Tensor x = empty({n, 1, height_, width_});
    Tensor t = empty({n}, DType::i64);
    for (int64_t i = 0; i < n; ++i) {
      const Slot& slot = *slots[size_t(i)];
      std::copy_n(slot.state.x.data(), pixels_, x.mutable_data<float>() + i * pixels_);
      t.mutable_data<int64_t>()[i] = slot.plan->steps[size_t(slot.state.step)].t;
    }
    const Clock::time_point start = Clock::now();
    Tensor output = network_(x, t, gather(job_.conditions, slots)), variance;
    if (output.dim(1) == 2) {
      variance = slice(output, 1, 1, 2);
      output = slice(output, 1, 0, 1);
    }
    if (job_.guidance != 1) {
      Tensor bare = network_(x, t, gather(bare_, slots));
      if (bare.dim(1) == 2) bare = slice(bare, 1, 0, 1);
      output = guide(output, bare, job_.guidance);
    }
    const double seconds = seconds_since(start);
    totals.unet_seconds += seconds;
    for (Slot* slot : slots) slot->record.seconds += seconds / double(n);
    if (n == job_.batch) {
      totals.full_batch_seconds += seconds;
      totals.full_batch_calls += n * (job_.guidance == 1 ? 1 : 2);
    }
    check(output.shape() == x.shape(), "sampler: the network answered ", output.shape(), " to x ", x.shape());
    parallel_for(n, [&](int64_t i) {
      Slot& slot = *slots[size_t(i)];
      const PlanStep& row = slot.plan->steps[size_t(slot.state.step)];
      std::vector<float> noise(row.draws_noise ? size_t(pixels_) : 0);
      if (row.draws_noise) job_.noise(slot.record.index, slot.calls + 1, noise.data(), pixels_);
      advance(*slot.plan, slot.state, output.data<float>() + i * pixels_,
              variance ? variance.data<float>() + i * pixels_ : nullptr, noise.data());
      for (const float value : slot.state.x)
        check(std::isfinite(value), "trajectory ", slot.record.index,
              ": x is not finite after the step at t = ", row.t);
    });
  }

  std::vector<double> score(const std::vector<Slot*>& slots, const std::vector<int64_t>& times,
                            SamplerTotals& totals) override {
    check(judge_ != nullptr, "sampler: policy ", job_.policy.name, " needs a judge on the way");
    Tensor images = empty({int64_t(slots.size()), 1, height_, width_});
    float* out = images.mutable_data<float>();
    for (const Slot* slot : slots)
      for (const float value :
           job_.score_on == ScoreOn::xt || slot->state.step == 0 ? slot->state.x : slot->state.x_start)
        *out++ = std::clamp(value, -1.0f, 1.0f);
    return judged(judge_, images, times, slots, totals);
  }

  void finish(const std::vector<Slot*>& slots, SamplerTotals& totals) override {
    Tensor images = empty({int64_t(slots.size()), 1, height_, width_});
    for (size_t i = 0; i < slots.size(); ++i) {
      Slot& slot = *slots[i];
      const bool guess = slot.early_accept && job_.keep == Keep::x0hat;
      slot.record.image = to_gray(guess ? slot.state.x_start.data() : slot.state.x.data(), height_, width_);
      from_gray(slot.record.image, images.mutable_data<float>() + int64_t(i) * pixels_);
    }
    if (!final_judge_) return;
    const std::vector<double> scores =
        judged(final_judge_, images, std::vector<int64_t>(slots.size(), -1), slots, totals);
    for (size_t i = 0; i < slots.size(); ++i) slots[i]->record.final_score = scores[i];
  }

  void drop(Slot& slot) override {  // before the first step there is only x_T
    const std::vector<float>& picture = slot.state.step == 0 ? slot.state.x : slot.state.x_start;
    slot.record.image = to_gray(picture.data(), height_, width_);
  }

  void finish_early(Slot& slot) override {
    if (!job_.tail) return;
    const int64_t t = slot.last_row().next_t;
    if (tails_.count(t) == 0) tails_[t] = job_.tail(t);
    const SamplingPlan& tail = tails_.at(t);
    if (tail.count() >= slot.plan->count() - slot.state.step) return;
    slot.plan = &tail;
    slot.state.step = 0;
  }

  void take_over(Slot& slot, const Slot& other) override { slot.state = other.state; }

 private:
  static Tensor gather(const std::vector<Tensor>& conditions, const std::vector<Slot*>& slots) {  // -> (n, P, H, W)
    std::vector<int64_t> numbers;
    for (const Slot* slot : slots) numbers.push_back(slot->record.condition);
    return stack_conditions(conditions, numbers);
  }

  std::vector<double> judged(const Judge& judge, const Tensor& images, const std::vector<int64_t>& times,
                             const std::vector<Slot*>& slots, SamplerTotals& totals) const {
    const Clock::time_point start = Clock::now();
    const std::vector<double> scores = ask(judge, images, from_indices(times), gather(job_.conditions, slots));
    const double seconds = seconds_since(start);
    totals.scorer_seconds += seconds;
    for (Slot* slot : slots) slot->record.seconds += seconds / double(slots.size());
    totals.scored_images += images.dim(0);
    return scores;
  }

  const SamplerJob& job_;
  const Network& network_;
  const Judge &judge_, &final_judge_;
  int64_t height_ = 0, width_ = 0, pixels_ = 0;
  std::vector<Tensor> bare_;               // conditions without organs
  std::map<int64_t, SamplingPlan> tails_;  // by the time they start from; slots point into it
};

}  // namespace

const char* name_of(ScoreOn on) { return on == ScoreOn::xt ? "xt" : "x0hat"; }
ScoreOn parse_score_on(const std::string& name) { return name == "xt" ? ScoreOn::xt : ScoreOn::x0hat; }

std::vector<double> ask(const Judge& judge, const Tensor& images, const Tensor& t, const Tensor& condition) {
  std::vector<double> scores = judge(images, t, condition);
  check(int64_t(scores.size()) == images.dim(0), "sampler: the judge gave ", scores.size(), " scores for ",
        images.dim(0), " pictures");
  for (double& score : scores) {
    check(std::isfinite(score), "sampler: the judge gave a score that is not finite");
    score = double(float(score));
  }
  return scores;
}

SamplerTotals run_sampler(const SamplerJob& job, const Network& network, const Judge& judge,
                          const SamplerHooks& hooks) {
  const NoGrad no_grad;
  NetworkChains chains(job, network, judge);
  return Loop(job, chains, hooks).run();
}

Network network_of(const LoadedDenoiser& run, Device device) {
  return [&run, device](const Tensor& x, const Tensor& t, const Tensor& condition) {
    const Tensor masks = run.options.planes > 0 ? condition.to(device) : Tensor();
    return run.network(x.to(device), t, masks).to(Device::kCpu);
  };
}

NoiseSource default_noise(uint64_t seed) {
  return [seed](int64_t index, int64_t draw, float* out, int64_t count) {
    fill_normal(out, count, seed, uint64_t(index), uint64_t(draw));
  };
}

}  // namespace echodiff
