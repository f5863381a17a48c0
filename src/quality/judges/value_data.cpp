#include "quality/judges/value_data.h"

#include <algorithm>
#include <cmath>

#include "diffusion/diffusion.h"
#include "kernels/error.h"
#include "kernels/philox.h"
#include "tensor/ops.h"
#include "train/data/augment.h"
#include "train/data/image.h"
#include "train/draws.h"

namespace echodiff {
namespace {

int64_t good_ones(const ValueData& data, const std::vector<int64_t>& trajectories) {
  return std::count_if(trajectories.begin(), trajectories.end(),
                       [&](int64_t i) { return data.trajectories[size_t(i)].good; });
}

int64_t frame_count(const ValueTrajectory& trajectory) { return int64_t(trajectory.x0hat.size()) + 1; }

int64_t time_of(const ValueTrajectory& trajectory, int64_t frame) {
  return frame < int64_t(trajectory.times.size()) ? trajectory.times[size_t(frame)] : -1;
}

}  // namespace

ValueSplit split_by_mask(const ValueData& data, double calibrate, double test, uint64_t seed) {
  std::vector<std::vector<int64_t>> of_mask(data.masks.size());
  for (size_t i = 0; i < data.trajectories.size(); ++i)
    of_mask[size_t(data.trajectories[i].mask)].push_back(int64_t(i));
  std::erase_if(of_mask, [](const std::vector<int64_t>& trajectories) { return trajectories.empty(); });
  const int64_t masks = int64_t(of_mask.size());
  check_input(masks >= 3, Fault::kBadInput, "value data: expected at least 3 masks to split by, found ", masks,
              "; record on more masks");
  const auto share = [&](double fraction) { return std::max<int64_t>(1, std::llround(fraction * double(masks))); };
  const int64_t test_masks = share(test), calibrate_masks = share(calibrate);
  ValueSplit split;
  const std::vector<int64_t> order = draw_examples(seed, masks, 0, masks);
  for (int64_t place = 0; place < masks; ++place) {
    std::vector<int64_t>& part = place < test_masks                     ? split.test
                                 : place < test_masks + calibrate_masks ? split.calibrate
                                                                        : split.train;
    const std::vector<int64_t>& trajectories = of_mask[size_t(order[size_t(place)])];
    part.insert(part.end(), trajectories.begin(), trajectories.end());
  }
  for (const std::vector<int64_t>* part : {&split.train, &split.calibrate, &split.test}) {
    const int64_t good = good_ones(data, *part), poor = int64_t(part->size()) - good;
    check_input(
        good > 0 && poor > 0, Fault::kBadInput, "value data: one part of the split has ", good, " good and ", poor,
        " poor trajectories, expected both kinds in each; record more trajectories, or take another seed of the split");
  }
  return split;
}

std::vector<ValueFrame> frames_of(const ValueData& data, const std::vector<int64_t>& trajectories,
                                  const std::string& on) {
  std::vector<ValueFrame> frames;
  for (const int64_t trajectory : trajectories) {
    const int64_t count = frame_count(data.trajectories[size_t(trajectory)]);
    for (int64_t frame = on == "x0" ? count - 1 : 0; frame < count; ++frame) frames.push_back({trajectory, frame});
  }
  return frames;
}

ValueBatch make_value_batch(const ValueData& data, const Schedule& schedule, const std::vector<ValueFrame>& frames,
                            const std::vector<bool>& mirrored, const std::string& on, uint64_t seed, int64_t first) {
  const int64_t n = int64_t(frames.size()), size = data.image_size, pixels = size * size;
  ValueBatch batch{empty({n, 1, size, size}), empty({n}, DType::i64), empty({n, data.planes, size, size}),
                   empty({n, 1})};
  for (int64_t i = 0; i < n; ++i) {
    const auto [number, frame] = frames[size_t(i)];
    const ValueTrajectory& trajectory = data.trajectories[size_t(number)];
    const int64_t t = time_of(trajectory, frame);
    float* x = batch.images.mutable_data<float>() + i * pixels;
    from_gray(on == "x0hat" && t >= 0 ? trajectory.x0hat[size_t(frame)] : trajectory.final, x);
    if (on == "xt" && t >= 0) {
      Tensor noise = empty({1, 1, size, size}), x_0 = empty({1, 1, size, size});
      fill_normal(noise.mutable_data<float>(), pixels, seed, uint64_t(first + i), 0);
      std::copy_n(x, pixels, x_0.mutable_data<float>());
      const Tensor x_t = q_sample(schedule, x_0, full({1}, double(t), DType::i64), noise);
      std::transform(x_t.data<float>(), x_t.data<float>() + pixels, x,
                     [](float value) { return std::clamp(value, -1.0f, 1.0f); });
    }
    float* planes = batch.condition.mutable_data<float>() + i * pixels * data.planes;
    std::copy_n(data.masks[size_t(trajectory.mask)].data<float>(), pixels * data.planes, planes);
    if (mirrored[size_t(i)]) {
      flip_rows(x, size, 1);
      flip_rows(planes, size, data.planes);
    }
    batch.t.mutable_data<int64_t>()[i] = t;
    batch.targets.mutable_data<float>()[i] = trajectory.good ? 1 : 0;
  }
  return batch;
}

ValueBatch draw_value_batch(const ValueData& data, const Schedule& schedule, const std::vector<int64_t>& trajectories,
                            const std::string& on, uint64_t seed, int64_t first, int64_t count) {
  check(first % 2 == 0 && count % 2 == 0, "value data: samples come in pairs, got ", first, " and ", count);
  std::vector<ValueFrame> frames(static_cast<size_t>(count));
  std::vector<bool> mirrored(static_cast<size_t>(count));
  for (int64_t kind = 0; kind < 2; ++kind) {
    std::vector<int64_t> members;
    for (const int64_t i : trajectories)
      if (data.trajectories[size_t(i)].good == (kind == 1)) members.push_back(i);
    const std::vector<int64_t> drawn =
        draw_examples(seed + uint64_t(kind), int64_t(members.size()), first / 2, count / 2);
    for (int64_t j = 0; j < count / 2; ++j) {
      const int64_t place = 2 * j + kind, trajectory = members[size_t(drawn[size_t(j)])];
      const int64_t frames_there = frame_count(data.trajectories[size_t(trajectory)]);
      Random random(seed_of(seed, Draw::augment), uint64_t(first + place));
      mirrored[size_t(place)] = random.below(2) == 1;
      const int64_t frame = random.below(frames_there);
      frames[size_t(place)] = {trajectory, on == "x0" ? frames_there - 1 : frame};
    }
  }
  return make_value_batch(data, schedule, frames, mirrored, on, seed_of(seed, Draw::noise), first);
}

}  // namespace echodiff
