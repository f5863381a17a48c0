#include "quality/recordings/recording.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "quality/recordings/recording_merge.h"
#include "tensor/io/file.h"
#include "tensor/io/json.h"
#include "tensor/io/safetensors.h"
#include "tensor/io/text.h"
#include "train/checkpoint.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

// Takes a tensor of a shard, held to its shape.
const Tensor& take(const SafetensorsFile& file, const std::string& name, const Shape& shape, DType dtype) {
  const Tensor& tensor = file.at(name);
  check_input(tensor.shape() == shape && tensor.dtype() == dtype, Fault::kBadInput, file.path, ": ", name,
              ": expected ", shape, ", found ", tensor.shape(), "; remove the file and record again");
  return tensor;
}

std::vector<Tensor> read_conditions(const std::string& directory, const RecordingFacts& facts) {
  const SafetensorsFile file = read_weights(directory + "/conditions.safetensors");  // sealed, but for old ones
  const int64_t planes = int64_t(facts.planes.size()), pixels = facts.size * facts.size;
  const Tensor& bits = take(file, "planes", {int64_t(facts.masks.size()), facts.size, facts.size}, DType::i64);
  std::vector<Tensor> conditions;
  for (int64_t m = 0; m < bits.dim(0); ++m) {
    Tensor condition = empty({1, planes, facts.size, facts.size});
    float* out = condition.mutable_data<float>();
    for (int64_t pixel = 0; pixel < pixels; ++pixel)
      for (int64_t p = 0; p < planes; ++p) *out++ = float(bits.data<int64_t>()[m * pixels + pixel] >> p & 1);
    conditions.push_back(condition);
  }
  return conditions;
}

// A step that was not scored has a NaN; no other number may be one.
void require_scored(const std::string& path, const std::string& judge, const RecordingFacts& facts, const float* scores,
                    int64_t count) {
  const int64_t K = facts.steps();
  for (int64_t i = 0; i < count * (K + 1); ++i) {
    const int64_t step = i % (K + 1);
    const bool left_out = std::isnan(scores[i]) && step < K && !facts.scored(step);
    check_input(std::isfinite(scores[i]) || left_out, Fault::kBadInput, path, ": scores/", judge,
                " holds a NaN or infinity at step ", step, ", expected a score; record again");
  }
}

// A shard recorded twice (the first was short of its trajectories, or damaged) counts as it stands last.
RecordedSeconds read_seconds(const std::string& path, int64_t shards) {
  std::vector<RecordedSeconds> each(static_cast<size_t>(shards));
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  for (const std::string& text : split(read_file(path), '\n')) {
    const std::optional<JsonNode> line = try_parse_json(text, path);
    if (!line) continue;  // a line cut short by a crash: times are no result, the shard is whole
    const int64_t shard = line->integer("shard", -1);
    if (shard < 0 || shard >= shards) continue;
    each[size_t(shard)] = {line->count("unet_calls", 0),       line->count("shallow_calls", 0),
                           line->count("scored_images", 0),    line->number("unet_seconds", 0),
                           line->number("shallow_seconds", 0), line->number("scorer_seconds", 0)};
  }
  RecordedSeconds sum;
  for (const RecordedSeconds& one : each) {
    sum.unet_calls += one.unet_calls;
    sum.shallow_calls += one.shallow_calls;
    sum.scored_images += one.scored_images;
    sum.unet_seconds += one.unet_seconds;
    sum.shallow_seconds += one.shallow_seconds;
    sum.scorer_seconds += one.scorer_seconds;
  }
  return sum;
}

}  // namespace

std::string shard_path(const std::string& directory, int64_t shard) {
  char name[64];
  std::snprintf(name, sizeof name, "/chains-%04lld.safetensors", static_cast<long long>(shard));
  return directory + name;
}

