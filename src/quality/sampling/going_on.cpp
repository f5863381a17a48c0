#include "quality/sampling/going_on.h"

#include <algorithm>

#include "diffusion/condition.h"

namespace echodiff {
namespace {

// Those of whom nothing is known; the others and their records are given to `tell`.
template <class Known, class Tell>
std::vector<Slot*> settle(const std::vector<Slot*>& slots, const Known& known_of, const Tell& tell) {
  std::vector<Slot*> unknown;
  for (Slot* slot : slots)
    if (const SampleRecord* record = known_of(*slot))
      tell(*slot, *record);
    else
      unknown.push_back(slot);
  return unknown;
}

}  // namespace

PartlyKnown::PartlyKnown(const SamplerJob& job, const KnownRecords& known, Trajectories& others)
    : job_(job), others_(others) {
  std::map<GroupKey, int64_t> members;
  for (const auto& [index, record] : known) ++members[group_of(job, index)];
  for (const auto& [index, record] : known)
    if (members.at(group_of(job, index)) == size_of(job, group_of(job, index))) known_[index] = &record;
}

const SampleRecord* PartlyKnown::known_of(const Slot& slot) const {
  const auto found = known_.find(slot.record.index);
  return found == known_.end() ? nullptr : found->second;
}

void PartlyKnown::begin(Slot& slot, SamplerTotals& totals) {
  if (const SampleRecord* known = known_of(slot)) {
    slot.record.shallow_calls = known->shallow_calls;
    slot.record.seconds = known->seconds;
  } else {
    others_.begin(slot, totals);
  }
}

void PartlyKnown::step(const std::vector<Slot*>& slots, SamplerTotals& totals) {
  const int64_t calls = calls_per_step(job_.guidance);
  const auto known = [this](const Slot& slot) { return known_of(slot); };
  const std::vector<Slot*> unknown = settle(slots, known, [&](Slot& slot, const SampleRecord& record) {
    ++slot.state.step;
    // The time that it took then, its judge's with it: nobody has kept them apart.
    const int64_t stepped = std::max(record.unet_calls - record.mean_start_calls, calls);
    totals.unet_seconds += record.seconds * double(calls) / double(stepped);
  });
  if (!unknown.empty()) others_.step(unknown, totals);
}

std::vector<double> PartlyKnown::score(const std::vector<Slot*>& slots, const std::vector<int64_t>& times,
                                       SamplerTotals& totals) {
  std::vector<Slot*> unknown;
  std::vector<int64_t> unknown_times;
  for (size_t i = 0; i < slots.size(); ++i)
    if (!known_of(*slots[i])) unknown.push_back(slots[i]), unknown_times.push_back(times[i]);
  std::vector<double> made;
  if (!unknown.empty()) made = others_.score(unknown, unknown_times, totals);
  std::vector<double> scores;
  size_t next = 0;
  for (const Slot* slot : slots) {
    const SampleRecord* known = known_of(*slot);
    if (known == nullptr) {
      scores.push_back(made[next++]);
      continue;
    }
    // One that took over another's state has that one's scores in its record. Which are asked for then decides nothing:
    // a policy that resamples drops none, and finish() gives the record its own again.
    const size_t place = slot->record.scores.size();
    scores.push_back(place < known->scores.size() ? known->scores[place].value : 0);
    ++totals.scored_images;
  }
  return scores;
}

void PartlyKnown::finish(const std::vector<Slot*>& slots, SamplerTotals& totals) {
  const auto known = [this](const Slot& slot) { return known_of(slot); };
  const std::vector<Slot*> unknown = settle(slots, known, [&](Slot& slot, const SampleRecord& record) {
    slot.record.image = record.image;
    slot.record.final_score = record.final_score;
    slot.record.ancestor = record.ancestor;
    slot.record.scores = record.scores;
    if (job_.policy.ranks_finished) slot.record.scores.pop_back();  // the loop adds the final one
    if (record.final_score) ++totals.scored_images;
  });
  if (!unknown.empty()) others_.finish(unknown, totals);
}

void PartlyKnown::drop(Slot& slot) {
  if (const SampleRecord* known = known_of(slot))
    slot.record.image = known->image;
  else
    others_.drop(slot);
}

void PartlyKnown::finish_early(Slot& slot) { others_.finish_early(slot); }  // a plan, of the job alone

void PartlyKnown::take_over(Slot& slot, const Slot& other) {
  if (!known_of(slot)) others_.take_over(slot, other);
}

}  // namespace echodiff
