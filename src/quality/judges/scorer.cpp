#include "quality/judges/scorer.h"

#include <algorithm>
#include <cmath>

#include "tensor/ops.h"
#include "train/data/image.h"
#include "train/metadata.h"
#include "train/run_checkpoint.h"

namespace echodiff {
namespace {

constexpr const char* kKind = "scorer";
constexpr size_t kBatch = 64;
constexpr int64_t kMost = 1024;  // pixels, channels
constexpr const char* kAdvice = "not a scorer's checkpoint";

std::variant<ResNet18, PlainCnn> make_network(const ScorerOptions& options, uint64_t seed) {
  check_input(options.architecture == "resnet18" || options.architecture == "cnn", Fault::kUsage,
              "scorer: architecture: expected resnet18 or cnn, found '", options.architecture, "'");
  if (options.architecture == "cnn") return PlainCnn({.width = options.width}, seed);
  return ResNet18({.width = options.width}, seed);
}

std::string architecture_of(const Metadata& metadata) {
  const Metadata::const_iterator found = metadata.find("architecture");
  return found == metadata.end() ? "resnet18" : found->second;
}

}  // namespace

Scorer::Scorer(const ScorerOptions& options, uint64_t seed)
    : options_(options), network_(make_network(options, seed)) {}

void Scorer::to(Device device) {
  device_ = device;
  network().to(device);
}

Module& Scorer::network() {
  return std::visit([](auto& network) -> Module& { return network; }, network_);
}

Tensor Scorer::logits(const Tensor& images) const {
  return std::visit(
      [&](const auto& network) {
        const bool rounded = bf16_ && network.training();
        return cast(network(cast(images.to(device_), rounded ? DType::bf16 : DType::f32)), DType::f32);
      },
      network_);
}

std::vector<double> Scorer::score(const Tensor& images) const {
  const int64_t size = options_.image_size;
  check_input(images.rank() == 4 && images.dim(1) == 1 && images.dim(2) == size && images.dim(3) == size,
              Fault::kBadInput, "the scorer was trained on ", size, "x", size, " pictures, got ", images.shape(),
              "; train one with dtrain scorer on labels of this size");
  const NoGrad no_grad;
  std::vector<double> scores = logits(images).to_vector();
  for (double& score : scores) score = 1 / (1 + std::exp(-score));
  return scores;
}

std::vector<double> Scorer::score(const std::vector<const GrayImage*>& images) const {
  std::vector<double> scores;
  for (size_t begin = 0; begin < images.size(); begin += kBatch) {
    const std::vector<const GrayImage*> some(images.begin() + int64_t(begin),
                                             images.begin() + int64_t(std::min(images.size(), begin + kBatch)));
    for (const double one : score(to_tensor(some))) scores.push_back(one);
  }
  return scores;
}

std::string Scorer::save(const std::string& run, int64_t step, const std::vector<NamedTensor>& training,
                         Metadata facts) {
  facts["kind"] = kKind;
  facts["image_size"] = std::to_string(options_.image_size);
  facts["width"] = std::to_string(options_.width);
  facts["step"] = std::to_string(step);
  if (options_.architecture != "resnet18") facts["architecture"] = options_.architecture;
  std::vector<NamedTensor> tensors = network().state_dict();
  tensors.insert(tensors.end(), training.begin(), training.end());
  return save_checkpoint(run, step, tensors, facts, 2);
}

std::string save_resnet18_run(const std::string& run, int64_t step, const ResNet18Options& options,
                              const StateDict& weights, int64_t image_size) {
  Metadata metadata{{"kind", kKind},
                    {"image_size", std::to_string(image_size)},
                    {"width", std::to_string(options.width)},
                    {"step", std::to_string(step)}};
  if (options.in_channels != 1) metadata["channels"] = std::to_string(options.in_channels);
  if (options.classes != 1) metadata["classes"] = std::to_string(options.classes);
  return save_checkpoint(run, step, weights, metadata, 2);
}

namespace {

SafetensorsFile read_scorer_checkpoint(const std::string& run, bool allow_unfinished) {
  const std::string path = run_checkpoint(run);
  check_input(!path.empty(), Fault::kMissingInput, run,
              ": no scorer checkpoint there; train one with dtrain scorer into ", run);
  SafetensorsFile file = read_checkpoint(path);
  const Metadata::const_iterator kind = file.metadata.find("kind");
  check_input(kind != file.metadata.end() && kind->second == kKind, Fault::kBadInput, path,
              ": not a scorer's checkpoint; expected a run of dtrain scorer, or a ResNet-18 from dweights import");
  require_finished(file, allow_unfinished);
  return file;
}

ResNet18Run resnet18_run(const SafetensorsFile& file) {
  const std::string& path = file.path;
  check_input(architecture_of(file.metadata) == "resnet18", Fault::kBadInput, path, ": expected a ResNet-18, found a ",
              architecture_of(file.metadata));
  const MetadataReader read(file.metadata, path, kAdvice);
  const ResNet18Options options{.in_channels = read.has("channels") ? read.integer("channels", 1, kMost) : 1,
                                .classes = read.has("classes") ? read.integer("classes", 1, 1000000) : 1,
                                .width = read.integer("width", 1, kMost)};
  const int64_t image_size = read.integer("image_size", 1, kMost);
  ResNet18Run loaded{options, ResNet18(options, 0), image_size};
  loaded.network.load_state_dict(raw_weights(file.tensors));
  loaded.network.eval();
  return loaded;
}

}  // namespace

ResNet18Run load_resnet18_run(const std::string& run, bool allow_unfinished) {
  return resnet18_run(read_scorer_checkpoint(run, allow_unfinished));
}

Scorer load_scorer_run(const std::string& run, bool allow_unfinished) {
  const SafetensorsFile file = read_scorer_checkpoint(run, allow_unfinished);
  const std::string architecture = architecture_of(file.metadata);
  if (architecture != "cnn") {
    const ResNet18Options found = resnet18_run(file).options;
    check_input(found.in_channels == 1 && found.classes == 1, Fault::kBadInput, run,
                ": expected a network with one channel and one logit, found ", found.in_channels, " and ",
                found.classes, "; import it with one image channel and one class");
  }
  const MetadataReader read(file.metadata, file.path, kAdvice);
  Scorer scorer({.image_size = read.integer("image_size", 1, kMost),
                 .width = read.integer("width", 1, kMost),
                 .architecture = architecture},
                0);
  scorer.network().load_state_dict(raw_weights(file.tensors));
  scorer.network().eval();
  return scorer;
}

}  // namespace echodiff
