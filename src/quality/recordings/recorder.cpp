#include "quality/recordings/recorder.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "diffusion/condition.h"
#include "kernels/error.h"
#include "quality/judges/threshold_judge.h"
#include "quality/recordings/recording_merge.h"
#include "quality/sampling/policy/none.h"
#include "tensor/ops.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

// A picture to score.
struct Scored {
  Tensor picture;  // (1, 1, H, W) on the job's device
  int64_t t, condition;
};

class ShardRecorder {
 public:
  ShardRecorder(const RecorderJob& job, int64_t first, int64_t count) : job_(job), first_(first) {
    const int64_t K = job.facts.steps();
    trajectories_.resize(size_t(count));
    for (Trajectory& trajectory : trajectories_) {
      trajectory.scores.assign(job.judges.size(),
                               std::vector<float>(size_t(K + 1), std::numeric_limits<float>::quiet_NaN()));
      trajectory.start.resize(job.judges.size());
      trajectory.x0hat.resize(job.facts.thumbnail_steps.size());
    }
  }

  std::vector<Trajectory> run(const Network& network, const RecorderHooks& hooks, int64_t done, int64_t total,
                              bool* interrupted) {
    score_starts();
    SamplerJob sampling = job_.sampling;
    sampling.policy = none_policy();
    sampling.first = first_;
    sampling.count = first_ + int64_t(trajectories_.size());
    sampling.accept.reset();
    SamplerHooks sampler;
    sampler.stop = hooks.stop;
    sampler.on_step = [&](const std::vector<Stepped>& steps) { look(steps); };
    sampler.on_record = [&](const SampleRecord& record) {
      Trajectory& trajectory = at(record.index);
      trajectory.index = record.index;
      trajectory.condition = record.condition;
      trajectory.final = record.image;
    };
    if (hooks.on_progress)
      sampler.on_progress = [&](int64_t steps, int64_t) { hooks.on_progress(done + steps, total); };
    const SamplerTotals totals = run_sampler(sampling, network, {}, sampler);
    *interrupted = totals.interrupted;
    if (*interrupted) return {};
    seconds_.unet_calls = totals.unet_calls - totals.mean_start_calls;  // those were made to score the starts
    seconds_.shallow_calls = totals.shallow.count;
    seconds_.unet_seconds = totals.unet_seconds;
    seconds_.shallow_seconds = totals.shallow.seconds;
    score_finals();
    return std::move(trajectories_);
  }

  const RecordedSeconds& seconds() const { return seconds_; }

 private:
  Trajectory& at(int64_t index) { return trajectories_[size_t(index - first_)]; }

  // -> a score each, in batches of the job's
  std::vector<double> score(const Judge& judge, const std::vector<Scored>& pictures) {
    const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
    const int64_t total = int64_t(pictures.size());
    std::vector<double> scores;
    for (int64_t begin = 0; begin < total; begin += job_.sampling.batch) {
      const int64_t end = std::min(begin + job_.sampling.batch, total);
      std::vector<Tensor> parts;
      std::vector<int64_t> times, numbers;
      for (int64_t i = begin; i < end; ++i) {
        const Scored& scored = pictures[size_t(i)];
        parts.push_back(scored.picture);
        times.push_back(scored.t);
        numbers.push_back(scored.condition);
      }
      Tensor images = concat(parts, 0).to(Device::kCpu);
      clamp_pictures(images);
      const std::vector<double> some =
          ask(judge, images, from_indices(times), stack_conditions(job_.sampling.conditions, numbers));
      scores.insert(scores.end(), some.begin(), some.end());
    }
    seconds_.scored_images += total;
    seconds_.scorer_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return scores;
  }

  void score_starts() {
    const int64_t size = job_.facts.size, masks = int64_t(job_.facts.masks.size());
    std::vector<Scored> pictures;
    for (size_t i = 0; i < trajectories_.size(); ++i) {
      const int64_t index = first_ + int64_t(i);
      Tensor noise = empty({1, 1, size, size});
      job_.sampling.noise(index, 0, noise.mutable_data<float>(), size * size);
      pictures.push_back({noise, job_.facts.times[0], index % masks});
    }
    for (size_t j = 0; j < job_.judges.size(); ++j) {
      const std::vector<double> scores = score(job_.judges[j], pictures);
      for (size_t i = 0; i < trajectories_.size(); ++i) trajectories_[i].start[j] = float(scores[i]);
    }
  }

