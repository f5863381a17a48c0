#include "quality/sampling/slots.h"

#include <algorithm>
#include <utility>

#include "diffusion/condition.h"
#include "kernels/error.h"
#include "quality/sampling/mean_start.h"
#include "tensor/observe.h"

namespace echodiff {

Loop::Loop(const SamplerJob& job, Trajectories& trajectories, const SamplerHooks& hooks)
    : job_(job),
      trajectories_(trajectories),
      hooks_(hooks),
      masks_(int64_t(job.conditions.size())),
      calls_per_step_(calls_per_step(job.guidance)),
      next_(job.first + job.shard),
      expected_(next_),
      kept_of_mask_(job.conditions.size()),
      handed_of_mask_(job.conditions.size()) {
  check(masks_ > 0 && job.batch >= 1 && job.shards >= 1 && job.shard >= 0 && job.shard < job.shards && job.noise.fill,
        "sampler: bad job");
  check_input(job.policy.group == 1 || job.shards == 1, Fault::kUsage, "shards: policy ", job.policy.name,
              " ranks trajectories of one mask, which shards would part; leave it out");
  mine_ = std::max<int64_t>(0, (job.count - next_ + job.shards - 1) / job.shards);
}

SamplerTotals Loop::run() {
  try {
    work();
  } catch (const Stopped&) {  // in the middle of a call: what was decided before it stands
    totals_.interrupted = true;
  }
  for (const Slot& slot : slots_) totals_.unused_calls += slot.record.unet_calls;
  if (totals_.interrupted) hand_out(true);
  for (const auto& [index, record] : decided_) totals_.unused_calls += record.unet_calls;
  return totals_;
}

void Loop::work() {
  while (!enough_) {
    refill();
    hand_out(false);
    const std::vector<Slot*> now = active();
    if (enough_ || now.empty()) break;
    if (hooks_.stop && hooks_.stop()) {
      totals_.interrupted = true;
      break;
    }
    trajectories_.step(now, totals_);
    std::vector<Stepped> stepped;
    for (Slot* slot : now) {
      ++slot->calls;
      slot->record.unet_calls += calls_per_step_;
      const PlanStep& row = slot->last_row();
      stepped.push_back({slot->record.index, slot->record.condition, slot->calls - 1, row.t, row.next_t, &slot->state});
    }
    if (hooks_.on_step) hooks_.on_step(stepped);
    watch(now);
    finish(now);
    rule_groups();
    collect();
    hand_out(false);
    if (hooks_.on_progress) report();
  }
}

GroupKey group_of(const SamplerJob& job, int64_t index) {
  const int64_t masks = int64_t(job.conditions.size());
  return {index / masks / job.policy.group, index % masks};
}

int64_t size_of(const SamplerJob& job, const GroupKey& group) {
  const int64_t masks = int64_t(job.conditions.size()), first = group.first * job.policy.group * masks + group.second;
  return std::min(job.policy.group, (job.count - first + masks - 1) / masks);
}

// Could the records that leave need it? Once enough of those decided are kept, nothing after them can; but a group
// under way is ruled on whole.
bool Loop::is_wanted(int64_t index) const {
  if (job_.policy.group > 1 && unbegun_.count(group_of(job_, index)) != 0) return true;
  return !(job_.accept && kept_ >= *job_.accept) && !is_full(index % masks_);
}

bool Loop::nothing_wanted() const {
  if (!unbegun_.empty()) return false;
  if (job_.accept && kept_ >= *job_.accept) return true;
  for (int64_t mask = 0; mask < masks_; ++mask)
    if (!is_full(mask)) return false;
  return true;
}

std::vector<Slot*> Loop::begin_some(int64_t places) {
  std::vector<Slot*> begun;
  while (int64_t(begun.size()) < places && next_ < job_.count && !nothing_wanted()) {
    const int64_t index = next_;
    next_ += job_.shards;
    if (!is_wanted(index)) {
      left_out_.insert(index);
      continue;
    }
    if (job_.policy.group > 1) {
      const GroupKey group = group_of(job_, index);
      if (--unbegun_.try_emplace(group, size_of(job_, group)).first->second == 0) unbegun_.erase(group);
    }
    ++totals_.begun;
    Slot& slot = slots_.emplace_back();
    slot.record.index = index;
    slot.record.condition = index % masks_;
    slot.record.unet_calls = slot.record.mean_start_calls = mean_start_calls(job_, index);
    totals_.mean_start_calls += slot.record.mean_start_calls;
    slot.plan = &job_.plan;
    trajectories_.begin(slot, totals_);
    begun.push_back(&slot);
  }
  return begun;
}

// Rules at step -1 free the places of those they drop, so there may be several rounds.
void Loop::refill() {
  while (true) {
    const int64_t busy = std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.waiting; });
    const std::vector<Slot*> begun = begin_some(job_.batch - busy);
    if (begun.empty()) return;
    watch(begun);
    rule_groups();
    collect();
  }
}

