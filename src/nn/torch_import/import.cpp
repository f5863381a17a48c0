#include "nn/torch_import/import.h"

#include <algorithm>

#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

SourceParts read_parts(const std::string& path, const std::string& ema, const ImportOptions& options,
                       std::vector<std::string>* notes) {
  const WeightsFile file = read_weights_file(path);
  SourceParts parts = split_parts(file);
  for (const std::string& warning : file.warnings) notes->push_back(warning);
  if (!ema.empty() && options.part != "model") parts.ema = split_parts(read_weights_file(ema)).model;
  if (options.part == "ema" || parts.model.empty()) {
    check_input(!parts.ema.empty(), Fault::kBadInput, path, ": expected ",
                options.part == "ema" ? "a part ema" : "weights", ", found none; name no part to take what there is");
    parts.model = std::move(parts.ema);
    parts.ema.clear();
    parts.adam = {};
  } else if (options.part == "model") {
    parts.ema.clear();
  }
  check_input(!parts.model.empty(), Fault::kBadInput, path, ": holds no tensors of a network");
  if (!parts.ignored.empty())
    notes->push_back(concat_message("left out ", parts.ignored.size(), " tensors: second copies and optimisers' (",
                                    parts.ignored.front(), ", ..)"));
  return parts;
}

Tensor* find_tensor(StateDict* weights, const std::string& name) {
  for (NamedTensor& entry : *weights)
    if (entry.name == name) return &entry.tensor;
  return nullptr;
}

// emb = mlp(t) + embedding[class]: for one class the row joins the bias of the mlp's last layer.
bool fold_class(StateDict* weights, const std::string& embedding, const std::string& bias, int64_t label,
                const std::string& where) {
  Tensor *table = find_tensor(weights, embedding), *target = find_tensor(weights, bias);
  if (table == nullptr || target == nullptr) return false;
  check_input(table->rank() == 2 && label < table->dim(0) && target->rank() == 1 && table->dim(1) == target->dim(0),
              Fault::kBadInput, where, ": ", embedding, " is ", table->shape(), ", expected more than ", label,
              " rows as wide as ", bias);
  *target = add(*target, reshape(slice(*table, 0, label, label + 1), target->shape()));
  std::erase_if(*weights, [&](const NamedTensor& entry) { return entry.name == embedding; });
  return true;
}

// A grey picture is an RGB one with three equal channels: the first `colours` input channels add up.
Tensor fold_inputs(const Tensor& weight, int64_t colours) {
  const Tensor grey = sum(slice(weight, 1, 0, colours), {1});
  return weight.dim(1) == colours ? grey : concat({grey, slice(weight, 1, colours, weight.dim(1))}, 1);
}

// The mean of the colours' outputs; twice as many with a variance.
Tensor fold_outputs(const Tensor& values, int64_t colours) {
  std::vector<Tensor> groups;
  for (int64_t at = 0; at < values.dim(0); at += colours)
    groups.push_back(mean(slice(values, 0, at, at + colours), {0}));
  return concat(groups, 0);
}

// The first convolution's weight, and the last one.
std::pair<std::string, std::string> ends_of(const std::string& architecture) {
  if (architecture == "guided") return {"input_blocks.0.0.weight", "out.2."};
  if (architecture == "diffusers") return {"conv_in.weight", "conv_out."};
  return {"init_conv.weight", "final_conv."};
}

void to_one_channel(DenoiserImport* import) {
  const int64_t colours = import->options.image_channels;
  const auto [first_weight, last_layer] = ends_of(import->options.architecture);
  for (StateDict* weights : {&import->model, &import->ema}) {
    if (weights->empty()) continue;
    Tensor* first = find_tensor(weights, first_weight);
    *first = fold_inputs(*first, colours);
    for (const char* name : {"weight", "bias"}) {
      Tensor* last = find_tensor(weights, last_layer + name);
      *last = fold_outputs(*last, colours);
    }
  }
  import->exp_avg.clear();
  import->exp_avg_sq.clear();
  import->options.image_channels = 1;
  import->notes.push_back(
      concat_message(first_weight, " summed over ", colours, " colours, ", last_layer,
                     "* averaged: the network takes and gives grey pictures; without fine-tuning it "
                     "answers as for three equal channels"));
}

