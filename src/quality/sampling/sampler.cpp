#include "quality/sampling/sampler.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <utility>

#include "diffusion/condition.h"
#include "kernels/error.h"
#include "kernels/thread_pool.h"
#include "quality/sampling/going_on.h"
#include "quality/sampling/network.h"
#include "tensor/ops.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Trajectories that the network makes.
class NetworkTrajectories : public Trajectories {
 public:
  NetworkTrajectories(const SamplerJob& job, const Network& network, const Judge& judge)
      : job_(job), network_(network), judge_(judge), final_judge_(job.final_judge ? job.final_judge : judge) {
    check(!job.conditions.empty() && job.conditions[0].rank() == 4,
          "sampler: needs at least one condition (1, P, H, W)");
    check(!job.caching || job.guidance == 1, "sampler: no cache with guidance");
    check(final_judge_ || !job.policy.needs_scorer, "sampler: policy ", job.policy.name, " needs a judge");
    for (const Tensor& condition : job.conditions)
      check(condition.shape() == job.conditions[0].shape(), "sampler: conditions of shapes ", condition.shape(),
            " and ", job.conditions[0].shape());
    height_ = job.conditions[0].dim(2);
    width_ = job.conditions[0].dim(3);
    pixels_ = height_ * width_;
    for (const Tensor& condition : job.conditions) {
      conditions_.push_back(condition.to(job.device));
      if (job.guidance != 1) bare_.push_back(without_organs(condition).to(job.device));
    }
  }

  void begin(Slot& slot, SamplerTotals& totals) override {
    const Clock::time_point start = Clock::now();
    slot.state.x = noise({slot.record.index}, {0});
    if (job_.mean_start == 0) return;
    const double seconds = seconds_since(start);  // of network calls, where its mask is new
    totals.unet_seconds += seconds;
    slot.record.seconds += seconds;
  }

  void step(const std::vector<Slot*>& slots, SamplerTotals& totals) override {
    full_batch_ = int64_t(slots.size()) == job_.batch;
    if (full_batch_) totals.full_batch_calls += job_.batch * calls_per_step(job_.guidance);
    std::vector<Slot*> whole, shallow;
    for (Slot* slot : slots) (leaves_early(*slot) ? shallow : whole).push_back(slot);
    if (!whole.empty()) step_together(whole, false, totals);
    if (!shallow.empty()) step_together(shallow, true, totals);
  }

  // One network call (two with guidance) for all.
  void step_together(const std::vector<Slot*>& slots, bool shallow, SamplerTotals& totals) {
    std::vector<Walk> walks;
    std::vector<int64_t> times, drawing, draws;
    for (Slot* slot : slots) {
      const PlanStep& row = walks.emplace_back(slot->plan, &slot->state).row();
      times.push_back(row.t);
      if (!row.draws_noise) continue;
      drawing.push_back(slot->record.index);
      draws.push_back(slot->calls + 1);
    }
    const Tensor x = states(slots, [](const Slot& slot) { return slot.state.x; });
    const Tensor t = from_indices(times);
    const Clock::time_point start = Clock::now();
    const Tensor answer = call(x, t, slots, shallow);
    const Tensor variance = answer.dim(1) == 2 ? slice(answer, 1, 1, 2) : Tensor();
    Tensor output = picture_half(answer);
    if (job_.guidance != 1) output = guide(output, picture_half(network_(x, t, gather(bare_, slots))), job_.guidance);
    const double seconds = seconds_since(start);
    add_network_time(seconds, slots, totals);
    SamplerTotals::Calls& calls = shallow ? totals.shallow : totals.whole;
    calls.count += int64_t(slots.size()) * calls_per_step(job_.guidance);
    calls.seconds += seconds;
    check(output.shape() == x.shape(), "sampler: the network answered ", output.shape(), " to x ", x.shape());
    if (job_.keep_noise > 0)
      for (Slot* slot : slots) slot->last_x = slot->state.x;
    take_steps(walks, output, variance, drawing.empty() ? Tensor() : noise(drawing, draws));
    if (job_.device == Device::kCpu)  // elsewhere it is seen where pictures are looked at
      for (const Slot* slot : slots) require_finite(*slot, slot->state.x.data<float>());
  }

  std::vector<double> score(const std::vector<Slot*>& slots, const std::vector<int64_t>& times,
                            SamplerTotals& totals) override {
    check(judge_ != nullptr, "sampler: policy ", job_.policy.name, " needs a judge on the way");
    Tensor images = looked_at(slots, totals, [&](const Slot& slot) {
      return job_.score_on == ScoreOn::xt || slot.state.step == 0 ? slot.state.x : slot.state.x_start;
    });
    clamp_pictures(images);
    return judged(judge_, images, times, slots, totals);
  }

  void finish(const std::vector<Slot*>& slots, SamplerTotals& totals) override {
    Tensor images = looked_at(slots, totals, [&](const Slot& slot) {
      return slot.early_accept && job_.keep == Keep::x0hat ? slot.state.x_start : slot.state.x;
    });
    for (size_t i = 0; i < slots.size(); ++i) {
      float* const image = images.mutable_data<float>() + int64_t(i) * pixels_;
      require_finite(*slots[i], image);
      slots[i]->record.image = to_gray(image, height_, width_);
      from_gray(slots[i]->record.image, image);
    }
    if (final_judge_) {
      const std::vector<double> scores =
          judged(final_judge_, images, std::vector<int64_t>(slots.size(), -1), slots, totals);
      for (size_t i = 0; i < slots.size(); ++i) slots[i]->record.final_score = scores[i];
    }
    if (job_.keep_noise > 0)
      for (Slot* slot : slots) slot->record.scored = std::exchange(slot->record.image, noisy(*slot));
  }

