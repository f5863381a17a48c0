// recording.json: the facts of a recording as JSON, and back.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "quality/recordings/recording.h"
#include "tensor/io/file.h"
#include "tensor/io/json.h"
#include "train/checkpoint.h"

namespace echodiff {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kVersion = 1;

std::string path_of(const std::string& directory) { return directory + "/recording.json"; }

// File names needn't be UTF-8: what isn't becomes U+FFFD.
std::string dumped(const Json& json) { return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"; }

Json to_json(const RecordingFacts& facts) {
  Json json{{"kind", "recording"}, {"version", kVersion}};
  json["model_hash"] = facts.model_hash;
  json["ema"] = facts.ema;
  json["sampler"] = facts.sampler;
  json["steps"] = facts.steps();
  json["eta"] = facts.eta;
  json["guidance"] = facts.guidance;
  json["deepcache"] = facts.deepcache;
  json["mean_start"] = facts.mean_start;
  json["clip"] = facts.clip;
  json["schedule"] = facts.schedule;
  if (facts.log_snr_shift != 0) json["log_snr_shift"] = facts.log_snr_shift;
  json["predict"] = facts.prediction;
  json["T"] = facts.T;
  json["size"] = facts.size;
  json["seed"] = facts.seed;
  json["per_shard"] = facts.per_shard;
  json["score_every"] = facts.score_every;
  json["thumbnail_steps"] = facts.thumbnail_steps;
  json["judges"] = Json::array();
  for (const RecordedJudge& judge : facts.judges)
    json["judges"].push_back(Json{{"name", judge.name}, {"on", name_of(judge.on)}, {"hash", judge.hash}});
  json["thresholds"] = facts.thresholds ? Json::parse(thresholds_json(*facts.thresholds)) : Json();
  json["planes"] = facts.planes;
  json["masks"] = facts.masks;
  if (facts.fit != Fit::squash) json["fit"] = name_of(facts.fit);  // recordings from before it have none
  json["t"] = facts.times;
  json["next_t"] = facts.next_times;
  return json;
}

RecordingFacts from_json(const JsonNode& json) {
  json.choice("kind", {"recording"});
  if (json.count("version") != kVersion) json.refuse("version", std::to_string(kVersion));
  RecordingFacts facts;
  facts.model_hash = json.text("model_hash");
  facts.ema = json.flag("ema");
  facts.sampler = json.text("sampler");
  facts.eta = json.number("eta");
  facts.guidance = json.number("guidance");
  facts.deepcache = json.integer("deepcache", 1);  // recordings from before it
  facts.mean_start = json.count("mean_start", 0);  // and these
  facts.clip = json.flag("clip");
  facts.schedule = json.text("schedule");
  if (json.find("log_snr_shift") != nullptr) facts.log_snr_shift = json.number("log_snr_shift");
  facts.prediction = json.text("predict");
  facts.T = json.integer("T");
  facts.size = json.integer("size");
  facts.seed = json.seed("seed");
  facts.per_shard = json.integer("per_shard");
  facts.score_every = json.integer("score_every");
  facts.thumbnail_steps = json.integers("thumbnail_steps");
  for (const JsonNode& judge : json.objects("judges"))
    facts.judges.push_back({judge.text("name"), parse_score_on(judge.text("on")), judge.text("hash")});
  if (json.find("thresholds") != nullptr) facts.thresholds = parse_thresholds(json.object("thresholds"));
  facts.planes = json.texts("planes");
  facts.masks = json.texts("masks");
  facts.fit = parse_fit(json.choice("fit", {"squash", "pad", "crop"}, "squash"));
  facts.times = json.integers("t");
  facts.next_times = json.integers("next_t");
  facts.sample_steps = facts.steps();
  check_input(!facts.times.empty() && facts.times.size() == facts.next_times.size() && facts.per_shard >= 1 &&
                  facts.deepcache >= 1 && facts.score_every >= 1 && facts.size >= 1 && !facts.masks.empty(),
              Fault::kBadInput, json.where, ": expected steps, masks and sizes above 0; record again");
  for (const int64_t step : facts.thumbnail_steps)
    check_input(step >= 0 && step < facts.steps(), Fault::kBadInput, json.where, ": thumbnail_steps: expected 0 to ",
                facts.steps() - 1, ", found ", step);
  return facts;
}

Tensor packed(const std::vector<Tensor>& conditions) {  // (1, P, H, W) each -> (M, H, W), bit p is plane p
  const int64_t planes = conditions[0].dim(1), height = conditions[0].dim(2), width = conditions[0].dim(3);
  check_input(planes <= 8, Fault::kUsage, "recording: expected at most 8 planes, found ", planes);
  Tensor out = zeros({int64_t(conditions.size()), height, width}, DType::i64);
  int64_t* to = out.mutable_data<int64_t>();
  for (const Tensor& condition : conditions)
    for (int64_t pixel = 0; pixel < height * width; ++pixel, ++to)
      for (int64_t p = 0; p < planes; ++p)
        if (condition.data<float>()[pixel * planes + p] != 0) *to |= int64_t{1} << p;
  return out;
}

}  // namespace

size_t RecordingFacts::judge(const std::string& name) const {
  std::string names;
  for (size_t i = 0; i < judges.size(); ++i) {
    if (judges[i].name == name) return i;
    names += (i ? ", " : "") + judges[i].name;
  }
  throw Error(Fault::kUsage, "judge: expected a recorded judge (" + names + "), found '" + name + "'");
}

RecordingFacts read_recording_facts(const std::string& directory) { return from_json(read_json(path_of(directory))); }

void open_recording(const std::string& directory, const RecordingFacts& facts, const std::vector<Tensor>& conditions) {
  make_directories(directory);
  const std::string path = path_of(directory);
  const Tensor planes = packed(conditions);
  const std::string bytes = encode_checkpoint({{"planes", planes}}, std::vector<StoredType>{StoredType::u8},
                                              {{"count", std::to_string(conditions[0].dim(1))}});
  const std::string conditions_path = directory + "/conditions.safetensors";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    write_file_atomic(conditions_path, bytes);
    write_file_atomic(path, dumped(to_json(facts)));
    return;
  }
  const Json here = to_json(read_recording_facts(directory)), wanted = Json::parse(dumped(to_json(facts)));
  for (const auto& [key, value] : wanted.items())
    check_input(here.at(key) == value, Fault::kCannotCreate, path, ": ", key,
                ": this recording was made with another one; record into another folder");
  const Tensor there = read_weights(conditions_path).at("planes");  // of an older recording: without a seal
  check_input(there.shape() == planes.shape() && there.to_vector() == planes.to_vector(), Fault::kCannotCreate,
              conditions_path, ": this recording was made with other masks; record into another folder");
}

}  // namespace echodiff