const KeyMap& map_of(const std::string& as) {
  if (as == "lucidrains") return lucidrains_map();
  if (as == "sdm") return sdm_map();
  return as == "diffusers" ? diffusers_map() : guided_map();
}

// A config that doesn't belong to the weights is said so before a network of its size is made.
void check_config(const DenoiserOptions& net, const WeightShapes& weights, const std::string& config) {
  const auto agree = [&](const std::string& name, int64_t i, int64_t expected, const char* key) {
    const int64_t found = weights.dim(name, i);
    check_input(found == expected, Fault::kBadInput, config, ": ", key, " says ", expected, ", but ", name, " in ",
                weights.where(), " has ", found);
  };
  agree("conv_in.weight", 1, net.patch * net.patch * (net.image_channels + net.planes), "in_channels");
  agree("conv_out.weight", 0, net.patch * net.patch * (net.learned_variance ? 2 : 1) * net.image_channels,
        "out_channels");
  agree("time_embedding.linear_1.weight", 1, net.dim * net.mults.front(), "block_out_channels");
  if (net.diffusers.time_embedding_dim > 0)
    agree("time_embedding.linear_1.weight", 0, net.diffusers.time_embedding_dim, "time_embedding_dim");
  for (size_t level = 0; level < net.mults.size(); ++level) {
    const std::string block = concat_message("down_blocks.", level, ".resnets.");
    agree(block + "0.conv1.weight", 0, net.dim * net.mults[level], "block_out_channels");
    const int64_t count = weights.count(block);
    check_input(count == net.blocks, Fault::kBadInput, config, ": layers_per_block says ", net.blocks, ", but ",
                weights.where(), " has ", count, " of ", block, "*");
  }
}

std::string read_config(const std::string& path) {
  const InputFile file(path);
  check_input(file.size() < (1 << 20), Fault::kBadInput, path, ": ", file.size(), " bytes, expected a small JSON file");
  return file.read(0, file.size());
}

// The network of config.json, and what lies beside it: the scheduler, and how many steps a moving average has had.
DenoiserOptions read_diffusers(const WeightShapes& weights, const DiffusersFolder& folder, const ImportOptions& options,
                               DenoiserImport* import) {
  check_input(!folder.config.empty(), Fault::kMissingInput, folder.weights,
              ": no config.json beside it; a UNet2DModel can't be told from its weights alone: give the folder of "
              "save_pretrained");
  const DiffusersConfig config = parse_diffusers_config(read_config(folder.config), folder.config, options.hints);
  check_config(config.options, weights, folder.config);
  import->image_size = config.sample_size * config.options.patch;
  if (config.ema_steps) {
    import->ema_step = *config.ema_steps;
    import->notes.push_back(concat_message(folder.weights, ": an EMAModel's: these weights are the moving average of ",
                                           *config.ema_steps, " steps, the trained ones are not in it"));
  }
  if (!folder.ema.empty() && options.part != "model") {
    const DiffusersConfig ema =
        parse_diffusers_config(read_config(folder.ema_config), folder.ema_config, options.hints);
    import->ema_step = ema.ema_steps.value_or(0);
    import->notes.push_back(
        concat_message(folder.ema, ": an EMAModel's, taken as the moving average of ", import->ema_step, " steps"));
  }
  if (!folder.scheduler.empty()) {
    import->scheduler = parse_diffusers_scheduler(read_config(folder.scheduler), folder.scheduler);
    import->scheduler_path = folder.scheduler;
  }
  return config.options;
}

