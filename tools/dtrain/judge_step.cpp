#include "dtrain/judge_step.h"

#include <algorithm>
#include <cmath>

#include "dtrain/stoppable.h"
#include "dtrain/tensorboard.h"
#include "train/parallel/micro_batches.h"

namespace echodiff {

std::unique_ptr<RunLog> open_log(const RunDirectory& run, bool tensorboard, const Common& common, int64_t first_step) {
  run.write_config(unbroken_toml(common));
  const std::string path = run.file("log.jsonl");
  check_log(path, first_step, 1, common);
  return std::make_unique<RunLog>(path, first_step > 0 ? first_step : -1,
                                  open_events(tensorboard, run.path(), first_step, common));
}

LearningRateOptions warmed_cosine(double rate, int64_t warmup, int64_t steps) {
  return {.rate = rate, .warmup = std::min(warmup, steps / 2), .cosine = true, .total = steps};
}

std::vector<NamedTensor> buffers_of(Module& network) {
  const std::vector<NamedTensor> parameters = network.parameters();
  std::vector<NamedTensor> buffers = network.state_dict();
  std::erase_if(buffers, [&](const NamedTensor& one) {
    return std::any_of(parameters.begin(), parameters.end(),
                       [&](const NamedTensor& parameter) { return parameter.name == one.name; });
  });
  return buffers;
}

StateDict copy_of(const StateDict& state) {
  StateDict copy;
  for (const NamedTensor& tensor : state) copy.push_back({tensor.name, tensor.tensor.clone()});
  return copy;
}

bool guarded_step(JudgeTraining& training, int64_t step, const std::function<Tensor(int64_t)>& loss_of) {
  const double rate = learning_rate(training.rate, step);
  const bool stoppable = training.ranks.size() == 1 && training.device == Device::kCpu;
  std::vector<Tensor> losses;
  const bool whole = unless_stopped(stoppable, [&] {
    losses =
        backward_micro_batches(training.ranks, training.micro_batches, training.parameters, training.buffers, loss_of);
  });
  if (!whole) return false;
  double value = 0;
  for (const Tensor& loss : losses) value += loss.item() / double(losses.size());
  const double norm = clip_grad_norm(training.parameters, training.clip).item();
  const bool usable = std::isfinite(value) && std::isfinite(norm);
  if (usable) training.adam.step(rate);
  check(usable && training.adam.finite(), training.name, ": loss ", value, ", gradient norm ", norm, " at step ",
        step + 1, ", learning rate ", rate, ": not finite; the last checkpoint stands. Try a smaller --lr");
  std::vector<std::pair<std::string, LogValue>> line{
      {"step", step + 1}, {"loss", value}, {"grad_norm", norm}, {"lr", rate}};
  if (training.log_seconds) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - training.start;
    line.push_back({"seconds", std::round(elapsed.count() * 1000) / 1000});
  }
  if (training.log) training.log->write(line);
  training.progress.update(step + 1, "loss " + std::to_string(value));
  return true;
}

std::vector<NamedTensor> training_state(JudgeTraining& training, int64_t steps_done) {
  training.log->sync();
  std::vector<NamedTensor> state = add_prefix("train.", training.adam.state());
  state.push_back({"train.steps_done", full({}, double(steps_done), DType::i64)});
  return state;
}

int64_t load_training_state(const SafetensorsFile& saved, Adam& adam) {
  adam.load_state(saved, "train.");
  return int64_t(saved.at("train.steps_done").item());
}

Metadata unfinished(Metadata facts) {
  facts[kUnfinished] = "true";
  return facts;
}

int say_interrupted(const Common& common, int64_t done, int64_t steps) {
  note(common, concat_message("interrupted: step ", done, " of ", steps, " is saved; go on with --resume"));
  return interrupt_exit_code();
}

}  // namespace echodiff
