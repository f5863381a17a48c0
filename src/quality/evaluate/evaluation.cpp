#include "quality/evaluate/evaluation.h"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "quality/labels/labels.h"
#include "tensor/io/file.h"
#include "tensor/io/json.h"
#include "tensor/io/paths.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json json_of(const Estimate& estimate) {
  if (std::isnan(estimate.value)) return Json();
  return {{"value", estimate.value}, {"low", estimate.low}, {"high", estimate.high}};
}

Estimate estimate_of(const JsonNode& node) {
  return {node.number("value", kNotGiven), node.number("low", kNotGiven), node.number("high", kNotGiven)};
}

Estimate estimate_in(const JsonNode& json, const std::string& key) {
  const JsonNode* node = json.find(key);
  return node == nullptr ? Estimate{} : estimate_of(*node);
}

Json json_of(const Proportion& share) {
  if (share.n == 0) return Json();
  return {{"k", share.k}, {"n", share.n}, {"fraction", share.fraction}, {"low", share.low}, {"high", share.high}};
}

Proportion share_in(const JsonNode& json, const std::string& key) {
  const JsonNode* node = json.find(key);
  if (node == nullptr) return {};
  const int64_t k = node->count("k"), n = node->count("n");
  check_input(k <= n, Fault::kBadInput, node->where, ": key \"", key, "\": expected k up to n = ", n, ", found ", k,
              "; evaluate again");
  return wilson(k, n);
}

Json json_of(const MaskAgreement& agreement) {
  if (std::isnan(agreement.mean.value)) return Json();
  Json json{{"mean", json_of(agreement.mean)}, {"classes", Json::object()}};
  for (const auto& [name, one] : agreement.classes) json["classes"][name] = json_of(one);
  return json;
}

MaskAgreement agreement_in(const JsonNode& json, const std::string& key) {
  MaskAgreement agreement;
  const JsonNode* node = json.find(key);
  if (node == nullptr) return agreement;
  agreement.mean = estimate_in(*node, "mean");
  if (const JsonNode* classes = node->find("classes")) {
    for (const auto& [name, one] : classes->fields) agreement.classes.emplace_back(name, estimate_in(*classes, name));
  }
  return agreement;
}

Json json_of(const std::vector<Estimate>& list) {
  Json json = Json::array();
  for (const Estimate& one : list) json.push_back(json_of(one));
  return json;
}

std::vector<Estimate> estimates_in(const JsonNode& json, const std::string& key) {
  std::vector<Estimate> list;
  for (const JsonNode& one : json.items(key)) list.push_back(estimate_of(one));  // null has no value
  return list;
}

// The key of each, and of its difference from the real pictures.
struct ComparedKey {
  std::string value, minus_real;
  Compared Texture::*member;
};
const std::vector<ComparedKey>& compared_keys() {
  static const std::vector<ComparedKey> keys{
      {"mean_grey", "mean_grey_minus_real", &Texture::mean_grey},
      {"signal_to_noise", "signal_to_noise_minus_real", &Texture::signal_to_noise},
      {"lateral_width", "lateral_width_minus_real", &Texture::lateral_width},
      {"axial_width", "axial_width_minus_real", &Texture::axial_width}};
  return keys;
}

Json json_of(const Texture& texture) {
  Json json{{"power", json_of(texture.power)}, {"power_over_real", json_of(texture.power_over_real)}};
  for (const ComparedKey& key : compared_keys()) {
    json[key.value] = json_of((texture.*key.member).value);
    json[key.minus_real] = json_of((texture.*key.member).minus_real);
  }
  json["radiomic_distance"] = json_of(texture.radiomic_distance);
  return json;
}

Texture texture_in(const JsonNode& json, const std::string& key) {
  Texture texture;
  const JsonNode* node = json.find(key);
  if (node == nullptr) return texture;
  texture.power = estimates_in(*node, "power");
  texture.power_over_real = estimates_in(*node, "power_over_real");
  for (const ComparedKey& one : compared_keys())
    texture.*one.member = {estimate_in(*node, one.value), estimate_in(*node, one.minus_real)};
  texture.radiomic_distance = estimate_in(*node, "radiomic_distance");
  return texture;
}

Json json_of(const EvaluatedPart& part) {
  return {{"n", part.n},
          {"kid", json_of(part.kid)},
          {"fid", json_of(part.fid)},
          {"precision", json_of(part.precision)},
          {"density", json_of(part.density)},
          {"recall", json_of(part.recall)},
          {"coverage", json_of(part.coverage)},
          {"outside_energy", json_of(part.outside_energy)},
          {"texture", json_of(part.texture)}};
}

void read_part(const JsonNode& json, EvaluatedPart& part) {
  part.n = json.count("n");
  part.kid = estimate_in(json, "kid");
  part.fid = estimate_in(json, "fid");
  part.precision = share_in(json, "precision");
  part.density = estimate_in(json, "density");
  part.recall = share_in(json, "recall");
  part.coverage = share_in(json, "coverage");
  part.outside_energy = estimate_in(json, "outside_energy");
  part.texture = texture_in(json, "texture");
}

