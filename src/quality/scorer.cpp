#include "quality/scorer.h"

#include <cmath>

#include "tensor/ops.h"
#include "train/checkpoint.h"
#include "train/image.h"
#include "train/model_run.h"

namespace echodiff {
namespace {

constexpr const char* kKind = "scorer";

int64_t positive_of(const Metadata& metadata, const std::string& key, const std::string& path) {
  const Metadata::const_iterator found = metadata.find(key);
  check_input(found != metadata.end(), Fault::kBadInput, path, ": its metadata has no '", key, "'; not a scorer's checkpoint");
  try {
    return parse_integers(found->second, key).at(0);
  } catch (const Error& error) {
    throw Error(Fault::kBadInput, path + ": " + error.what());
  }
}

}  // namespace

std::vector<double> Scorer::score(const Tensor& images) const {
  const int64_t size = options_.image_size;
  check_input(images.rank() == 4 && images.dim(1) == 1 && images.dim(2) == size && images.dim(3) == size, Fault::kBadInput,
              "the scorer was trained on ", size, "x", size, " pictures, got ", images.shape(),
              "; train one with dtrain scorer on labels of this size");
  const NoGrad no_grad;
  std::vector<double> scores = network_(images).to_vector();
  for (double& score : scores) score = 1 / (1 + std::exp(-score));
  return scores;
}

std::string Scorer::save(const std::string& run, int64_t step) {
  const Metadata metadata{{"kind", kKind},
                          {"image_size", std::to_string(options_.image_size)},
                          {"width", std::to_string(options_.width)},
                          {"step", std::to_string(step)}};
  return save_checkpoint(run, step, network_.state_dict(), metadata, 2);
}

Scorer load_scorer_run(const std::string& run) {
  const std::string path = latest_checkpoint(run);
  check_input(!path.empty(), Fault::kMissingInput, run, ": no scorer checkpoint there; train one with dtrain scorer --out ", run);
  const SafetensorsFile file = read_checkpoint(path);
  const Metadata::const_iterator kind = file.metadata.find("kind");
  check_input(kind != file.metadata.end() && kind->second == kKind, Fault::kBadInput, path,
              ": not a scorer's checkpoint; --scorer takes a run of dtrain scorer");
  ScorerOptions options;
  options.image_size = positive_of(file.metadata, "image_size", path);
  options.width = positive_of(file.metadata, "width", path);
  check_input(options.image_size <= 1024 && options.width <= 1024, Fault::kBadInput, path, ": image_size ", options.image_size,
              " and width ", options.width, " are out of range (at most 1024)");
  Scorer scorer(options, 0);
  scorer.network().load_state_dict(file.tensors);
  scorer.network().eval();
  return scorer;
}

Tensor to_tensor(const std::vector<const GrayImage*>& images) {
  check(!images.empty(), "to_tensor: no pictures");
  const int64_t height = images[0]->height, width = images[0]->width;
  Tensor x = empty({int64_t(images.size()), 1, height, width});
  float* out = x.mutable_data<float>();
  for (const GrayImage* image : images) {
    check(image->height == height && image->width == width, "to_tensor: pictures of different sizes");
    from_gray(*image, out);
    out += height * width;
  }
  return x;
}

}  // namespace echodiff
