#include "dtrain/diffusion_validation.h"

#include <limits>

#include "tensor/io/text.h"
#include "train/best_checkpoint.h"
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

}  // namespace

void begin_validations(DiffusionTraining& training, const std::optional<SafetensorsFile>& saved) {
  const std::string& run = training.flags.out;
  training.watch.of = validated_on(training);
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
  if (!logged) log.write(done, {{"val_loss", validation.loss}, {"val_bins", validation.bins}});
  ValidationWatch watch = training.watch;
  watch.add_loss(done, validation.loss);
  const bool better = validation.loss < watch.kept.value_or(std::numeric_limits<double>::infinity());
  if (better && keep_best(training, watch, validation.loss)) watch.kept = validation.loss;
  training.watch = watch;  // last: what a signal breaks off is done again
}

}  // namespace echodiff
