#include "quality/judges/segmenter.h"

#include <algorithm>

#include "nn/widths.h"
#include "tensor/autograd.h"
#include "tensor/io/text.h"
#include "tensor/ops.h"
#include "train/data/image.h"
#include "train/metadata.h"
#include "train/model_run.h"
#include "train/run_checkpoint.h"

namespace echodiff {
namespace {

constexpr const char* kKind = "segmenter";
constexpr int64_t kBatch = 32;

UnetOptions unet_options(const SegmenterOptions& options) {
  const int64_t classes = int64_t(options.classes.size()), halvings = int64_t(options.mults.size()) - 1;
  check_widths(options.dim, options.mults);
  check_input(classes > 0, Fault::kUsage, "segmenter: no classes; the data has no masks");
  check_input(halvings >= 0 && halvings < 10 && options.image_size % (int64_t(1) << halvings) == 0, Fault::kUsage,
              "segmenter: ", options.image_size, " pixels can't be halved ", halvings, " times; give fewer levels");
  UnetOptions unet;
  unet.dim = options.dim;
  unet.mults = options.mults;
  unet.channels = 1;
  unet.out_channels = classes;
  return unet;
}

}  // namespace

Segmenter::Segmenter(const SegmenterOptions& options, uint64_t seed)
    : options_(options), network_(unet_options(options), seed) {}

void Segmenter::to(Device device) {
  device_ = device;
  network_.to(device);
}

Tensor Segmenter::operator()(const Tensor& images) const {
  const bool rounded = bf16_ && network_.training();
  const Tensor x = cast(images.to(device_), rounded ? DType::bf16 : DType::f32);
  return cast(network_(x, zeros({images.dim(0)}, DType::i64, device_)), DType::f32);
}

std::vector<std::vector<GrayImage>> Segmenter::segment(const std::vector<GrayImage>& images) const {
  const int64_t size = options_.image_size, classes = int64_t(options_.classes.size());
  const NoGrad no_grad;
  std::vector<std::vector<GrayImage>> out;
  for (int64_t begin = 0; begin < int64_t(images.size()); begin += kBatch) {
    const int64_t count = std::min(kBatch, int64_t(images.size()) - begin);
    std::vector<const GrayImage*> batch;
    for (int64_t i = 0; i < count; ++i) {
      const GrayImage& image = images[size_t(begin + i)];
      check_input(image.width == size && image.height == size, Fault::kBadInput, "the segmenter was trained on ", size,
                  "x", size, " pictures, got ", image.width, "x", image.height);
      batch.push_back(&image);
    }
    const std::vector<double> logits = (*this)(to_tensor(batch)).to_vector();
    for (int64_t i = 0; i < count * classes; ++i) {
      if (i % classes == 0) out.emplace_back();
      GrayImage plane{size, size, std::vector<uint8_t>(size_t(size * size))};
      for (int64_t p = 0; p < size * size; ++p) plane.pixels[size_t(p)] = logits[size_t(i * size * size + p)] > 0;
      out.back().push_back(std::move(plane));
    }
  }
  return out;
}

std::string Segmenter::save(const std::string& run, int64_t step, const std::vector<NamedTensor>& training,
                            Metadata facts) {
  facts["kind"] = kKind;
  facts["image_size"] = std::to_string(options_.image_size);
  facts["classes"] = join(options_.classes);
  facts["dim"] = std::to_string(options_.dim);
  facts["mults"] = join(options_.mults);
  facts["step"] = std::to_string(step);
  if (options_.fit != Fit::squash) facts["fit"] = name_of(options_.fit);
  std::vector<NamedTensor> tensors = network_.state_dict();
  tensors.insert(tensors.end(), training.begin(), training.end());
  return save_checkpoint(run, step, tensors, facts, 2);
}

Segmenter load_segmenter_run(const std::string& run, bool allow_unfinished) {
  const std::string path = run_checkpoint(run);
  check_input(!path.empty(), Fault::kMissingInput, run, ": no segmenter there; train one with dtrain segmenter into ",
              run);
  const SafetensorsFile file = read_checkpoint(path);
  const MetadataReader read(file.metadata, path, "expected a run of dtrain segmenter");
  check_input(read.text("kind") == kKind, Fault::kBadInput, path, ": is a ", read.text("kind"),
              "; expected a run of dtrain segmenter");
  require_finished(file, allow_unfinished);
  SegmenterOptions options;
  options.image_size = read.integer("image_size", 1, 1024);
  options.dim = read.integer("dim", 1, 1024);
  options.mults = read.integers("mults");
  options.classes = split(read.text("classes"));
  options.fit = fit_in(file.metadata, path);
  for (const std::string& name : options.classes) check_name(name, Fault::kBadInput, path, "metadata: class");
  try {
    Segmenter segmenter(options, 0);
    segmenter.network().load_state_dict(raw_weights(file.tensors));
    segmenter.network().eval();
    return segmenter;
  } catch (const Error& error) {
    if (error.fault() != Fault::kUsage) throw;
    throw Error(Fault::kBadInput, path + ": metadata: " + error.what());
  }
}

std::optional<double> dice(const GrayImage& a, const GrayImage& b) {
  check(a.width == b.width && a.height == b.height, "dice: planes of ", a.width, "x", a.height, " and ", b.width, "x",
        b.height);
  int64_t both = 0, sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    both += a.pixels[i] != 0 && b.pixels[i] != 0;
    sum += (a.pixels[i] != 0) + (b.pixels[i] != 0);
  }
  if (sum == 0) return std::nullopt;
  return 2 * double(both) / double(sum);
}

DiceScores dice_scores(const Segmenter& segmenter, const std::vector<GrayImage>& images,
                       const std::vector<const std::vector<GrayImage>*>& planes) {
  const std::vector<std::vector<GrayImage>> found = segmenter.segment(images);
  DiceScores scores;
  scores.by_class.resize(segmenter.options().classes.size());
  for (size_t i = 0; i < found.size(); ++i) {
    double sum = 0, count = 0;
    for (size_t c = 0; c < scores.by_class.size(); ++c) {
      const std::optional<double> one = dice(found[i][c], planes[i]->at(c));
      if (!one) continue;
      scores.by_class[c].push_back(*one);
      sum += *one;
      count += 1;
    }
    if (count > 0) scores.mean.push_back(sum / count);
  }
  return scores;
}

}  // namespace echodiff
