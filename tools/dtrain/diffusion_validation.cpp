#include "dtrain/diffusion_validation.h"

#include <limits>

#include "tensor/io/text.h"
#include "train/best_checkpoint.h"
#include "train/data/grid.h"
#include "train/validation.h"

namespace echodiff {
namespace {

// What tells that two validation losses compare.
std::string validated_on(const DiffusionTraining& training) {
  return concat_message(training.facts.at("training.data"), " seed ", training.common.seed, " pictures ",
                        training.flags.val_count);
}

// A full disk keeps the older best one, and training goes on.
bool keep_best(const DiffusionTraining& training, const ValidationWatch& watch, double loss) {
  Metadata metadata = metadata_of(training, watch, watch.step);
  metadata[kValidationLoss] = number_text(loss);
  return done_or_warned(training.common, concat_message("step ", watch.step, " is not kept as the best"),
                        [&] { save_best(training.flags.out, watch.step, training.ema.averaged(), metadata); });
}

// Of a few pictures that the averaged network draws now, the same noise and masks each time.
std::optional<double> share_of_copies(const DiffusionTraining& training) {
  if (!training.copies) return std::nullopt;
  const DiffusionFlags& flags = training.flags;
  const Loader& held_out = *training.data.held_out;
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < flags.copy_count; ++i) indices.push_back(i % held_out.size());
  const Tensor condition = held_out.gather(indices).condition.to(training.device);
  const Tensor drawn = sample_grid(training.averaged, training.schedule, training.run.prediction, condition,
                                   training.common.seed, flags.sample_steps);
  std::vector<GrayImage> samples;
  for (int64_t n = 0; n < flags.copy_count; ++n) samples.push_back(gray_image(drawn, n));
  return training.copies->share(samples);
}

}  // namespace

void begin_validations(DiffusionTraining& training, const std::optional<SafetensorsFile>& saved) {
  const std::string& run = training.flags.out;
  training.watch.of = validated_on(training);
  if (training.flags.stop_on != "never")
    check_input(training.data.held_out->size() > 0, Fault::kBadInput, training.flags.data,
                ": expected held-out pictures (split val), which --stop-on looks at, found none");
  if (training.flags.stop_on == "copies") training.copies.emplace(*training.data.dataset);
  if (saved) training.watch = validation_watch(saved->metadata, saved->path, training.watch.of);
  forget_best_after(run, training.first_step);
  const std::string best = best_checkpoint(run);
  if (best.empty()) return;
  const SafetensorsFile file = read_checkpoint(best);
  if (validation_watch(file.metadata, best, training.watch.of).step == 0) return;  // of other pictures
  training.watch.kept = MetadataReader(file.metadata, best, "remove this file").real(kValidationLoss);
}

void validate_now(DiffusionTraining& training, PatientLog& log, int64_t done, bool logged) {
  const std::optional<Loader>& held_out = training.data.held_out;
  if (!held_out || held_out->size() == 0) return;
  const Validation validation = validate(training.averaged, training.schedule, training.run.prediction, *held_out,
                                         training.common.seed, training.flags.val_count);
  ValidationWatch watch = training.watch;
  watch.copies = share_of_copies(training);
  LogFields line{{"val_loss", validation.loss}, {"val_bins", validation.bins}};
  if (watch.copies) line.push_back({"copies", *watch.copies});
  if (!logged) log.write(done, line);
  watch.add_loss(done, validation.loss);
  const bool better = validation.loss < watch.kept.value_or(std::numeric_limits<double>::infinity());
  if (better && keep_best(training, watch, validation.loss)) watch.kept = validation.loss;
  training.watch = watch;  // last: what a signal breaks off is done again
}

std::string reason_to_stop(const DiffusionTraining& training) {
  const DiffusionFlags& flags = training.flags;
  const ValidationWatch& watch = training.watch;
  if (flags.stop_on == "val" && watch.since >= flags.patience && watch.least)
    return concat_message("the validation loss of step ", watch.least_step, " (", *watch.least,
                          ") is the least, and the ", watch.since, " after it are no lower");
  if (flags.stop_on == "copies" && watch.copies.value_or(0) > flags.copy_limit)
    return concat_message("of the samples at step ", watch.step, " a share of ", *watch.copies,
                          " are copies of training pictures, above --copy-limit ", flags.copy_limit);
  return "";
}

}  // namespace echodiff
