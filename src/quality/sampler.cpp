#include "quality/sampler.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <utility>

#include "diffusion/condition.h"
#include "kernels/error.h"
#include "kernels/philox.h"
#include "kernels/thread_pool.h"
#include "tensor/ops.h"
#include "train/image.h"

namespace echodiff {
namespace {

class Stopwatch {  // adds the time it lived to a total
 public:
  explicit Stopwatch(double& total) : total_(total), start_(std::chrono::steady_clock::now()) {}
  ~Stopwatch() { total_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& total_;
  std::chrono::steady_clock::time_point start_;
};

// A trajectory under way.
struct Slot {
  SampleRecord record;
  SampleState state;
  const SamplingPlan* plan = nullptr;
  int64_t calls = 0;          // steps taken, of all its plans
  bool early_accept = false;  // accepted on its way, now being finished
  bool done = false;
};

class Loop {
 public:
  Loop(const SamplerJob& job, const Network& network, const Judge& judge, const SamplerHooks& hooks)
      : job_(job), network_(network), judge_(judge), hooks_(hooks), next_(job.shard) {
    check(!job.conditions.empty() && job.conditions[0].rank() == 4,
          "sampler: needs at least one condition (1, P, H, W)");
    check(judge || !job.policy.needs_scorer, "sampler: policy ", job.policy.name, " needs a judge");
    check(job.batch >= 1 && job.shards >= 1 && job.shard >= 0 && job.shard < job.shards && job.noise,
          "sampler: bad job");
    for (const Tensor& condition : job.conditions)
      check(condition.shape() == job.conditions[0].shape(), "sampler: conditions of shapes ", condition.shape(),
            " and ", job.conditions[0].shape());
    planes_ = job.conditions[0].dim(1);
    height_ = job.conditions[0].dim(2);
    width_ = job.conditions[0].dim(3);
    pixels_ = height_ * width_;
    for (const Tensor& condition : job.conditions)
      if (job.guidance != 1) bare_.push_back(without_organs(condition));
    mine_ = job.count > job.shard ? (job.count - job.shard + job.shards - 1) / job.shards : 0;
  }

  SamplerTotals run() {
    const NoGrad no_grad;
    while (!enough_) {
      refill();
      if (slots_.empty()) break;
      if (hooks_.stop && hooks_.stop()) {
        totals_.interrupted = true;
        break;
      }
      step();
      rule();
      finish();
      hand_out(false);
      if (hooks_.on_progress) report();
    }
    for (const Slot& slot : slots_) totals_.unused_calls += slot.record.unet_calls;
    if (totals_.interrupted) hand_out(true);
    for (const std::pair<const int64_t, SampleRecord>& late : decided_) totals_.unused_calls += late.second.unet_calls;
    return totals_;
  }

 private:
  int64_t calls_per_step() const { return job_.guidance == 1 ? 1 : 2; }

  // No trajectory is begun that `accept` can't need: enough kept ones among those decided end before any new one.
  void refill() {
    int64_t kept = totals_.kept;
    for (const std::pair<const int64_t, SampleRecord>& record : decided_) kept += record.second.kept() ? 1 : 0;
    while (int64_t(slots_.size()) < job_.batch && next_ < job_.count && !(job_.accept && kept >= *job_.accept)) {
      Slot slot;
      slot.record.index = next_;
      slot.record.condition = next_ % int64_t(job_.conditions.size());
      slot.plan = &job_.plan;
      slot.state.x.resize(size_t(pixels_));
      job_.noise(next_, 0, slot.state.x.data(), pixels_);
      slots_.push_back(std::move(slot));
      next_ += job_.shards;
    }
  }

  Tensor gather(const std::vector<Tensor>& conditions) const {  // -> (n, P, H, W)
    Tensor all = empty({int64_t(slots_.size()), planes_, height_, width_});
    float* out = all.mutable_data<float>();
    for (const Slot& slot : slots_) {
      const Tensor& one = conditions[size_t(slot.record.condition)];
      out = std::copy_n(one.data<float>(), one.count(), out);
    }
    return all;
  }

