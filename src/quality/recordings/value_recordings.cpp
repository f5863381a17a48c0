#include "quality/recordings/value_recordings.h"

#include <algorithm>

#include "kernels/error.h"
#include "quality/recordings/recording.h"

namespace echodiff {
namespace {

void require_alike(const RecordingFacts& facts, const RecordingFacts& first, const std::string& path) {
  const auto same = [&](bool holds, const char* what) {
    check_input(holds, Fault::kBadInput, path, ": ", what, ": found another than in the first recording; train on ",
                "recordings of one model, size and threshold file");
  };
  check_input(facts.thresholds.has_value(), Fault::kBadInput, path,
              ": its trajectories have no labels; record again with a threshold file");
  same(facts.size == first.size, "size");
  same(facts.planes == first.planes, "planes");
  same(facts.schedule == first.schedule && facts.log_snr_shift == first.log_snr_shift && facts.T == first.T,
       "schedule");
  same(thresholds_json(*facts.thresholds) == thresholds_json(*first.thresholds), "thresholds");
}

// The tensor's number among `masks`, added where it is new.
int64_t number_of(const Tensor& mask, std::vector<Tensor>& masks) {
  const auto equal = [&](const Tensor& other) {
    return std::equal(mask.data<float>(), mask.data<float>() + mask.count(), other.data<float>());
  };
  const std::vector<Tensor>::const_iterator found = std::find_if(masks.begin(), masks.end(), equal);
  const int64_t number = found - masks.begin();
  if (found == masks.end()) masks.push_back(mask);
  return number;
}

}  // namespace

ValueData read_value_data(const std::vector<std::string>& recordings) {
  check(!recordings.empty(), "value data: no recordings");
  ValueData data;
  const RecordingFacts first = read_recording_facts(recordings[0]);
  data.image_size = first.size;
  data.planes = int64_t(first.planes.size());
  data.plane_names = first.planes;
  data.T = first.T;
  data.schedule = parse_schedule(first.schedule);
  data.log_snr_shift = first.log_snr_shift;
  for (const std::string& path : recordings) {
    Recording recording = read_recording(path, true);
    require_alike(recording.facts, first, path);
    std::vector<int64_t> times, numbers;
    for (const int64_t step : recording.facts.thumbnail_steps) times.push_back(recording.facts.times[size_t(step)]);
    for (const Tensor& condition : recording.conditions) numbers.push_back(number_of(condition, data.masks));
    for (Trajectory& trajectory : recording.trajectories)
      data.trajectories.push_back({std::move(trajectory.x0hat), times, std::move(trajectory.final),
                                   numbers[size_t(trajectory.condition)], trajectory.good.value()});
  }
  return data;
}

}  // namespace echodiff