DenoiserOptions denoiser_options(const std::string& as, const WeightShapes& weights, const DiffusersFolder& folder,
                                 const ImportOptions& options, DenoiserImport* import) {
  if (as == "lucidrains") return infer_lucidrains(weights, options.hints);
  return as == "diffusers" ? read_diffusers(weights, folder, options, import) : infer_guided(weights, options.hints);
}

// A checkpoint's tensors outside its model that no network here has.
void note_left_out(const std::vector<std::string>& names, std::vector<std::string>* notes) {
  if (names.empty()) return;
  notes->push_back(concat_message(
      "left out ", names.size(), " tensors beside the model: ",
      join(std::vector<std::string>(names.begin(), names.begin() + std::min<int64_t>(int64_t(names.size()), 4)), ", "),
      names.size() > 4 ? ", .." : ""));
}

void take_adam(const SourceAdam& adam, Denoiser* network, const std::string& where, DenoiserImport* import) {
  if (adam.exp_avg.empty()) return;
  const std::vector<NamedTensor> parameters = network->parameters();
  bool fits = adam.exp_avg.size() == parameters.size() && adam.exp_avg_sq.size() == parameters.size();
  for (size_t i = 0; fits && i < parameters.size(); ++i)
    fits = adam.exp_avg[i] && adam.exp_avg_sq[i] && adam.exp_avg[i].shape() == parameters[i].tensor.shape() &&
           adam.exp_avg_sq[i].shape() == parameters[i].tensor.shape();
  check_input(fits, Fault::kBadInput, where, ": its optimiser's state of ", adam.exp_avg.size(),
              " entries is not Adam's of this network's ", parameters.size(),
              " parameters in their order; take the model's weights alone");
  for (size_t i = 0; i < parameters.size(); ++i) {
    import->exp_avg.push_back({parameters[i].name, adam.exp_avg[i].to(DType::f32)});
    import->exp_avg_sq.push_back({parameters[i].name, adam.exp_avg_sq[i].to(DType::f32)});
  }
  import->adam_step = adam.step;
  import->adam_settings = adam.settings;
}

// Networks of other libraries that people try, told by their names.
void refuse_unsupported(const WeightShapes& weights) {
  check_input(!weights.has("conv_in.conv.weight") || !weights.any_with_prefix("down_blocks."), Fault::kBadInput,
              weights.where(),
              ": is MONAI's DiffusionModelUNet (conv_in.conv.weight), which is not supported; train one here, or bring "
              "a UNet2DModel of diffusers");
}

}  // namespace

std::string recognise_network(const StateDict& weights, const std::string& where) {
  const WeightShapes shapes(weights, where);
  refuse_unsupported(shapes);
  if (shapes.has("init_conv.weight") || shapes.any_with_prefix("mid_block1.")) return "lucidrains";
  if (shapes.has("input_blocks.0.0.weight"))
    return shapes.any_with_prefix("middle_block.0.in_norm.") ? "sdm" : "guided-diffusion";
  if (shapes.has("conv_in.weight") && shapes.any_with_prefix("down_blocks.")) return "diffusers";
  if (shapes.has("conv1.weight") && shapes.any_with_prefix("layer1.")) return "resnet18";
  throw Error(Fault::kBadInput,
              concat_message(where,
                             ": the names are none of resnet18's, lucidrains', guided-diffusion's, SDM's or "
                             "diffusers'; the first is ",
                             weights.empty() ? "none" : weights.front().name));
}