  // One network call (two with guidance) and one step for every slot.
  void step() {
    const int64_t n = int64_t(slots_.size());
    Tensor x = empty({n, 1, height_, width_});
    Tensor t = empty({n}, DType::i64);
    for (int64_t i = 0; i < n; ++i) {
      const Slot& slot = slots_[size_t(i)];
      std::copy_n(slot.state.x.data(), pixels_, x.mutable_data<float>() + i * pixels_);
      t.mutable_data<int64_t>()[i] = slot.plan->steps[size_t(slot.state.step)].t;
    }
    Tensor output, variance;
    {
      const Stopwatch watch(totals_.unet_seconds);
      output = network_(x, t, gather(job_.conditions));
      if (output.dim(1) == 2) {
        variance = slice(output, 1, 1, 2);
        output = slice(output, 1, 0, 1);
      }
      if (job_.guidance != 1) {
        Tensor bare = network_(x, t, gather(bare_));
        if (bare.dim(1) == 2) bare = slice(bare, 1, 0, 1);
        output = guide(output, bare, job_.guidance);
      }
    }
    check(output.shape() == x.shape(), "sampler: the network answered ", output.shape(), " to x ", x.shape());
    parallel_for(n, [&](int64_t i) {
      Slot& slot = slots_[size_t(i)];
      const PlanStep& row = slot.plan->steps[size_t(slot.state.step)];
      std::vector<float> noise(row.draws_noise ? size_t(pixels_) : 0);
      if (row.draws_noise) job_.noise(slot.record.index, slot.calls + 1, noise.data(), pixels_);
      advance(*slot.plan, slot.state, output.data<float>() + i * pixels_,
              variance ? variance.data<float>() + i * pixels_ : nullptr, noise.data());
      ++slot.calls;
      slot.record.unet_calls += calls_per_step();
      for (const float value : slot.state.x)
        check(std::isfinite(value), "trajectory ", slot.record.index,
              ": x is not finite after the step at t = ", row.t);
    });
    if (hooks_.on_step)
      for (const Slot& slot : slots_) hooks_.on_step(slot.record.index, slot.calls - 1, slot.state);
  }

  std::vector<double> judge(const Tensor& images) {
    const Stopwatch watch(totals_.scorer_seconds);
    totals_.scored_images += images.dim(0);
    const std::vector<double> scores = judge_(images);
    check(int64_t(scores.size()) == images.dim(0), "sampler: the judge gave ", scores.size(), " scores for ",
          images.dim(0), " pictures");
    for (const double score : scores) check(std::isfinite(score), "sampler: the judge gave a score that is not finite");
    return scores;
  }

  // The policy looks at the slots whose step it monitors.
  void rule() {
    std::vector<Slot*> watched;
    for (Slot& slot : slots_) {
      const bool ends = slot.state.step == slot.plan->count();
      if (!slot.early_accept && !ends && job_.policy.monitors(slot.state.step - 1, slot.plan->count()))
        watched.push_back(&slot);
    }
    if (watched.empty()) return;
    if (job_.policy.reads_scores) {
      Tensor images = empty({int64_t(watched.size()), 1, height_, width_});
      float* out = images.mutable_data<float>();
      for (const Slot* slot : watched)
        for (const float value : job_.score_on == ScoreOn::xt ? slot->state.x : slot->state.x_start)
          *out++ = std::clamp(value, -1.0f, 1.0f);
      const std::vector<double> scores = judge(images);
      for (size_t i = 0; i < watched.size(); ++i) {
        const PlanStep& row = watched[i]->plan->steps[size_t(watched[i]->state.step - 1)];
        watched[i]->record.scores.push_back({job_.score_on == ScoreOn::xt ? row.next_t : row.t, scores[i]});
      }
    }
    for (Slot* slot : watched) apply(*slot);
  }

  void apply(Slot& slot) {
    const int64_t taken = slot.state.step, left = slot.plan->count() - taken;
    const Ruling ruling = job_.policy.decide(
        {slot.record.scores, slot.record.index, taken - 1, slot.plan->count(), left * calls_per_step()});
    if (ruling.verdict == Verdict::kContinue) return;
    const PlanStep& row = slot.plan->steps[size_t(taken - 1)];
    slot.record.halted_t = row.t;
    slot.record.reason = ruling.reason;
    if (ruling.verdict == Verdict::kDiscard) {
      slot.record.decision = "discarded";
      slot.record.image = to_gray(slot.state.x_start.data(), height_, width_);
      slot.done = true;
      return;
    }
    slot.early_accept = true;
    if (job_.keep != Keep::finish || !job_.tail) return;
    if (tails_.count(row.next_t) == 0) tails_[row.next_t] = job_.tail(row.next_t);
    const SamplingPlan& tail = tails_.at(row.next_t);
    if (tail.count() >= left) return;
    slot.plan = &tail;
    slot.state.step = 0;
  }