Json json_of(const EvaluatedRun& run, const std::string& path) {
  Json json = json_of(static_cast<const EvaluatedPart&>(run));
  json["samples"] = Json::array();
  for (const std::string& folder : run.folders) json["samples"].push_back(file_in_labels(folder, path));
  json["kid_minus_first"] = json_of(run.kid_minus_first);
  json["judged_good"] = json_of(run.judged_good);
  json["copies"] = json_of(run.copies);
  json["median_nearest"] = run.median_nearest;
  json["closer_than_held_out"] = json_of(run.closer_than_held_out);
  json["pairs"] = Json::array();
  for (const MemorisedPair& pair : run.pairs)
    json["pairs"].push_back(
        {{"file", file_in_labels(pair.file, path)}, {"training", pair.training}, {"distance", pair.distance}});
  json["distinct"] = json_of(run.distinct);
  json["copied_detail"] = json_of(run.copied_detail);
  json["dice"] = json_of(run.agreement);
  return json;
}

std::string openable(const std::string& name, const std::string& path) {
  return fs::weakly_canonical(fs::absolute(path).parent_path() / name).string();
}

EvaluatedRun read_run(const JsonNode& json, const std::string& path) {
  EvaluatedRun run;
  read_part(json, run);
  for (const std::string& folder : json.texts("samples")) run.folders.push_back(openable(folder, path));
  run.kid_minus_first = estimate_in(json, "kid_minus_first");
  run.judged_good = share_in(json, "judged_good");
  run.copies = share_in(json, "copies");
  run.median_nearest = json.number("median_nearest", kNotGiven);
  run.closer_than_held_out = estimate_in(json, "closer_than_held_out");
  for (const JsonNode& pair : json.items("pairs"))
    run.pairs.push_back({openable(pair.text("file"), path), pair.text("training"), pair.number("distance")});
  run.distinct = share_in(json, "distinct");
  run.copied_detail = share_in(json, "copied_detail");
  run.agreement = agreement_in(json, "dice");
  return run;
}

}  // namespace

std::string name_of(const EvaluatedRun& run) {
  std::string name;
  for (const std::string& folder : run.folders) name += (name.empty() ? "" : ", ") + last_part(folder);
  return name;
}

void write_evaluation(const Evaluation& evaluation) {
  const std::string& path = evaluation.path;
  Json json{{"kind", "evaluation"}};
  json["features"] = {{"run", evaluation.features},
                      {"count", evaluation.feature_count},
                      {"channels", evaluation.channels},
                      {"size", evaluation.feature_size}};
  json["judge"] = evaluation.judge.empty() ? Json() : Json{{"run", evaluation.judge}, {"tau", evaluation.tau}};
  json["data"] = file_in_labels(evaluation.data, path);
  json["image_size"] = evaluation.image_size;
  json["k"] = evaluation.neighbours;
  json["training"] = evaluation.training;
  json["held_out"] = evaluation.held_out;
  json["held_out_split"] = evaluation.held_out_split;
  json["fit"] = evaluation.fit;
  json["copy_distance"] = evaluation.copy_distance;
  json["copy_detail"] = evaluation.copy_detail;
  json["held_out_copied_detail"] = json_of(evaluation.held_out_copied_detail);
  json["median_held_out"] = evaluation.median_held_out;
  json["held_out_dice"] = json_of(evaluation.held_out_agreement);
  json["least_dice"] = evaluation.least_dice;
  json["dice_refused"] = evaluation.dice_refused.empty() ? Json() : Json(evaluation.dice_refused);
  json["held_out_judged_good"] = json_of(evaluation.held_out_judged_good);
  json["held_out_texture"] = json_of(evaluation.held_out_texture);
  json["runs"] = Json::array();
  for (const EvaluatedRun& run : evaluation.runs) json["runs"].push_back(json_of(run, path));
  json["real"] = json_of(evaluation.real);
  write_file_atomic(path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Evaluation read_evaluation(const std::string& path) {
  const JsonNode json = read_json(path);
  json.choice("kind", {"evaluation"});
  Evaluation result;
  result.path = path;
  if (const JsonNode* features = json.find("features")) {
    result.features = features->text("run");
    result.feature_count = features->count("count", 0);
    result.channels = features->count("channels", 0);
    result.feature_size = features->count("size", 0);
  }
  if (const JsonNode* judge = json.find("judge")) {
    result.judge = judge->text("run");
    result.tau = judge->number("tau");
  }
  result.data = openable(json.text("data"), path);
  result.image_size = json.count("image_size");
  result.neighbours = json.count("k", 0);
  result.training = json.count("training", 0);
  result.held_out = json.count("held_out");
  result.held_out_split = json.text("held_out_split", "");
  result.fit = json.text("fit", "squash");
  result.copy_distance = json.number("copy_distance", kNotGiven);
  result.copy_detail = json.number("copy_detail", kNotGiven);
  result.held_out_copied_detail = share_in(json, "held_out_copied_detail");
  result.median_held_out = json.number("median_held_out", kNotGiven);
  result.held_out_agreement = agreement_in(json, "held_out_dice");
  result.least_dice = json.number("least_dice", kNotGiven);
  result.dice_refused = json.text("dice_refused", "");
  result.held_out_judged_good = share_in(json, "held_out_judged_good");
  result.held_out_texture = texture_in(json, "held_out_texture");
  for (const JsonNode& run : json.items("runs")) result.runs.push_back(read_run(run, path));
  if (const JsonNode* real = json.find("real")) read_part(*real, result.real);
  return result;
}

}  // namespace echodiff
