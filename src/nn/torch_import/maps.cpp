#include "nn/torch_import/maps.h"

namespace echodiff {

WeightShapes::WeightShapes(const StateDict& weights, std::string where) : where_(std::move(where)) {
  for (const NamedTensor& entry : weights) shapes_.emplace(entry.name, entry.tensor.shape());
}

bool WeightShapes::any_with_prefix(const std::string& prefix) const {
  const auto found = shapes_.lower_bound(prefix);
  return found != shapes_.end() && found->first.starts_with(prefix);
}

int64_t WeightShapes::dim(const std::string& name, int64_t i) const {
  const auto found = shapes_.find(name);
  if (found == shapes_.end()) {
    std::vector<std::string> names;
    for (const auto& [known, shape] : shapes_) names.push_back(known);
    throw Error(Fault::kBadInput,
                concat_message(where_, ": expected a tensor ", name, ", found none; the nearest of ", names.size(),
                               " is ", nearest_name(name, names), "; is it a network of another kind?"));
  }
  check_input(found->second.rank() > i && found->second[i] > 0, Fault::kBadInput, where_, ": ", name, " is ",
              found->second, ", expected more than ", i, " sizes, all positive");
  return found->second[i];
}

int64_t WeightShapes::count(const std::string& prefix) const {
  int64_t n = 0;
  while (any_with_prefix(prefix + std::to_string(n) + ".")) ++n;
  return n;
}

void infer_channels(const WeightShapes& weights, int64_t in, int64_t out, const NetworkHints& hints,
                    DenoiserOptions* options) {
  const int64_t pixels = hints.patch * hints.patch;
  check_input(in % pixels == 0 && out % pixels == 0, Fault::kUsage, "patch: ", weights.where(), " takes ", in,
              " channels and gives ", out, ", expected multiples of ", pixels, " for patches of ", hints.patch);
  options->patch = hints.patch;
  options->patch_basis = hints.patch_basis;
  in /= pixels, out /= pixels;
  const bool spade = options->condition == "spade";
  const bool learned = out == 2 || out == 6 || (spade && out == 2 * in);
  options->image_channels = learned ? out / 2 : out;
  if (hints.image_channels && (out == *hints.image_channels || out == 2 * *hints.image_channels))
    options->image_channels = *hints.image_channels;
  options->learned_variance = out == 2 * options->image_channels;
  check_input(in >= options->image_channels && (!spade || in == options->image_channels), Fault::kBadInput,
              weights.where(), ": ", in, " input channels don't hold a picture of ", options->image_channels,
              " channels", spade ? " alone" : "", ", as ", out,
              " output channels say; state the channels of a picture");
  if (!spade) options->planes = in - options->image_channels;
}

}  // namespace echodiff
