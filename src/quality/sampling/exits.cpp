#include "quality/sampling/exits.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tensor/io/json.h"

namespace echodiff {

double ExitRule::expected_error(int64_t step, double moved) const {
  const ExitHead& head = heads.at(size_t(step - 1));
  return std::exp(head.offset + head.slope * std::log(moved));
}

ExitRule read_exit_rule(const std::string& path) {
  const JsonNode json = read_json(path);
  json.choice("kind", {"exits"});
  ExitRule rule;
  rule.steps = json.count("steps");
  rule.mean_start = json.count("mean_start", 0);  // rules from before it have none
  rule.trajectories = json.count("trajectories");
  for (const JsonNode& head : json.objects("heads")) {
    const int64_t step = head.count("step");
    check_input(step == int64_t(rule.heads.size()) + 1, Fault::kBadInput, path, ": heads: expected step ",
                rule.heads.size() + 1, ", found ", step);
    rule.heads.push_back({head.number("offset"), head.number("slope"), head.number("residual")});
    head.done();
  }
  json.done();
  check_input(int64_t(rule.heads.size()) == rule.steps - 1, Fault::kBadInput, path,
              ": heads: expected one for each of ", rule.steps - 1, " steps, found ", rule.heads.size());
  return rule;
}

void write_exit_rule(const std::string& path, const ExitRule& rule) {
  nlohmann::ordered_json json{{"kind", "exits"}, {"steps", rule.steps}};
  json["mean_start"] = rule.mean_start;
  json["trajectories"] = rule.trajectories;
  json["heads"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < rule.heads.size(); ++i) {
    const ExitHead& head = rule.heads[i];
    json["heads"].push_back(
        {{"step", i + 1}, {"offset", head.offset}, {"slope", head.slope}, {"residual", head.residual}});
  }
  write_file_atomic(path, json.dump(1) + "\n");
}

double moved_by(const Tensor& a, const Tensor& b, int64_t row) {
  const int64_t count = a.count() / a.dim(0);
  const float *x = a.data<float>() + row * count, *y = b.data<float>() + row * count;
  double squares = 0;
  for (int64_t i = 0; i < count; ++i) squares += (double(x[i]) - double(y[i])) * (double(x[i]) - double(y[i]));
  return std::max(1e-6, std::sqrt(squares / double(count)));
}

}  // namespace echodiff
