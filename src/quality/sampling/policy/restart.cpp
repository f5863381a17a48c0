#include "quality/sampling/policy/restart.h"

#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "quality/statistics/calibration.h"
#include "tensor/io/file.h"
#include "tensor/io/json.h"

namespace echodiff {

double calibrated(const RestartLook& look, double score) {
  return Platt{look.slope, look.offset}.probability(logit_of(score));
}

Policy restart_policy(const RestartRule& rule, const std::vector<std::string>& masks) {
  check_input(!rule.looks.empty(), Fault::kUsage, "restart rule: expected at least one look, found none");
  const auto find = [looks = rule.looks](int64_t step) -> const RestartLook* {
    for (const RestartLook& look : looks)
      if (look.step == step) return &look;
    return nullptr;
  };
  Policy policy;
  policy.name = "restart";
  policy.monitors = [find](int64_t step, int64_t) { return find(step) != nullptr; };
  std::vector<double> prices;  // of each mask
  for (const std::string& file : masks) {
    const auto own = rule.lambda_of_mask.find(file);
    prices.push_back(own == rule.lambda_of_mask.end() ? rule.lambda : own->second);
  }
  policy.decide = [find, prices, lambda = rule.lambda](const Moment& moment) -> Ruling {
    const double v = calibrated(*find(moment.step), moment.scores.back().value);
    const double price = prices.empty() ? lambda : prices.at(size_t(moment.mask));
    if (v >= price * double(moment.calls_left)) return {};
    return {Verdict::kDiscard, "restart", {}};
  };
  return policy;
}

RestartRule read_restart_rule(const std::string& path) {
  const JsonNode json = read_json(path);
  RestartRule rule;
  json.choice("kind", {"restart"});
  rule.judge = json.text("judge");
  rule.on = parse_score_on(json.choice("on", {"x0hat", "xt"}));
  rule.steps = json.count("steps");
  rule.deepcache = json.count("deepcache", rule.deepcache);
  rule.mean_start = json.count("mean_start", rule.mean_start);
  rule.lambda = json.number("lambda");
  check_input(rule.lambda >= 0, Fault::kBadInput, path, ": lambda: expected 0 or more, found ", rule.lambda);
  for (const JsonNode& look : json.objects("looks")) {
    rule.looks.push_back({look.integer("step"), look.number("offset"), look.number("slope")});
    look.done();
    const int64_t step = rule.looks.back().step;
    check_input(step >= -1 && step < rule.steps, Fault::kBadInput, path, ": looks: expected steps -1 to ",
                rule.steps - 1, ", found ", step);
  }
  check_input(!rule.looks.empty(), Fault::kBadInput, path, ": looks: expected at least one, found none");
  for (const JsonNode& mask : json.items("masks")) {
    const std::string file = mask.text("file");
    const double price = mask.number("lambda");
    check_input(price >= 0, Fault::kBadInput, mask.where, ": ", file, ": expected a lambda of 0 or more, found ",
                price);
    check_input(rule.lambda_of_mask.emplace(file, price).second, Fault::kBadInput, mask.where, ": ", file,
                ": named twice");
    mask.done();
  }
  const JsonNode& fit = json.object("fit");
  rule.fit.trajectories = fit.count("trajectories");
  rule.fit.masks = fit.count("masks");
  rule.fit.tau = fit.number("tau");
  rule.fit.accepted_share = fit.number("accepted_share");
  rule.fit.posthoc_cost = fit.number("posthoc_cost");
  rule.fit.fitted_cost = fit.number("fitted_cost");
  rule.fit.held_out_cost = fit.number("held_out_cost");
  fit.done();
  json.done();
  return rule;
}

void write_restart_rule(const std::string& path, const RestartRule& rule) {
  nlohmann::ordered_json json{{"kind", "restart"}, {"judge", rule.judge}};
  json["on"] = name_of(rule.on);
  json["steps"] = rule.steps;
  json["deepcache"] = rule.deepcache;
  json["mean_start"] = rule.mean_start;
  json["lambda"] = rule.lambda;
  json["fit"] = {{"trajectories", rule.fit.trajectories},
                 {"masks", rule.fit.masks},
                 {"tau", rule.fit.tau},
                 {"accepted_share", rule.fit.accepted_share},
                 {"posthoc_cost", rule.fit.posthoc_cost},
                 {"fitted_cost", rule.fit.fitted_cost},
                 {"held_out_cost", rule.fit.held_out_cost}};
  json["looks"] = nlohmann::ordered_json::array();
  for (const RestartLook& look : rule.looks)
    json["looks"].push_back({{"step", look.step}, {"offset", look.offset}, {"slope", look.slope}});
  for (const auto& [file, lambda] : rule.lambda_of_mask) json["masks"].push_back({{"file", file}, {"lambda", lambda}});
  write_file_atomic(path, json.dump(1) + "\n");
}

}  // namespace echodiff
