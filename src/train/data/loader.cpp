#include "train/data/loader.h"

#include <algorithm>
#include <cstring>

#include "kernels/thread_pool.h"
#include "train/checkpoint.h"
#include "train/data/image.h"
#include "train/data/told_augment.h"
#include "train/draws.h"

namespace echodiff {
namespace {

void fill_condition(const Example& example, float* condition) {
  const size_t planes = example.planes.size();
  for (size_t p = 0; p < planes; ++p) {
    const std::vector<uint8_t>& plane = example.planes[p].pixels;
    for (size_t i = 0; i < plane.size(); ++i) condition[i * planes + p] = float(plane[i]);
  }
}

}  // namespace

Tensor condition_of(const Example& example) {
  Tensor condition = empty({1, int64_t(example.planes.size()), example.planes[0].height, example.planes[0].width});
  fill_condition(example, condition.mutable_data<float>());
  return condition;
}

Loader::Loader(const Dataset& dataset, const std::string& split, uint64_t seed, const AugmentOptions& options)
    : size_(dataset.image_size), planes_(int64_t(dataset.plane_names.size())), seed_(seed), options_(options) {
  for (const Example& example : dataset.examples)
    if (example.split == split) examples_.push_back(&example);
}

Batch Loader::gather(const std::vector<int64_t>& indices) const {
  const int64_t N = int64_t(indices.size()), pixels = size_ * size_;
  Batch batch{empty({N, 1, size_, size_}), empty({N, planes_, size_, size_})};
  float* x_0 = batch.x_0.mutable_data<float>();
  float* condition = batch.condition.mutable_data<float>();
  parallel_for(N, [&](int64_t n) {
    const Example& example = *examples_[size_t(indices[size_t(n)])];
    from_gray(example.image, x_0 + n * pixels);
    fill_condition(example, condition + n * pixels * planes_);
  });
  return batch;
}

Batch Loader::draw(int64_t first, int64_t count) const {
  Batch batch = gather(draw_examples(seed_, size(), first, count));
  if (options_.told > 0) batch.labels = empty({count, kAugmentLabels});
  if (!options_.any() && !batch.labels) return batch;
  const int64_t pixels = size_ * size_;
  float* x_0 = batch.x_0.mutable_data<float>();
  float* condition = batch.condition.mutable_data<float>();
  float* labels = batch.labels ? batch.labels.mutable_data<float>() : nullptr;
  parallel_for(count, [&](int64_t n) {
    float *picture = x_0 + n * pixels, *planes = condition + n * pixels * planes_;
    const auto random = [&](Draw draw) { return Random(seed_of(seed_, draw), uint64_t(first + n)); };
    augment(options_, random(Draw::augment), size_, planes_, picture, planes);
    if (labels != nullptr)
      augment_and_tell(options_.told, random(Draw::told_augment), size_, planes_, picture, planes,
                       labels + n * kAugmentLabels);
  });
  return batch;
}

std::string Loader::files(int64_t first, int64_t count) const {
  constexpr int64_t kShown = 8;
  std::string out;
  for (const int64_t index : draw_examples(seed_, size(), first, std::min(count, kShown)))
    out += (out.empty() ? "" : " ") + examples_[size_t(index)]->file;
  return count > kShown ? out + " ..." : out;
}

Replay::Replay(const std::string& path, int64_t T) : file_(read_safetensors(path)) {
  const Shape x = file_.at("x_0").shape(), c = file_.at("cond").shape(), t = file_.at("t").shape();
  check_input(x.rank() == 5 && x[2] == 1 && x[3] == x[4] && x.count() > 0, Fault::kBadInput, path, ": x_0 is ", x,
              ", expected (S, B, 1, H, H)");
  check_input(c.rank() == 5 && c[0] == x[0] && c[1] == x[1] && c[2] >= 1 && c[3] == x[3] && c[4] == x[4],
              Fault::kBadInput, path, ": cond is ", c, ", expected (S, B, P, H, W) to go with x_0 ", x);
  check_input(t == (Shape{x[0], x[1]}) && file_.at("t").dtype() == DType::i64, Fault::kBadInput, path, ": t is ", t,
              ", expected whole numbers (S, B) to go with x_0 ", x);
  check_input(file_.at("noise").shape() == x, Fault::kBadInput, path, ": noise is ", file_.at("noise").shape(),
              ", expected x_0's ", x);
  for (const char* name : {"x_0", "cond", "noise"})
    check_input(file_.at(name).dtype() == DType::f32, Fault::kBadInput, path, ": ", name, " is ",
                name_of(file_.at(name).dtype()), ", expected 32-bit floats");
  require_finite(file_.tensors, Fault::kBadInput, path);
  const int64_t* times = file_.at("t").data<int64_t>();
  check_input(std::all_of(times, times + t.count(), [T](int64_t value) { return value >= 0 && value < T; }),
              Fault::kBadInput, path, ": t holds a time outside 0..", T - 1,
              "; set the time steps to those it was made for");
  steps_ = x[0];
  batch_ = x[1];
  planes_ = c[2];
  size_ = x[3];
}

Tensor Replay::images(const char* name, int64_t step, int64_t channels) const {
  const Shape shape{batch_, channels, size_, size_};
  return from_values(shape, file_.at(name).data<float>() + step * shape.count());
}

Batch Replay::batch(int64_t step) const { return {images("x_0", step, 1), images("cond", step, planes_)}; }
Tensor Replay::noise(int64_t step) const { return images("noise", step, 1); }
Tensor Replay::times(int64_t step) const {
  const int64_t* begin = file_.at("t").data<int64_t>() + step * batch_;
  return from_indices(std::vector<int64_t>(begin, begin + batch_));
}

}  // namespace echodiff