std::vector<Trajectory> read_shard(const std::string& directory, int64_t shard, const RecordingFacts& facts,
                                   bool pictures) {
  const std::string path = shard_path(directory, shard);
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  const SafetensorsFile file = read_sealed(path);
  std::vector<NamedTensor> finite = file.tensors;
  std::erase_if(finite, [](const NamedTensor& tensor) { return tensor.name.starts_with("scores/"); });
  require_finite(finite, Fault::kBadInput, path);
  const int64_t n = file.at("index").count(), K = facts.steps(), S = int64_t(facts.thumbnail_steps.size());
  const int64_t size = facts.size, pixels = size * size;
  const Tensor& index = take(file, "index", {n}, DType::i64);
  const Tensor& condition = take(file, "condition", {n}, DType::i64);
  const Tensor& metrics = take(file, "metrics", {n, 3}, DType::f32);
  const Tensor& final = take(file, "final", {n, size, size}, DType::i64);
  const Tensor x0hat = S > 0 ? take(file, "x0hat", {n, S, size, size}, DType::i64) : Tensor();
  const Tensor label = facts.thresholds ? take(file, "label", {n}, DType::i64) : Tensor();
  std::vector<Trajectory> trajectories(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    Trajectory& trajectory = trajectories[size_t(i)];
    trajectory.index = index.data<int64_t>()[i];
    trajectory.condition = condition.data<int64_t>()[i];
    check_input(trajectory.index == shard * facts.per_shard + i &&
                    trajectory.condition == trajectory.index % int64_t(facts.masks.size()),
                Fault::kBadInput, path, ": index: expected ", shard * facts.per_shard + i, ", found ", trajectory.index,
                "; it belongs to another recording");
    const float* measured = metrics.data<float>() + 3 * i;
    trajectory.metrics = {measured[0], measured[1], measured[2]};
    if (label) trajectory.good = label.data<int64_t>()[i] != 0;
    if (!pictures) continue;
    const auto picture = [&](const int64_t* from, int64_t stride) {
      GrayImage image{size, size, std::vector<uint8_t>(size_t(pixels))};
      for (int64_t pixel = 0; pixel < pixels; ++pixel) image.pixels[size_t(pixel)] = uint8_t(from[pixel * stride]);
      return image;
    };
    trajectory.final = picture(final.data<int64_t>() + i * pixels, 1);
    for (int64_t s = 0; s < S; ++s) trajectory.x0hat.push_back(picture(x0hat.data<int64_t>() + i * pixels * S + s, S));
  }
  for (const RecordedJudge& judge : facts.judges) {
    const float* scores = take(file, "scores/" + judge.name, {n, K + 1}, DType::f32).data<float>();
    const float* start = take(file, "start/" + judge.name, {n}, DType::f32).data<float>();
    require_scored(path, judge.name, facts, scores, n);
    for (int64_t i = 0; i < n; ++i) {
      trajectories[size_t(i)].scores.emplace_back(scores + i * (K + 1), scores + (i + 1) * (K + 1));
      trajectories[size_t(i)].start.push_back(start[i]);
    }
  }
  return trajectories;
}