  // Pictures that are complete get their 8 bits and their last judgement.
  void finish() {
    std::vector<Slot*> complete;
    for (Slot& slot : slots_)
      if (!slot.done && ((slot.early_accept && job_.keep != Keep::finish) || slot.state.step == slot.plan->count()))
        complete.push_back(&slot);
    Tensor images;
    if (!complete.empty()) images = empty({int64_t(complete.size()), 1, height_, width_});
    for (size_t i = 0; i < complete.size(); ++i) {
      Slot& slot = *complete[i];
      const bool guess = slot.early_accept && job_.keep == Keep::x0hat;
      slot.record.image = to_gray(guess ? slot.state.x_start.data() : slot.state.x.data(), height_, width_);
      from_gray(slot.record.image, images.mutable_data<float>() + int64_t(i) * pixels_);
    }
    std::vector<double> scores;
    if (judge_ && !complete.empty()) scores = judge(images);
    for (size_t i = 0; i < complete.size(); ++i) {
      Slot& slot = *complete[i];
      slot.done = true;
      if (judge_) slot.record.final_score = scores[i];
      close(slot);
    }
    for (size_t i = slots_.size(); i-- > 0;) {
      if (!slots_[i].done) continue;
      decided_[slots_[i].record.index] = std::move(slots_[i].record);
      slots_.erase(slots_.begin() + int64_t(i));
    }
  }

  void close(Slot& slot) const {
    SampleRecord& record = slot.record;
    if (!job_.policy.judges_final) {
      record.decision = "finished";
      record.reason = "no_policy";
    } else if (*record.final_score < job_.tau) {
      record.decision = "discarded";
      record.reason = "final_score";
    } else {
      record.decision = "accepted";
      if (!slot.early_accept) record.reason = "reached_tau";
    }
  }

  // Records leave in index order; with `gaps`, whatever is decided.
  void hand_out(bool gaps) {
    while (!decided_.empty() && !enough_) {
      const std::map<int64_t, SampleRecord>::iterator first = decided_.begin();
      if (!gaps && first->first != expected_) return;
      const SampleRecord& record = first->second;
      expected_ = record.index + job_.shards;
      ++totals_.trajectories;
      totals_.kept += record.kept() ? 1 : 0;
      totals_.unet_calls += record.unet_calls;
      if (hooks_.on_record) hooks_.on_record(record);
      decided_.erase(first);
      enough_ = job_.accept && totals_.kept >= *job_.accept;
    }
  }

  void report() const {
    const int64_t steps = job_.plan.count();
    int64_t done = (totals_.trajectories + int64_t(decided_.size())) * steps;
    for (const Slot& slot : slots_) done += std::min(slot.calls, steps);
    hooks_.on_progress(done, mine_ * steps);
  }

  const SamplerJob& job_;
  const Network& network_;
  const Judge& judge_;
  const SamplerHooks& hooks_;
  int64_t planes_ = 0, height_ = 0, width_ = 0, pixels_ = 0, mine_ = 0;
  int64_t next_;                   // the next trajectory to begin
  int64_t expected_ = job_.shard;  // the next record to hand out
  bool enough_ = false;
  std::vector<Tensor> bare_;  // conditions without organs
  std::vector<Slot> slots_;
  std::map<int64_t, SamplingPlan> tails_;    // by the time they start from; slots point into it
  std::map<int64_t, SampleRecord> decided_;  // waiting for a lower index
  SamplerTotals totals_;
};

}  // namespace

SamplerTotals run_sampler(const SamplerJob& job, const Network& network, const Judge& judge,
                          const SamplerHooks& hooks) {
  return Loop(job, network, judge, hooks).run();
}

NoiseSource default_noise(uint64_t seed) {
  return [seed](int64_t index, int64_t draw, float* out, int64_t count) {
    fill_normal(out, count, seed, uint64_t(index), uint64_t(draw));
  };
}

}  // namespace echodiff