  void drop(Slot& slot) override {  // before the first step there is only x_T
    const Tensor picture = (slot.state.step == 0 ? slot.state.x : slot.state.x_start).to(Device::kCpu);
    slot.record.image = to_gray(picture.data<float>(), height_, width_);
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

  void take_over(Slot& slot, const Slot& other) override {
    slot.state = other.state;
    slot.deep = other.deep;
    slot.whole_x = other.whole_x;
  }

 private:
  bool leaves_early(const Slot& slot) const {
    if (!slot.deep) return false;
    const int64_t step = slot.state.step;
    if (!job_.exits) return step % job_.whole_every != 0;
    return slot.plan == &job_.plan &&
           job_.exits->expected_error(step, moved_by(slot.state.x, slot.whole_x, 0)) < job_.exit_error;
  }

  Tensor call(const Tensor& x, const Tensor& t, const std::vector<Slot*>& slots, bool shallow) const {
    if (!job_.caching) return network_(x, t, gather(conditions_, slots));
    Tensor deep = shallow ? states(slots, [](const Slot& slot) { return slot.deep; }) : Tensor();
    const Tensor output = job_.caching(x, t, gather(conditions_, slots), deep);
    for (size_t i = 0; i < slots.size(); ++i) {
      if (shallow) {
        ++slots[i]->record.shallow_calls;
      } else {
        slots[i]->deep = slice(deep, 0, int64_t(i), int64_t(i) + 1);
        slots[i]->whole_x = slots[i]->state.x;
      }
    }
    return output;
  }

  // The finished picture with the share of its last step's noise that the job keeps.
  GrayImage noisy(const Slot& slot) const {
    const Tensor x_t = slot.last_x.to(Device::kCpu), &condition = job_.conditions[size_t(slot.record.condition)];
    Tensor picture = slot.state.x.to(Device::kCpu).clone();
    const float share = float(job_.keep_noise), recip_alpha = slot.last_row().sqrt_recip_alpha_bar;
    const int64_t planes = condition.dim(1);
    float* out = picture.mutable_data<float>();
    for (int64_t i = 0; i < pixels_; ++i) {
      const float sector = condition.data<float>()[(i + 1) * planes - 1];
      out[i] += share * sector * (x_t.data<float>()[i] * recip_alpha - out[i]);
    }
    return to_gray(out, height_, width_);
  }

  // One picture of each slot -> (n, 1, H, W) on the job's device.
  template <class Which> static Tensor states(const std::vector<Slot*>& slots, Which&& which) {
    std::vector<Tensor> parts;
    for (const Slot* slot : slots) parts.push_back(which(*slot));
    return concat(parts, 0);
  }
  // The same on the CPU. On a device this waits for the network's calls, so the time is theirs.
  template <class Which> Tensor looked_at(const std::vector<Slot*>& slots, SamplerTotals& totals, Which&& which) const {
    const Clock::time_point start = Clock::now();
    const Tensor pictures = states(slots, which).to(Device::kCpu);
    if (job_.device != Device::kCpu) add_network_time(seconds_since(start), slots, totals);
    return pictures;
  }
  void add_network_time(double seconds, const std::vector<Slot*>& slots, SamplerTotals& totals) const {
    totals.unet_seconds += seconds;
    if (full_batch_) totals.full_batch_seconds += seconds;
    for (Slot* slot : slots) slot->record.seconds += seconds / double(slots.size());
  }

  static Tensor gather(const std::vector<Tensor>& conditions, const std::vector<Slot*>& slots) {  // -> (n, P, H, W)
    std::vector<int64_t> numbers;
    for (const Slot* slot : slots) numbers.push_back(slot->record.condition);
    return stack_conditions(conditions, numbers);
  }

  // The draws'th noise of each of the trajectories -> (n, 1, H, W) on the job's device.
  Tensor noise(const std::vector<int64_t>& indices, const std::vector<int64_t>& draws) const {
    const int64_t n = int64_t(indices.size());
    const Shape shape{n, 1, height_, width_};
    if (job_.noise.seed) return normal_rows(shape, *job_.noise.seed, indices, draws, job_.device);
    Tensor given = empty(shape);
    float* out = given.mutable_data<float>();
    const auto fill = [&](int64_t i) { job_.noise(indices[size_t(i)], draws[size_t(i)], out + i * pixels_, pixels_); };
    if (n == 1)  // alone: of a mask's first trajectory it may be the network's work, which has threads of its own
      fill(0);
    else
      parallel_for(n, fill);
    return given.to(job_.device);
  }

  void require_finite(const Slot& slot, const float* picture) const {
    for (int64_t i = 0; i < pixels_; ++i)
      check(std::isfinite(picture[i]), "trajectory ", slot.record.index,
            ": x is not finite after the step at t = ", slot.last_row().t);
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
  std::vector<Tensor> conditions_, bare_;  // on the job's device; bare: without organs
  bool full_batch_ = false;                // the last call left no slot empty
  std::map<int64_t, SamplingPlan> tails_;  // by the time they start from; slots point into it
};

}  // namespace

SamplerTotals run_sampler(const SamplerJob& job, const Network& network, const Judge& judge, const SamplerHooks& hooks,
                          const KnownRecords& known) {
  const NoGrad no_grad;
  NetworkTrajectories made(job, network, judge);
  PartlyKnown trajectories(job, known, made);
  return Loop(job, trajectories, hooks).run();
}

}  // namespace echodiff