DenoiserImport import_denoiser(const std::string& path, const ImportOptions& options) {
  DenoiserImport import;
  const DiffusersFolder folder = find_diffusers_folder(path);
  const std::string& where = folder.weights;
  SourceParts parts = read_parts(where, folder.ema, options, &import.notes);
  refuse_unsupported(WeightShapes(parts.model, where));
  const std::string as = options.as.empty() ? recognise_network(parts.model, where) : options.as;
  check_input(as != "resnet18", Fault::kBadInput, where, ": is a ResNet, expected a diffusion network");
  if (options.class_label) {
    for (StateDict* weights : {&parts.model, &parts.ema})
      if (fold_class(weights, "label_emb.weight", "time_embed.2.bias", *options.class_label, where) ||
          fold_class(weights, "class_embedding.weight", "time_embedding.linear_2.bias", *options.class_label, where))
        import.notes.push_back(concat_message("class ", *options.class_label, " is kept for good"));
    parts.adam = {};
  }
  // Forcing one channel on a network of three is done to the weights; reading its shape needs its own number.
  const WeightShapes shapes(parts.model, where);
  import.options = denoiser_options(as, shapes, folder, options, &import);
  Denoiser network(import.options, 0);
  const StateDict own = network.state_dict();
  const KeyMap& map = map_of(as);
  const FittedWeights fitted = fit_weights(map, parts.model, own, where, parts.beside);
  import.model = fitted.weights;
  note_left_out(fitted.left_out, &import.notes);
  if (!parts.ema.empty()) import.ema = fit_weights(map, parts.ema, own, where + ": ema").weights;
  for (const std::string& name : fitted.ignored)
    if (const Tensor* buffer = find_tensor(&parts.model, name)) import.buffers.push_back({name, *buffer});
  if (options.part.empty()) take_adam(parts.adam, &network, where, &import);
  import.step = parts.step.value_or(0);
  if (parts.ema_step) import.ema_step = *parts.ema_step;
  const std::optional<int64_t> channels = options.hints.image_channels;
  if (channels && *channels != import.options.image_channels) {
    check_input(import.options.patch == 1, Fault::kUsage, "image channels: ", where,
                " has patches, whose colours can't become one; leave it out");
    check_input(*channels == 1 && import.options.image_channels == 3, Fault::kUsage, "image channels: the network of ",
                where, " has pictures of ", import.options.image_channels, " channels; only 3 can become 1, found ",
                *channels);
    to_one_channel(&import);
  }
  if (as == "sdm") import.notes.push_back("the table for SDM is unproven: no file of the original code was at hand");
  return import;
}

ResNet18Import import_resnet18(const std::string& path, const ImportOptions& options) {
  ResNet18Import import;
  const SourceParts parts = read_parts(path, "", options, &import.notes);
  const StateDict& weights = parts.model;
  import.options = infer_resnet18(WeightShapes(weights, path));
  ResNet18 network(import.options, options.seed);
  const FittedWeights fitted = fit_weights(resnet18_map(), weights, network.state_dict(), path, parts.beside);
  import.weights = fitted.weights;
  note_left_out(fitted.left_out, &import.notes);
  if (!fitted.missing.empty()) import.notes.push_back("no num_batches_tracked in the file: left at 0");
  const int64_t channels = options.hints.image_channels.value_or(import.options.in_channels);
  if (channels != import.options.in_channels) {
    check_input(channels == 1 && import.options.in_channels == 3, Fault::kUsage, "image channels: the network of ",
                path, " takes ", import.options.in_channels, " channels; only 3 can become 1, found ", channels);
    Tensor* first = find_tensor(&import.weights, "conv1.weight");
    *first = fold_inputs(*first, 3);
    import.options.in_channels = 1;
    import.notes.push_back("conv1.weight summed over 3 colours: a grey picture is one with three equal channels");
  }
  const int64_t classes = options.classes.value_or(import.options.classes);
  if (classes != import.options.classes) {
    import.notes.push_back(concat_message("the last layer of ", import.options.classes,
                                          " classes is replaced by a fresh one of ", classes));
    import.options.classes = classes;
    ResNet18 fresh(import.options, options.seed);
    for (const NamedTensor& entry : fresh.state_dict())
      if (entry.name.starts_with("fc.")) *find_tensor(&import.weights, entry.name) = entry.tensor.clone();
  }
  return import;
}

}  // namespace echodiff
