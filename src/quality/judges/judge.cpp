#include "quality/judges/judge.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "kernels/error.h"
#include "quality/judges/scorer.h"
#include "quality/judges/value_model.h"
#include "tensor/io/text.h"
#include "train/checkpoint.h"
#include "train/folder/planes.h"
#include "train/run_checkpoint.h"

namespace echodiff {
namespace {

void require_size(int64_t trained, int64_t height, int64_t width, const std::string& run) {
  check_input(trained == height && height == width, Fault::kBadInput, run, ": expected a judge trained on pictures of ",
              width, "x", height, ", found one for ", trained, "; train one on this size");
}

// The judge sees masks as channels, and would take one plane for another.
void require_planes(const std::string& run, const std::vector<std::string>& planes) {
  const Metadata metadata = read_checkpoint(run_checkpoint(run)).metadata;
  const Metadata::const_iterator found = metadata.find(kPlaneNames);
  if (found == metadata.end() || planes.empty()) return;
  const std::vector<std::string> known = split(found->second);
  check_input(known == planes || nameless(known) || nameless(planes), Fault::kBadInput, run,
              ": was trained on masks with the planes ", join(known, ", "), ", found ", join(planes, ", "),
              "; train it on recordings of this model");
}

}  // namespace

void clamp_pictures(Tensor& images) {
  float* const values = images.mutable_data<float>();
  for (int64_t i = 0; i < images.count(); ++i) values[i] = std::clamp(values[i], -1.0f, 1.0f);
}

std::vector<double> ask(const Judge& judge, const Tensor& images, const Tensor& t, const Tensor& condition) {
  std::vector<double> scores = judge(images, t, condition);
  check(int64_t(scores.size()) == images.dim(0), "the judge gave ", scores.size(), " scores for ", images.dim(0),
        " pictures");
  for (double& score : scores) {
    check(std::isfinite(score), "the judge gave a score that is not finite");
    score = double(float(score));
  }
  return scores;
}

Judge load_judge_run(const std::string& run, int64_t height, int64_t width, Device device,
                     const std::vector<std::string>& planes, bool allow_unfinished) {
  if (is_value_run(run)) {
    require_planes(run, planes);
    const std::shared_ptr<ValueModel> model = std::make_shared<ValueModel>(load_value_run(run, allow_unfinished));
    require_size(model->options().image_size, height, width, run);
    model->to(device);
    return [model](const Tensor& images, const Tensor& t, const Tensor& condition) {
      return model->score(images, t, condition);
    };
  }
  const std::shared_ptr<Scorer> scorer = std::make_shared<Scorer>(load_scorer_run(run, allow_unfinished));
  require_size(scorer->options().image_size, height, width, run);
  scorer->to(device);
  return [scorer](const Tensor& images, const Tensor&, const Tensor&) { return scorer->score(images); };
}

}  // namespace echodiff
