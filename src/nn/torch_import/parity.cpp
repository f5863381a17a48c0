#include "nn/torch_import/parity.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "nn/trace.h"
#include "tensor/autograd.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

template <class A, class B> TensorDifference difference(const A* a, const B* b, int64_t count) {
  TensorDifference result;
  double largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double x = double(a[i]), y = double(b[i]);
    largest = std::isfinite(x) ? std::max(largest, std::abs(x)) : largest;
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    ++result.different;
    const double distance = std::abs(x - y);
    result.absolute =
        std::max(result.absolute, std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance);
  }
  result.relative = largest > 0 ? result.absolute / largest : result.absolute;
  return result;
}

// f(pointer) with the elements' own type.
template <class F> auto with_data(const Tensor& tensor, F&& f) {
  if (tensor.dtype() == DType::f32) return f(tensor.data<float>());
  if (tensor.dtype() == DType::f64) return f(tensor.data<double>());
  return f(tensor.data<int64_t>());
}

// "a/act/mid.0" -> case "a/", activation "mid.0"; "a/y" -> case "a/". False for what is neither.
bool parse_reference(const std::string& name, std::string* prefix, std::string* activation) {
  activation->clear();
  const size_t act = name.starts_with("act/") ? 0 : name.find("/act/");
  if (act != std::string::npos) {
    const size_t begin = act == 0 ? 0 : act + 1;
    *prefix = name.substr(0, begin);
    *activation = name.substr(begin + 4);
    return !activation->ends_with("_f64");
  }
  const size_t slash = name.rfind('/');
  const size_t begin = slash == std::string::npos ? 0 : slash + 1;
  *prefix = name.substr(0, begin);
  const std::string last = name.substr(begin);
  return last == "y" || last == "logits";
}

// KEY under the prefix, or under a shorter one; "" without.
std::string inherited(const SafetensorsFile& io, std::string prefix, const std::string& key) {
  while (true) {
    if (io.contains(prefix + key)) return prefix + key;
    if (prefix.empty()) return "";
    const size_t slash = prefix.rfind('/', prefix.size() - 2);
    prefix = prefix.size() < 2 || slash == std::string::npos ? "" : prefix.substr(0, slash + 1);
  }
}

Tensor times(const SafetensorsFile& io, const std::string& name, int64_t count) {
  if (name.empty()) return {};
  const std::vector<double> given = io.at(name).to_vector();
  std::vector<int64_t> t;
  for (const double value : given) {
    check_input(value == std::floor(value) && std::abs(value) < 1e9, Fault::kBadInput, io.path, ": ", name,
                ": expected whole time steps, found ", value);
    t.push_back(int64_t(value));
  }
  if (t.size() == 1) t.assign(size_t(count), t[0]);
  check_input(int64_t(t.size()) == count, Fault::kBadInput, io.path, ": ", name, ": expected ", count,
              " time steps as x has pictures, found ", t.size());
  return from_indices(t);
}

ParityRow compared(const SafetensorsFile& io, const std::string& name, const Tensor& output) {
  const Tensor& reference = io.contains(name + "_f64") ? io.at(name + "_f64") : io.at(name);
  check_input(output.count() == reference.count(), Fault::kBadInput, io.path, ": ", name, " is ", reference.shape(),
              ", the network's is ", output.shape());
  const std::vector<double> expected = reference.to_vector(), found = output.to_vector();
  ParityRow row{name, reference.shape()};
  double largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double difference = std::abs(found[i] - expected[i]);
    largest = std::max(largest, std::abs(expected[i]));
    row.difference =
        std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::max(row.difference, difference);
  }
  row.relative = row.difference == 0 ? 0 : row.difference / (largest > 0 ? largest : 1);
  return row;
}

struct Case {
  std::string prefix, output;                                    // output: the name of y or logits, or ""
  std::vector<std::pair<std::string, std::string>> activations;  // submodule, name in the file
};

std::vector<Case> cases_of(const SafetensorsFile& io) {
  std::vector<Case> cases;
  for (const NamedTensor& entry : io.tensors) {
    std::string prefix, activation;
    if (!parse_reference(entry.name, &prefix, &activation)) continue;
    auto found = std::ranges::find(cases, prefix, &Case::prefix);
    if (found == cases.end()) found = cases.insert(cases.end(), {prefix, "", {}});
    if (activation.empty())
      found->output = entry.name;
    else
      found->activations.emplace_back(activation, entry.name);
  }
  std::ranges::sort(cases, {}, &Case::prefix);
  check_input(!cases.empty(), Fault::kBadInput, io.path,
              ": expected y, logits or act/NAME (perhaps under a prefix like a/), found none");
  return cases;
}

}  // namespace

TensorDifference difference_of(const Tensor& a, const Tensor& b) {
  check(a.shape() == b.shape(), "difference_of: shapes ", a.shape(), " and ", b.shape(), " differ");
  return with_data(
      a, [&](const auto* x) { return with_data(b, [&](const auto* y) { return difference(x, y, a.count()); }); });
}

double ParityReport::worst() const {
  double worst = 0;
  for (const ParityRow& row : rows) worst = std::max(worst, row.relative);
  return worst;
}

ParityReport compare_with(const SafetensorsFile& io, const ParityNetwork& network) {
  const NoGrad no_grad;
  ParityReport report;
  for (const Case& c : cases_of(io)) {
    const std::string x = inherited(io, c.prefix, "x"), t = inherited(io, c.prefix, "t");
    check_input(!x.empty() && io.at(x).rank() == 4, Fault::kBadInput, io.path, ": expected ", c.prefix,
                "x (N, C, H, W), found ", x.empty() ? "none" : "another shape");
    const ActivationTrace trace;
    const Tensor input = io.at(x).to(DType::f32);
    const bool training = ("/" + c.prefix).find("/train/") != std::string::npos;
    const Tensor y = network(input, times(io, t, input.dim(0)), training);
    std::map<std::string, std::string> wanted(c.activations.begin(), c.activations.end());
    for (const std::string& name : trace.order()) {
      const auto found = wanted.find(name);
      if (found == wanted.end()) continue;
      report.rows.push_back(compared(io, found->second, trace.outputs().at(name)));
      wanted.erase(found);
    }
    for (const auto& [name, key] : wanted) report.unknown.push_back(key);
    if (!c.output.empty()) report.rows.push_back(compared(io, c.output, y));
  }
  check_input(!report.rows.empty(), Fault::kBadInput, io.path, ": none of its activations (",
              report.unknown.empty() ? "" : report.unknown.front(), ", ..) is of a submodule of this network");
  return report;
}

}  // namespace echodiff