std::vector<Slot*> Loop::active() {
  std::vector<Slot*> slots;
  for (Slot& slot : slots_)
    if (!slot.waiting && int64_t(slots.size()) < job_.batch) slots.push_back(&slot);
  return slots;
}

Moment Loop::moment_of(const Slot& slot) const {
  const int64_t taken = slot.state.step, steps = slot.plan->count();
  return {slot.record.scores,
          slot.record.index,
          slot.record.condition,
          slot.complete ? steps : taken - 1,
          steps,
          (steps - taken) * calls_per_step_,
          slot.scores_at_resampling};
}

// The policy looks at the slots whose step it monitors.
void Loop::watch(const std::vector<Slot*>& slots) {
  std::vector<Slot*> watched;
  for (Slot* slot : slots)
    if (!slot->early_accept && !slot->at_end() && job_.policy.monitors(slot->state.step - 1, slot->plan->count()))
      watched.push_back(slot);
  if (watched.empty()) return;
  if (job_.policy.reads_scores) {
    std::vector<int64_t> times;
    for (const Slot* slot : watched)
      times.push_back(slot->state.step == 0          ? slot->plan->steps[0].t
                      : job_.score_on == ScoreOn::xt ? slot->last_row().next_t
                                                     : slot->last_row().t);
    const std::vector<double> scores = trajectories_.score(watched, times, totals_);
    for (size_t i = 0; i < watched.size(); ++i) watched[i]->record.scores.push_back({times[i], scores[i]});
  }
  for (Slot* slot : watched) {
    if (job_.policy.group > 1)
      slot->waiting = arrived_ = true;
    else
      apply(*slot, job_.policy.decide(moment_of(*slot)));
  }
}

void Loop::apply(Slot& slot, const Ruling& ruling) {
  if (ruling.verdict == Verdict::kContinue) return;
  slot.record.halted_t = slot.state.step == 0 ? slot.plan->steps[0].t : slot.last_row().t;
  slot.record.reason = ruling.reason;
  if (ruling.verdict == Verdict::kDiscard) {
    slot.record.decision = "discarded";
    trajectories_.drop(slot);
    return;
  }
  slot.early_accept = true;
  if (job_.keep == Keep::finish) trajectories_.finish_early(slot);
}

void Loop::rule_groups() {
  if (!arrived_) return;
  arrived_ = false;
  std::map<GroupKey, std::vector<Slot*>> groups;
  for (Slot& slot : slots_)
    if (slot.record.decision.empty()) groups[group_of(job_, slot.record.index)].push_back(&slot);
  for (const auto& [group, members] : groups)
    if (unbegun_.count(group) == 0 &&
        std::all_of(members.begin(), members.end(), [](const Slot* slot) { return slot->waiting; }))
      rule_group(members);
}

