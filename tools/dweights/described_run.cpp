#include "dweights/described_run.h"

#include <cmath>
#include <optional>

#include "diffusion/schedule.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"

namespace echodiff {
namespace {

const Tensor* buffer_of(const DenoiserImport& import, const std::string& name) {
  for (const NamedTensor& entry : import.buffers)
    if (entry.name == name && entry.tensor.rank() == 1) return &entry.tensor;
  return nullptr;
}

// The library keeps its tables in float32, and worked them out in it or in float64.
bool same_table(const std::vector<double>& ours, const std::vector<double>& theirs) {
  if (ours.size() != theirs.size()) return false;
  for (size_t i = 0; i < ours.size(); ++i)
    if (!(std::abs(ours[i] - theirs[i]) <= 1e-5 * std::abs(ours[i]) + 1e-9)) return false;
  return true;
}

// Our schedule of these betas, with that shift. Throws Error(kUsage) where they are one of ours without it.
std::optional<ScheduleKind> schedule_of(const std::vector<double>& betas, double shift, const std::string& path) {
  const int64_t T = int64_t(betas.size());
  for (const ScheduleKind kind : {ScheduleKind::linear, ScheduleKind::cosine, ScheduleKind::sigmoid}) {
    if (same_table(make_schedule(kind, T, shift).betas, betas)) return kind;
    check_input(shift == 0 || !same_table(make_schedule(kind, T).betas, betas), Fault::kUsage,
                "--schedule-shift: the betas in ", path, " are those of schedule ", name_of(kind),
                " without a shift; leave it out");
  }
  return std::nullopt;
}

// What the file tells of its training; the rest is asked for, or assumed.
struct Told {
  std::optional<int64_t> timesteps;
  std::optional<ScheduleKind> schedule;
  std::optional<Prediction> prediction;
};

// The buffers of GaussianDiffusion: T, the schedule by its betas, the prediction by the weight of its loss.
Told read_buffers(const DenoiserImport& import, double shift, const std::string& path) {
  Told told;
  const Tensor* betas = buffer_of(import, "betas");
  if (betas == nullptr || betas->count() == 0) return told;
  told.timesteps = betas->count();
  told.schedule = schedule_of(betas->to_vector(), shift, path);
  const Tensor* weight = buffer_of(import, "loss_weight");
  if (!told.schedule || weight == nullptr) return told;
  const Schedule schedule = make_schedule(*told.schedule, *told.timesteps, shift);
  std::vector<double> eps, x0 = schedule.snr, v;
  for (const double snr : schedule.snr) {
    eps.push_back(1);
    v.push_back(snr / (snr + 1));
  }
  const std::vector<double> given = weight->to_vector();
  for (const auto& [prediction, table] : {std::pair{Prediction::eps, eps}, {Prediction::x0, x0}, {Prediction::v, v}})
    if (same_table(table, given)) told.prediction = prediction;
  return told;
}

// The scheduler that diffusers saved beside the network.
Told read_scheduler(const DiffusersScheduler& scheduler, const ImportCommand& flags, double shift,
                    const std::string& path) {
  Told told;
  told.timesteps = int64_t(scheduler.betas.size());
  told.schedule = schedule_of(scheduler.betas, shift, path);
  check_input(told.schedule || flags.schedule != "file", Fault::kBadInput, path, ": ", scheduler.betas_are,
              ": expected the betas of our schedule linear (0.0001 to 0.02 at 1000 steps, times 1000 / T), cosine or "
              "sigmoid, found others; choose the nearest by --schedule and train on");
  told.prediction = parse_prediction(scheduler.prediction);
  return told;
}

// As the flags say, or the file, made a multiple of what the network halves.
int64_t image_size_of(const ImportCommand& flags, const DenoiserImport& import) {
  const int64_t levels = int64_t(import.options.mults.size()), factor = import.options.patch << (levels - 1);
  const int64_t said = flags.image_size.value_or(import.image_size > 0 ? import.image_size : 64);
  const int64_t size = flags.image_size ? said : (said + factor - 1) / factor * factor;
  check_input(size % factor == 0, Fault::kUsage, "--image-size: expected a multiple of ", factor, " for a network of ",
              levels, " levels, found ", size);
  return size;
}

}  // namespace

DenoiserRun describe_run(const ImportCommand& flags, const DenoiserImport& import, const Common& common) {
  DenoiserRun run;
  run.options = import.options;
  if (import.scheduler) run.variance = import.scheduler->variance;
  run.image_size = run.options.image_size = image_size_of(flags, import);
  run.log_snr_shift = log_snr_shift(flags.schedule_shift, run.image_size);
  Told told = import.scheduler ? read_scheduler(*import.scheduler, flags, run.log_snr_shift, import.scheduler_path)
                               : read_buffers(import, run.log_snr_shift, flags.file);
  if (flags.timesteps) told.timesteps = flags.timesteps;
  if (flags.schedule != "file") told.schedule = parse_schedule(flags.schedule);
  if (flags.predict != "file") told.prediction = parse_prediction(flags.predict);
  run.T = told.timesteps.value_or(1000);
  run.schedule = told.schedule.value_or(ScheduleKind::linear);
  run.prediction = told.prediction.value_or(Prediction::eps);
  std::vector<std::string> assumed;
  if (!told.timesteps) assumed.push_back(concat_message("--timesteps ", run.T));
  if (!told.schedule) assumed.push_back("--schedule " + name_of(run.schedule));
  if (!told.prediction) assumed.push_back("--predict " + name_of(run.prediction));
  if (!assumed.empty()) note(common, "the file doesn't say, so assumed: " + join(assumed, ", "));
  if (import.scheduler)
    note(common, concat_message(import.scheduler_path, ": --timesteps ", run.T, ", --schedule ", name_of(run.schedule),
                                ", --predict ", name_of(run.prediction)));
  if (run.options.learned_variance)
    run.variance = "learned";
  else if (run.variance == "learned")
    run.variance = "posterior";  // what the network's outputs say goes before a scheduler for another
  if (flags.planes.empty()) {
    for (int64_t p = 1; p < run.options.planes; ++p) run.planes.push_back("plane_" + std::to_string(p));
    if (run.options.planes > 0) run.planes.push_back("sector");
  } else {
    run.planes = split(flags.planes);
    check_input(int64_t(run.planes.size()) == run.options.planes, Fault::kUsage, "--planes: the network has ",
                run.options.planes, " mask planes, found ", run.planes.size(), " names");
  }
  return run;
}

std::string config_text(const DenoiserRun& run, const DenoiserImport& import) {
  const DenoiserOptions& net = run.options;
  const auto whole = [](const char* key, int64_t value) { return toml_line(key, std::to_string(value)); };
  std::string text = toml_text_line("arch", net.architecture) + toml_text_line("condition", net.condition) +
                     whole("dim", net.dim) + whole("patch", net.patch) + toml_text_line("mults", join(net.mults)) +
                     whole("blocks", net.blocks) + whole("heads", net.heads) + whole("head-dim", net.head_dim);
  if (net.patch_basis != "shuffle") text += toml_text_line("patch-basis", net.patch_basis);
  if (!net.attention_resolutions.empty())
    text += toml_text_line("attention-resolutions", join(net.attention_resolutions));
  text += whole("timesteps", run.T) + toml_text_line("schedule", name_of(run.schedule));
  if (run.log_snr_shift != 0)
    text += toml_line("schedule-shift", number_text(base_of_shift(run.log_snr_shift, run.image_size)));
  text += toml_text_line("predict", name_of(run.prediction)) + whole("image-size", run.image_size);
  const auto setting = [&](const char* name) -> const double* {
    const auto found = import.adam_settings.find(name);
    return found == import.adam_settings.end() || !std::isfinite(found->second) ? nullptr : &found->second;
  };
  for (const auto& [flag, name] : {std::pair{"lr", "lr"}, {"eps", "eps"}, {"weight-decay", "weight_decay"}})
    if (const double* value = setting(name)) text += toml_line(flag, number_text(*value));
  if (setting("betas.0") && setting("betas.1"))
    text += toml_line("betas", toml_array({number_text(*setting("betas.0")), number_text(*setting("betas.1"))}));
  return text + "\n[resolved]\n" + toml_text_line("planes", join(run.planes)) + whole("step", import.step);
}

}  // namespace echodiff
