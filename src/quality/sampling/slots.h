// The decisions of sampling, whoever takes the steps: which trajectory begins when, what the policy is told, what
// becomes of each, and the order in which records leave. The network's trajectories (sampler.cpp) and recorded ones
// (replay.cpp) run under it, so a replay can't decide otherwise than a live run.
//
// Up to `batch` trajectories take a step together. One that waits for its group (Policy::group) holds no place among
// them: the next trajectory begins in its stead.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "quality/sampling/sampler.h"

namespace echodiff {

// A trajectory under way.
struct Slot {
  SampleRecord record;
  SampleState state;     // its `step` counts for every kind of trajectory; the pictures are the network's
  Tensor deep, whole_x;  // where the job caches: the deep features of its last whole call, and that call's input
  Tensor last_x;         // where the job keeps noise: x_t of its last step
  const SamplingPlan* plan = nullptr;
  int64_t calls = 0;                // steps taken, of all its plans
  size_t scores_at_resampling = 0;  // how many scores it had when its group was last resampled
  bool early_accept = false;        // accepted on its way, now being finished
  bool waiting = false;             // for the rest of its group
  bool complete = false;            // its finished picture is there

  const PlanStep& last_row() const { return plan->steps[size_t(state.step - 1)]; }
  bool at_end() const { return state.step == plan->count(); }
};

// What a trajectory is made of: the network's work, or a recording of it.
class Trajectories {
 public:
  virtual ~Trajectories() = default;
  virtual void begin(Slot& slot, SamplerTotals& totals) = 0;
  // One step of each, state.step included.
  virtual void step(const std::vector<Slot*>& slots, SamplerTotals& totals) = 0;
  // A score of each, of what the policy looks at: x_T before the first step. `times` are theirs.
  virtual std::vector<double> score(const std::vector<Slot*>& slots, const std::vector<int64_t>& times,
                                    SamplerTotals& totals) = 0;
  // Leaves the picture that is kept, and its final score where something judges.
  virtual void finish(const std::vector<Slot*>& slots, SamplerTotals& totals) = 0;
  virtual void drop(Slot& slot) = 0;  // leaves x0_hat as the picture
  // An early accept goes on: with a plan of its own where that is shorter.
  virtual void finish_early(Slot& slot) = 0;
  virtual void take_over(Slot& slot, const Slot& other) = 0;  // goes on from the other's state
};

// Which trajectories a policy ranks together.
using GroupKey = std::pair<int64_t, int64_t>;  // round, condition
GroupKey group_of(const SamplerJob& job, int64_t index);
int64_t size_of(const SamplerJob& job, const GroupKey& group);

class Loop {
 public:
  Loop(const SamplerJob& job, Trajectories& trajectories, const SamplerHooks& hooks);
  SamplerTotals run();

 private:
  void work();
  bool is_full(int64_t mask) const {
    return job_.accept_per_mask && kept_of_mask_[size_t(mask)] >= *job_.accept_per_mask;
  }
  bool is_wanted(int64_t index) const;
  bool nothing_wanted() const;
  std::vector<Slot*> begin_some(int64_t places);
  void refill();
  std::vector<Slot*> active();
  void watch(const std::vector<Slot*>& slots);
  Moment moment_of(const Slot& slot) const;
  void apply(Slot& slot, const Ruling& ruling);
  void rule_groups();
  void rule_group(const std::vector<Slot*>& members);
  void finish(const std::vector<Slot*>& slots);
  void close(Slot& slot);
  void collect();
  void hand_out(bool gaps);
  void report() const;

  const SamplerJob& job_;
  Trajectories& trajectories_;
  const SamplerHooks& hooks_;
  int64_t masks_, calls_per_step_, mine_;
  int64_t next_;      // the next trajectory to begin
  int64_t expected_;  // the next record to hand out
  bool enough_ = false;
  bool arrived_ = false;                     // someone began to wait since the groups were looked at
  std::list<Slot> slots_;                    // in the order they began
  std::map<GroupKey, int64_t> unbegun_;      // of groups under way: members that have not begun
  std::map<int64_t, SampleRecord> decided_;  // waiting for a lower index
  std::set<int64_t> left_out_;               // never begun: their mask has enough
  int64_t kept_ = 0;                         // decided, handed out or not
  std::vector<int64_t> kept_of_mask_, handed_of_mask_;
  SamplerTotals totals_;
};

}  // namespace echodiff
