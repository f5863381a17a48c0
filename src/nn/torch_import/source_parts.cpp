#include "nn/torch_import/source_parts.h"

#include <algorithm>
#include <string_view>

#include "tensor/io/text.h"

namespace echodiff {
namespace {

enum class Part { model, ema, online, optimizer, scalar };

struct Wrapper {
  std::string_view prefix;
  Part part;  // of what lies below; model: as it was
};

constexpr Wrapper kWrappers[] = {
    {"module.", Part::model},            // nn.DataParallel
    {"_orig_mod.", Part::model},         // torch.compile
    {"model.", Part::model},             // GaussianDiffusion, Trainer's file, Lightning
    {"net.", Part::model},               //
    {"unet.", Part::model},              // a pipeline
    {"state_dict.", Part::model},        // {"epoch": .., "state_dict": ..}
    {"model_state_dict.", Part::model},  //
    {"online_model.", Part::online},     // ema-pytorch: the model once more
    {"ema_model.", Part::ema},           // ema-pytorch
    {"model_ema.", Part::ema},           //
    {"ema.", Part::ema},                 // Trainer's file
    {"ema_state_dict.", Part::ema},      //
    {"opt.", Part::optimizer},           // Trainer's file
    {"optimizer.", Part::optimizer},     //
    {"optimizer_state_dict.", Part::optimizer},
    {"scaler.", Part::optimizer},
};

constexpr std::string_view kGroup = "param_groups.0.";

// Strips every wrapper off the front; says which part the name lies in.
Part unwrap(std::string_view* name) {
  Part part = Part::model;
  for (bool again = true; again;) {
    again = false;
    for (const Wrapper& wrapper : kWrappers) {
      if (!name->starts_with(wrapper.prefix)) continue;
      name->remove_prefix(wrapper.prefix.size());
      if (wrapper.part != Part::model) part = wrapper.part;
      if (part == Part::optimizer) return part;
      again = true;
    }
  }
  const bool counter = *name == "step" || *name == "initted" || *name == "epoch";
  return counter ? Part::scalar : part;
}

// "state.12.exp_avg" -> 12 and "exp_avg"
bool parse_entry(std::string_view name, size_t* index, std::string_view* what) {
  constexpr std::string_view kState = "state.";
  if (!name.starts_with(kState)) return false;
  name.remove_prefix(kState.size());
  const size_t dot = name.find('.');
  const std::optional<size_t> number = parse_number<size_t>(name.substr(0, dot));
  if (dot == std::string_view::npos || !number || *number >= 1'000'000) return false;
  *index = *number;
  *what = name.substr(dot + 1);
  return true;
}

bool take_adam(std::string_view name, const Tensor& values, SourceAdam* adam) {
  size_t index = 0;
  std::string_view what;
  if (!parse_entry(name, &index, &what)) return false;
  if (what == "step") {
    adam->step = std::max(adam->step, int64_t(values.item()));
    return true;
  }
  if (what != "exp_avg" && what != "exp_avg_sq") return false;
  std::vector<Tensor>& list = what == "exp_avg" ? adam->exp_avg : adam->exp_avg_sq;
  if (list.size() <= index) list.resize(index + 1);
  list[index] = values;
  return true;
}

// Not within a dictionary or module that holds a model.
bool is_outside(std::string_view name) {
  return std::ranges::none_of(kWrappers, [&](const Wrapper& wrapper) {
    return wrapper.part == Part::model && name.starts_with(wrapper.prefix);
  });
}

}  // namespace

SourceParts split_parts(const WeightsFile& file) {
  SourceParts parts;
  StateDict online;
  std::vector<std::string> online_names;
  for (const SourceTensor& tensor : file.tensors) {
    std::string_view name = tensor.name;
    switch (unwrap(&name)) {
      case Part::model:
        parts.model.push_back({std::string(name), tensor.values});
        if (is_outside(tensor.name)) parts.beside.emplace(name);
        break;
      case Part::ema: parts.ema.push_back({std::string(name), tensor.values}); break;
      case Part::online:
        online.push_back({std::string(name), tensor.values});
        online_names.push_back(tensor.name);
        break;
      case Part::scalar:
        if (name == "step" && tensor.values.count() == 1) {
          const bool of_ema = tensor.name.find("ema") != std::string::npos;
          (of_ema ? parts.ema_step : parts.step) = int64_t(tensor.values.item());
        }
        break;
      case Part::optimizer:
        if (!take_adam(name, tensor.values, &parts.adam)) parts.ignored.push_back(tensor.name);
        break;
    }
  }
  if (parts.beside.size() == parts.model.size()) parts.beside.clear();  // nothing holds the model: it lies bare
  if (parts.model.empty() && !online.empty())
    parts.model = std::move(online);
  else
    parts.ignored.insert(parts.ignored.end(), online_names.begin(), online_names.end());
  for (const SourceLeaf& leaf : file.leaves) {
    std::string_view name = leaf.name;
    size_t index = 0;
    std::string_view what;
    const Part part = unwrap(&name);
    if (part == Part::scalar && name == "step" && leaf.is_number() && leaf.name == "step")
      parts.step = leaf.integer;
    else if (part == Part::optimizer && parse_entry(name, &index, &what) && what == "step" && leaf.is_number())
      parts.adam.step = std::max(parts.adam.step, int64_t(leaf.real));
    else if (part == Part::optimizer && name.starts_with(kGroup) && leaf.is_number())
      parts.adam.settings[std::string(name.substr(kGroup.size()))] = leaf.real;
  }
  return parts;
}

}  // namespace echodiff
