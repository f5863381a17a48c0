#include "dtrain/diffusion_training.h"

#include "dtrain/diffusion_validation.h"
#include "dtrain/init.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"
#include "tensor/ops.h"
#include "train/best_checkpoint.h"
#include "train/checkpoint.h"
#include "train/content_hash.h"
#include "train/power_ema.h"

namespace echodiff {
namespace {

constexpr const char* kPowerPrefix = "train.power.";  // of the averages in a checkpoint

// The flags with one value replaced by what the data or --init said, so that --config gives the same run again.
std::string with_value(std::string toml, const std::string& key, const std::string& value) {
  for (const std::string& start : {"\n" + key + " = ", "\n# " + key + ": "}) {  // the second: unset
    const size_t at = toml.find(start);
    if (at != std::string::npos)
      return toml.replace(at, toml.find('\n', at + 1) - at, concat_message("\n", key, " = ", value));
  }
  return toml;
}

void describe(DiffusionTraining& training) {
  const DenoiserOptions& net = training.run.options;
  note(training.common,
       concat_message(net.architecture, " U-Net, dim ", net.dim, ", mults ", join(net.mults),
                      net.patch > 1 ? concat_message(", patches of ", net.patch) : "",
                      net.patch_basis == "haar" ? " in Haar's basis" : "", ", masks ", join(training.run.planes),
                      " by ", net.condition, ": ", training.network.parameter_count(), " parameters"));
  if (!training.flags.print_summary) return;
  for (const auto& [name, tensor] : training.parameters)
    note(training.common, concat_message(name, "  ", tensor.shape(), "  ", tensor.count()));
}

// Of a replay's first batch: the file may grow while a run goes on.
std::string hash_of_first(const Replay& replay) {
  const Batch first = replay.batch(0);
  ContentHash hash;
  for (const Tensor& part : {first.x_0, first.condition, replay.noise(0)}) hash.add(part);
  return hash.text();
}

// What is said of the data, of the network and of what is looked at on the way decides no bits, or the checkpoint knows
// better: what it says of its network and schedule holds where no flag says otherwise.
const std::set<std::string> kApart{
    "data",      "init",      "replay",      "planes",    "image-size",   "steps",          "epochs",
    "seed",      "fit",       "timesteps",   "schedule",  "predict",      "schedule-shift", "variance",
    "arch",      "dim",       "mults",       "condition", "heads",        "head-dim",       "attention-resolutions",
    "patch",     "blocks",    "patch-basis", "dropout",   "sample-every", "sample-count",   "sample-steps",
    "val-every", "val-count", "stop-on",     "patience",  "copy-limit",   "copy-count",     "print-summary"};

// The flags and data that decide the bits, beside the network and its schedule.
Metadata facts_of(const DiffusionTraining& training) {
  const DiffusionFlags& flags = training.flags;
  Metadata facts = training_facts(training.common, kApart);
  facts["training.data"] =
      training.data.dataset ? content_hash(*training.data.dataset) : hash_of_first(*training.data.replay);
  if (flags.learning_rate.cosine) facts["training.steps"] = std::to_string(training.steps);
  facts["seed"] = std::to_string(training.common.seed);
  return facts;
}

// Takes over what the checkpoint holds. Returns the steps it has had.
int64_t go_on(const SafetensorsFile& saved, DiffusionTraining& training) {
  Metadata network = to_metadata(training.run);
  // What an imported network was trained on has no names here, and it takes pictures of any size.
  if (saved.metadata.contains("imported"))
    for (const char* key : {"planes", "image_size"}) network.erase(key);
  require_same_facts(saved, network, training.facts, training.flags.resume, training.common);
  training.network.load_state_dict(raw_weights(saved.tensors));
  training.optimizer.load_state(saved, "train.");
  training.ema.load(saved, "ema.", int64_t(saved.at("train.ema_step").item()));
  const int64_t steps_done = int64_t(saved.at("train.steps_done").item());
  for (const NamedTensor& kept : add_prefix(kPowerPrefix, power_ema_state(training.power_emas)))
    check_input(saved.contains(kept.name), Fault::kUsage, "--ema-snapshots: ", saved.path,
                " has no averages to go on with; a run has them from its first step");
  load_power_emas(saved, kPowerPrefix, steps_done, training.power_emas);
  forget_snapshots_after(training.flags.out, steps_done);
  return steps_done;
}

}  // namespace

int64_t total_steps(const DiffusionFlags& flags, const DiffusionData& data) {
  if (data.replay) {
    const int64_t steps = flags.steps.value_or(data.replay->steps());
    check_input(steps <= data.replay->steps(), Fault::kUsage, "--steps: the replay holds ", data.replay->steps(),
                " steps, found ", steps);
    return steps;
  }
  const int64_t pictures_a_step = flags.batch * flags.accumulate;
  const int64_t samples = flags.epochs.value_or(200) * data.training->size();
  return flags.steps.value_or((samples + pictures_a_step - 1) / pictures_a_step);
}

std::string config_text(DiffusionTraining& training) {
  const DenoiserOptions& net = training.run.options;
  std::string toml = with_value("\n" + unbroken_toml(training.common), "arch", toml_string(net.architecture));
  toml = with_value(toml, "dim", std::to_string(net.dim));
  toml = with_value(toml, "blocks", std::to_string(net.blocks));
  toml = with_value(toml, "condition", toml_string(net.condition));
  if (!net.attention_resolutions.empty())
    toml = with_value(toml, "attention-resolutions", toml_string(join(net.attention_resolutions)));
  toml = with_value(toml, "mults", toml_string(join(net.mults)));
  toml = with_value(toml, "patch", std::to_string(net.patch));
  toml = with_value(toml, "patch-basis", toml_string(net.patch_basis));
  toml = with_value(toml, "heads", std::to_string(net.heads));
  toml = with_value(toml, "head-dim", std::to_string(net.head_dim));
  toml = with_value(toml, "image-size", std::to_string(training.run.image_size));
  toml = with_value(toml, "schedule", toml_string(name_of(training.run.schedule)));
  const double base = base_of_shift(training.run.log_snr_shift, training.run.image_size);
  toml = with_value(toml, "schedule-shift", number_text(base));
  toml = with_value(toml, "predict", toml_string(name_of(training.run.prediction)));
  toml = with_value(toml, "timesteps", std::to_string(training.run.T));
  toml = with_value(toml, "fit", toml_string(name_of(training.run.fit)));
  return toml.substr(1) + "\n[resolved]\n" + toml_text_line("planes", join(training.run.planes)) +
         toml_line("steps", std::to_string(training.steps)) +
         toml_line("parameters", std::to_string(training.network.parameter_count()));
}

DiffusionTraining begin_training(const DiffusionFlags& flags, const Common& common, const DiffusionData& data,
                                 DenoiserRun run, const StateDict& initial, int64_t steps, Communicator& ranks) {
  const std::optional<SafetensorsFile> saved = checkpoint_to_resume(flags.out, flags.resume);
  if (saved) {
    check_input(saved->contains("train.step"), Fault::kBadInput, saved->path,
                ": holds weights alone, no training state to go on from; begin a new run with --init ", flags.out);
    const DenoiserRun saved_run = denoiser_run(saved->metadata, saved->path);
    adopt_saved_network(saved_run, common, &run);
    if (!common.given("--variance")) run.variance = saved_run.variance;
  }
  const Device device = parse_device(common.device);
  Denoiser network(run.options, common.seed), averaged(run.options, common.seed);
  for (Denoiser* each : {&network, &averaged}) {
    each->to(device);
    each->use_bf16(common.bf16);
  }
  if (!initial.empty()) network.load_state_dict(initial);
  averaged.eval();
  const std::vector<NamedTensor> parameters = network.parameters();
  Adam optimizer(parameters, flags.adam());
  Ema ema(network.state_dict(), averaged.state_dict(), flags.ema);
  const Schedule schedule = schedule_of(run);
  DiffusionTraining training{flags,
                             common,
                             data,
                             steps,
                             0,
                             flags.learning_rate,
                             run,
                             schedule,
                             device,
                             std::move(network),
                             std::move(averaged),
                             parameters,
                             std::move(optimizer),
                             std::move(ema),
                             {},
                             {},
                             {},
                             {},
                             {},
                             ranks};
  training.rates.total = steps;
  training.facts = facts_of(training);
  if (flags.ema_snapshots > 0) training.power_emas = begin_power_emas(training.network.state_dict());
  if (saved) training.first_step = go_on(*saved, training);
  begin_validations(training, saved);
  if (saved && reason_to_stop(training).empty())
    note(common, concat_message("going on after step ", training.first_step, " of ", steps));
  describe(training);
  return training;
}

Metadata metadata_of(const DiffusionTraining& training, const ValidationWatch& watch, int64_t steps_done) {
  Metadata metadata = to_metadata(training.run);
  metadata.insert(training.facts.begin(), training.facts.end());
  metadata.merge(to_metadata(watch));
  metadata["step"] = std::to_string(steps_done);
  return metadata;
}

std::vector<NamedTensor> saved_tensors(DiffusionTraining& training, int64_t steps_done) {
  std::vector<NamedTensor> tensors = training.network.state_dict();
  for (const NamedTensor& tensor : add_prefix("ema.", training.ema.averaged())) tensors.push_back(tensor);
  for (const NamedTensor& tensor : add_prefix("train.", training.optimizer.state())) tensors.push_back(tensor);
  for (const NamedTensor& tensor : add_prefix(kPowerPrefix, power_ema_state(training.power_emas)))
    tensors.push_back(tensor);
  tensors.push_back({"train.ema_step", full({}, double(training.ema.step()), DType::i64)});
  tensors.push_back({"train.steps_done", full({}, double(steps_done), DType::i64)});
  return tensors;
}

void save(DiffusionTraining& training, PatientLog& log, int64_t steps_done) {
  log.sync();
  save_checkpoint(training.flags.out, steps_done, saved_tensors(training, steps_done),
                  metadata_of(training, training.watch, steps_done), training.flags.keep);
  prune_best(training.flags.out);
}

bool done_or_warned(const Common& common, const std::string& what, const std::function<void()>& write) {
  try {
    write();
    return true;
  } catch (const Error& error) {
    if (error.fault() != Fault::kIo && error.fault() != Fault::kCannotCreate) throw;
    note(common, concat_message("warning: ", what, ": ", error.what(), "; training goes on"));
    return false;
  }
}

void snapshot_or_warn(const DiffusionTraining& training, int64_t steps_done) {
  if (training.power_emas.empty()) return;
  done_or_warned(training.common, concat_message("no snapshot of the averages at step ", steps_done), [&] {
    save_snapshot(training.flags.out, steps_done, training.power_emas,
                  metadata_of(training, training.watch, steps_done));
  });
}

void save_or_warn(DiffusionTraining& training, PatientLog& log, int64_t steps_done) {
  done_or_warned(training.common, concat_message("step ", steps_done, " is not saved"),
                 [&] { save(training, log, steps_done); });
}

}  // namespace echodiff
