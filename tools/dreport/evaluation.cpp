#include "dreport/evaluation.h"

#include <filesystem>

#include "kernels/error.h"
#include "tensor/io/json.h"

namespace echodiff {
namespace fs = std::filesystem;
namespace {

Estimate estimate_in(const JsonNode& json, const std::string& key) {
  const JsonNode* node = json.find(key);
  if (node == nullptr) return {};
  return {node->number("value", kNotGiven), node->number("low", kNotGiven), node->number("high", kNotGiven)};
}

Proportion share_in(const JsonNode& json, const std::string& key) {
  const JsonNode* node = json.find(key);
  if (node == nullptr) return {};
  const int64_t k = node->count("k"), n = node->count("n");
  check_input(k <= n, Fault::kBadInput, node->where, ": key \"", key, "\": expected k up to n = ", n, ", found ", k,
              "; run dlabel evaluate again");
  return wilson(k, n);
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

void read_part(const JsonNode& json, EvaluatedPart& part) {
  part.n = json.count("n");
  part.kid = estimate_in(json, "kid");
  part.fid = estimate_in(json, "fid");
  part.density = estimate_in(json, "density");
  part.outside_energy = estimate_in(json, "outside_energy");
  part.precision = share_in(json, "precision");
  part.recall = share_in(json, "recall");
  part.coverage = share_in(json, "coverage");
}

}  // namespace

std::string name_of(const EvaluatedRun& run) {
  std::string name;
  for (const std::string& folder : run.folders)
    name += (name.empty() ? "" : ", ") + fs::path(folder).filename().string();
  return name;
}

Evaluation read_evaluation(const std::string& path) {
  const JsonNode json = read_json(path);
  check_input(json.text("kind") == "evaluation", Fault::kBadInput, path, ": key \"kind\": expected evaluation, found ",
              json.text("kind"), "; give a file of dlabel evaluate");
  const auto openable = [&](const std::string& name) {
    return fs::weakly_canonical(fs::absolute(path).parent_path() / name).string();
  };
  Evaluation result;
  result.path = path;
  if (const JsonNode* features = json.find("features")) result.features = features->text("run");
  if (const JsonNode* judge = json.find("judge")) {
    result.judge = judge->text("run");
    result.tau = judge->number("tau");
  }
  result.data = openable(json.text("data"));
  result.image_size = json.count("image_size");
  result.held_out = json.count("held_out");
  result.copy_distance = json.number("copy_distance", kNotGiven);
  result.median_held_out = json.number("median_held_out", kNotGiven);
  result.held_out_agreement = agreement_in(json, "held_out_dice");
  result.held_out_judged_good = share_in(json, "held_out_judged_good");
  result.held_out_copied_detail = share_in(json, "held_out_copied_detail");
  for (const JsonNode& node : json.items("runs")) {
    EvaluatedRun& run = result.runs.emplace_back();
    read_part(node, run);
    for (const JsonNode& folder : node.items("samples")) {
      check_input(folder.kind == JsonNode::Kind::kText, Fault::kBadInput, node.where,
                  ": key \"samples\": expected names of folders; run dlabel evaluate again");
      run.folders.push_back(openable(folder.string));
    }
    run.kid_minus_first = estimate_in(node, "kid_minus_first");
    run.closer_than_held_out = estimate_in(node, "closer_than_held_out");
    run.judged_good = share_in(node, "judged_good");
    run.copies = share_in(node, "copies");
    run.copied_detail = share_in(node, "copied_detail");
    run.distinct = share_in(node, "distinct");
    run.agreement = agreement_in(node, "dice");
    for (const JsonNode& pair : node.items("pairs"))
      run.pairs.push_back({openable(pair.text("file")), pair.text("training"), pair.number("distance")});
  }
  if (const JsonNode* real = json.find("real")) read_part(*real, result.real);
  return result;
}

}  // namespace echodiff