void Loop::rule_group(const std::vector<Slot*>& members) {  // by index: that is how they began
  std::vector<Moment> moments;
  for (const Slot* slot : members) moments.push_back(moment_of(*slot));
  const std::vector<Ruling> rulings = job_.policy.decide_together(moments);
  check(rulings.size() == members.size(), "sampler: policy ", job_.policy.name, " gave ", rulings.size(),
        " rulings for ", members.size(), " trajectories");
  const bool resampled =
      std::any_of(rulings.begin(), rulings.end(), [](const Ruling& ruling) { return ruling.ancestor.has_value(); });
  std::vector<Slot> before;
  if (resampled)
    for (const Slot* slot : members) before.push_back(*slot);
  for (size_t i = 0; i < members.size(); ++i) {
    Slot& slot = *members[i];
    slot.waiting = false;
    const size_t ancestor = rulings[i].ancestor.value_or(i);
    if (ancestor != i) {
      trajectories_.take_over(slot, before.at(ancestor));
      slot.record.scores = before[ancestor].record.scores;
      slot.record.ancestor = before[ancestor].record.index;
    }
    if (resampled) slot.scores_at_resampling = slot.record.scores.size();
    if (slot.complete && rulings[i].verdict != Verdict::kDiscard)
      close(slot);
    else if (slot.complete)
      slot.record.decision = "discarded", slot.record.reason = rulings[i].reason;
    else
      apply(slot, rulings[i]);
  }
}

// Pictures that are finished get their 8 bits and their last judgement.
void Loop::finish(const std::vector<Slot*>& slots) {
  std::vector<Slot*> complete;
  for (Slot* slot : slots)
    if (slot->record.decision.empty() && ((slot->early_accept && job_.keep != Keep::finish) || slot->at_end()))
      complete.push_back(slot);
  if (complete.empty()) return;
  trajectories_.finish(complete, totals_);
  for (Slot* slot : complete) {
    slot->complete = true;
    slot->waiting = job_.policy.ranks_finished;
    arrived_ = arrived_ || slot->waiting;
    if (job_.policy.ranks_finished)
      slot->record.scores.push_back({-1, slot->record.final_score.value()});
    else
      close(*slot);
  }
}

void Loop::close(Slot& slot) {
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

void Loop::collect() {
  for (std::list<Slot>::iterator slot = slots_.begin(); slot != slots_.end();) {
    if (slot->record.decision.empty()) {
      ++slot;
      continue;
    }
    if (slot->record.kept()) {
      ++kept_;
      ++kept_of_mask_[size_t(slot->record.condition)];
    }
    decided_[slot->record.index] = std::move(slot->record);
    slot = slots_.erase(slot);
  }
}

// Records leave in index order, those that a full quota makes needless not at all; with `gaps`, whatever is decided.
void Loop::hand_out(bool gaps) {
  while (!enough_) {
    while (left_out_.erase(expected_) != 0) expected_ += job_.shards;
    const std::map<int64_t, SampleRecord>::iterator first = decided_.begin();
    if (first == decided_.end() || (!gaps && first->first != expected_)) return;
    const SampleRecord record = std::move(first->second);
    decided_.erase(first);
    expected_ = record.index + job_.shards;
    int64_t& handed = handed_of_mask_[size_t(record.condition)];
    if (job_.accept_per_mask && handed >= *job_.accept_per_mask) {
      totals_.unused_calls += record.unet_calls;
      continue;
    }
    ++totals_.trajectories;
    totals_.unet_calls += record.unet_calls;
    totals_.shallow_calls += record.shallow_calls;
    if (record.kept()) {
      ++totals_.kept;
      ++handed;
    }
    if (hooks_.on_record) hooks_.on_record(record);
    enough_ = job_.accept && totals_.kept >= *job_.accept;
    if (job_.accept_per_mask)
      enough_ = enough_ || std::all_of(handed_of_mask_.begin(), handed_of_mask_.end(),
                                       [&](int64_t count) { return count >= *job_.accept_per_mask; });
  }
}

void Loop::report() const {
  const int64_t steps = job_.plan.count();
  int64_t done = (totals_.trajectories + int64_t(decided_.size())) * steps;
  for (const Slot& slot : slots_) done += std::min(slot.calls, steps);
  hooks_.on_progress(done, mine_ * steps);
}

}  // namespace echodiff