void write_shard(const std::string& directory, int64_t shard, const RecordingFacts& facts,
                 const std::vector<Trajectory>& trajectories, const RecordedSeconds& seconds) {
  const int64_t n = int64_t(trajectories.size()), K = facts.steps(), S = int64_t(facts.thumbnail_steps.size());
  const int64_t size = facts.size, pixels = size * size;
  std::vector<NamedTensor> tensors;
  std::vector<StoredType> types;
  const auto add = [&](const std::string& name, const Shape& shape, StoredType type) {
    tensors.push_back({name, zeros(shape, value_type(type))});
    types.push_back(type);
    return tensors.size() - 1;
  };
  const auto integers = [&](size_t at) { return tensors[at].tensor.mutable_data<int64_t>(); };
  const auto reals = [&](size_t at) { return tensors[at].tensor.mutable_data<float>(); };
  const size_t index = add("index", {n}, StoredType::i64), condition = add("condition", {n}, StoredType::i64);
  const size_t metrics = add("metrics", {n, 3}, StoredType::f32);
  const size_t final = add("final", {n, size, size}, StoredType::u8);
  const size_t x0hat = S > 0 ? add("x0hat", {n, S, size, size}, StoredType::u8) : 0;
  const size_t label = facts.thresholds ? add("label", {n}, StoredType::u8) : 0;
  const size_t first = tensors.size();
  for (const RecordedJudge& judge : facts.judges) {
    add("scores/" + judge.name, {n, K + 1}, StoredType::f32);
    add("start/" + judge.name, {n}, StoredType::f32);
  }
  for (int64_t i = 0; i < n; ++i) {
    const Trajectory& trajectory = trajectories[size_t(i)];
    integers(index)[i] = trajectory.index;
    integers(condition)[i] = trajectory.condition;
    const Metrics& m = trajectory.metrics;
    std::copy_n(std::array<float, 3>{float(m.sharpness), float(m.contrast), float(m.noise)}.data(), 3,
                reals(metrics) + 3 * i);
    if (facts.thresholds) integers(label)[i] = trajectory.good.value() ? 1 : 0;
    std::copy_n(trajectory.final.pixels.data(), pixels, integers(final) + i * pixels);
    for (int64_t s = 0; s < S; ++s)  // rank 4 is channels-last in memory
      for (int64_t pixel = 0; pixel < pixels; ++pixel)
        integers(x0hat)[(i * pixels + pixel) * S + s] = trajectory.x0hat[size_t(s)].pixels[size_t(pixel)];
    for (size_t j = 0; j < facts.judges.size(); ++j) {
      std::copy_n(trajectory.scores[j].data(), K + 1, reals(first + 2 * j) + i * (K + 1));
      reals(first + 2 * j + 1)[i] = trajectory.start[j];
    }
  }
  write_file_atomic(shard_path(directory, shard), encode_checkpoint(tensors, types, {{"kind", "chains"}}));

  const std::string path = directory + "/seconds.jsonl";
  std::error_code error;
  nlohmann::ordered_json line{{"shard", shard}};
  line["unet_calls"] = seconds.unet_calls;
  line["unet_seconds"] = seconds.unet_seconds;
  if (seconds.shallow_calls > 0) {
    line["shallow_calls"] = seconds.shallow_calls;
    line["shallow_seconds"] = seconds.shallow_seconds;
  }
  line["scored_images"] = seconds.scored_images;
  line["scorer_seconds"] = seconds.scorer_seconds;
  write_file_atomic(path, (fs::exists(path, error) ? read_file(path) : "") + line.dump() + "\n");
}

Recording read_recording(const std::string& directory, bool pictures) {
  check_input(!is_recording_part(directory), Fault::kBadInput, directory,
              ": is a part of a recording; put all parts together with dsample merge");
  Recording recording;
  recording.facts = read_recording_facts(directory);
  recording.conditions = read_conditions(directory, recording.facts);
  std::error_code error;
  int64_t shard = 0;
  bool whole = true;  // so far, no shard was short
  for (; fs::exists(shard_path(directory, shard), error); ++shard) {
    check_input(whole, Fault::kBadInput, shard_path(directory, shard - 1), ": expected ", recording.facts.per_shard,
                " trajectories before the next shard; run the recording again");
    std::vector<Trajectory> trajectories = read_shard(directory, shard, recording.facts, pictures);
    whole = int64_t(trajectories.size()) == recording.facts.per_shard;
    std::move(trajectories.begin(), trajectories.end(), std::back_inserter(recording.trajectories));
  }
  check_input(shard > 0, Fault::kMissingInput, shard_path(directory, 0), ": no trajectories there; record some first");
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    check_input(!name.starts_with("chains-") || name < fs::path(shard_path(directory, shard)).filename().string(),
                Fault::kBadInput, entry.path().string(), ": there is no ", shard_path(directory, shard),
                " before it; run the recording again");
  }
  recording.seconds = read_seconds(directory + "/seconds.jsonl", shard);
  return recording;
}

}  // namespace echodiff
