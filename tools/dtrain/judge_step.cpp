#include "dtrain/judge_step.h"

#include <cmath>

namespace echodiff {

LearningRateOptions warmed_cosine(double rate, int64_t warmup, int64_t steps) {
  return {.rate = rate, .warmup = std::min(warmup, steps / 2), .cosine = true, .total = steps};
}

void guarded_step(JudgeTraining& training, int64_t step, const Tensor& loss) {
  const double rate = learning_rate(training.rate, step);
  training.adam.zero_grad();
  loss.backward();
  const double norm = clip_grad_norm(training.parameters, training.clip).item(), value = loss.item();
  const bool usable = std::isfinite(value) && std::isfinite(norm);
  if (usable) training.adam.step(rate);
  check(usable && training.adam.finite(), training.name, ": loss ", value, ", gradient norm ", norm, " at step ",
        step + 1, ", learning rate ", rate, ": not finite; ", training.kept, ". Try a smaller --lr");
  std::vector<std::pair<std::string, LogValue>> line{
      {"step", step + 1}, {"loss", value}, {"grad_norm", norm}, {"lr", rate}};
  if (training.log_seconds) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - training.start;
    line.push_back({"seconds", std::round(elapsed.count() * 1000) / 1000});
  }
  training.log.write(line);
  training.progress.update(step + 1, "loss " + std::to_string(value));
}

}  // namespace echodiff