  void look(const std::vector<Stepped>& steps) {
    const std::vector<int64_t>& thumbnails = job_.facts.thumbnail_steps;
    std::vector<const Stepped*> watched;
    for (const Stepped& one : steps) {
      const std::vector<int64_t>::const_iterator found =
          std::lower_bound(thumbnails.begin(), thumbnails.end(), one.step);
      if (found != thumbnails.end() && *found == one.step)
        at(one.index).x0hat[size_t(found - thumbnails.begin())] =
            to_gray(one.state->x_start.to(Device::kCpu).data<float>(), job_.facts.size, job_.facts.size);
      if (job_.facts.scored(one.step)) watched.push_back(&one);
    }
    for (size_t j = 0; j < job_.judges.size() && !watched.empty(); ++j) {
      const bool xt = job_.facts.judges[j].on == ScoreOn::xt;
      std::vector<Scored> pictures;
      for (const Stepped* one : watched)
        pictures.push_back({xt ? one->state->x : one->state->x_start, xt ? one->next_t : one->t, one->condition});
      const std::vector<double> scores = score(job_.judges[j], pictures);
      for (size_t i = 0; i < watched.size(); ++i)
        at(watched[i]->index).scores[j][size_t(watched[i]->step)] = float(scores[i]);
    }
  }

  void score_finals() {
    std::vector<Scored> pictures;
    for (Trajectory& trajectory : trajectories_)
      pictures.push_back({to_tensor({&trajectory.final}), -1, trajectory.condition});
    for (size_t j = 0; j < job_.judges.size(); ++j) {
      const std::vector<double> scores = score(job_.judges[j], pictures);
      for (size_t i = 0; i < trajectories_.size(); ++i) trajectories_[i].scores[j].back() = float(scores[i]);
    }
    for (Trajectory& trajectory : trajectories_) {
      const Tensor& condition = job_.sampling.conditions[size_t(trajectory.condition)];
      const Thresholds* thresholds = job_.facts.thresholds ? &*job_.facts.thresholds : nullptr;
      trajectory.metrics = measure_sample(trajectory.final, thresholds, condition);
      if (thresholds) trajectory.good = is_good(trajectory.metrics, *thresholds);
    }
  }

  const RecorderJob& job_;
  int64_t first_;
  std::vector<Trajectory> trajectories_;
  RecordedSeconds seconds_;
};

}  // namespace

int64_t record_trajectories(const std::string& directory, const RecorderJob& job, const Network& network,
                            const RecorderHooks& hooks) {
  const RecordingFacts& facts = job.facts;
  check(job.judges.size() == facts.judges.size() && job.sampling.conditions.size() == facts.masks.size(),
        "recorder: judges or masks don't fit the facts");
  if (facts.thresholds) require_same_size(*facts.thresholds, facts.size, facts.size, "thresholds: the model's picture");
  check_input(job.part.of > 1 || !is_recording_part(directory), Fault::kCannotCreate, directory,
              ": holds a part of a recording; give its --shard, or record into another folder");
  open_recording(directory, facts, job.sampling.conditions);
  if (job.part.of > 1) open_recording_part(directory, {job.part, job.sampling.count});
  const int64_t count = job.sampling.count, total = count * facts.steps();
  int64_t held = 0;
  for (int64_t shard = job.part.index; shard * facts.per_shard < count; shard += job.part.of) {
    const int64_t first = shard * facts.per_shard, wanted = std::min(facts.per_shard, count - first);
    const int64_t here = int64_t(read_shard(directory, shard, facts, false).size());
    if (here < wanted) {
      ShardRecorder recorder(job, first, wanted);
      bool interrupted = false;
      const std::vector<Trajectory> trajectories =
          recorder.run(network, hooks, first * facts.steps(), total, &interrupted);
      if (interrupted) break;
      write_shard(directory, shard, facts, trajectories, recorder.seconds());
    }
    held += std::max(here, wanted);
  }
  return held;
}

std::vector<int64_t> spread_thumbnails(int64_t steps, int64_t count) {
  std::vector<int64_t> chosen;
  const int64_t n = std::min(count, steps - 1);
  for (int64_t i = 0; i < n; ++i) chosen.push_back(i * (steps - 1) / n);
  return chosen;
}

}  // namespace echodiff
