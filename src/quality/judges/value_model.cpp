#include "quality/judges/value_model.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "tensor/io/text.h"
#include "tensor/ops.h"
#include "train/metadata.h"
#include "train/run_checkpoint.h"

namespace echodiff {
namespace {

constexpr const char* kKind = "value";
constexpr const char* kCalibration = "calibration";  // (kTimeBins + 1, 2): slope and offset of each bin

constexpr const char* kShift = "log_snr_shift";  // only where the schedule has one

// The embedding takes whole numbers: log-SNR from -20 to 20 in 1000 steps. A finished picture is at the top.
int64_t level_of(double snr) { return std::lround(1000 * (std::clamp(std::log(snr), -20.0, 20.0) + 20) / 40); }

std::variant<ValueNet, ResNet18> make_network(const ValueOptions& options, uint64_t seed) {
  if (options.architecture == "film")
    return ValueNet({.in_channels = 1 + options.planes, .width = options.width}, seed);
  return ResNet18({.in_channels = 1 + options.planes, .width = options.width}, seed);
}

template <class T> void check_choice(const char* what, const T& value, std::initializer_list<T> choices) {
  check_input(std::find(choices.begin(), choices.end(), value) != choices.end(), Fault::kUsage, "value model: ", what,
              ": found '", value, "'");
}

}  // namespace

ValueModel::ValueModel(const ValueOptions& options, uint64_t seed)
    : options_(options), network_(make_network(options, seed)), calibration_(kTimeBins + 1) {
  check_choice<std::string>("architecture: expected film or resnet18", options.architecture, {"film", "resnet18"});
  check_choice<std::string>("on: expected x0hat, xt or x0", options.on, {"x0hat", "xt", "x0"});
  levels_.push_back(level_of(std::exp(20.0)));
  const Schedule schedule = make_schedule(options.schedule, options.T, options.log_snr_shift);
  for (const double snr : schedule.snr) levels_.push_back(level_of(snr));
}

Module& ValueModel::network() {
  return std::visit([](auto& network) -> Module& { return network; }, network_);
}

void ValueModel::to(Device device) {
  device_ = device;
  network().to(device);
}

int64_t ValueModel::bin_of(int64_t t) const {
  check(t >= -1 && t < options_.T, "value model: t = ", t, " is not in -1..", options_.T - 1);
  return t < 0 ? kTimeBins : t * kTimeBins / options_.T;
}

Tensor ValueModel::logits(const Tensor& images, const Tensor& t, const Tensor& condition) const {
  const Tensor shown = options_.planes > 0 ? concat({images, condition}, 1) : images;  // (N, 1 + planes, H, W)
  const bool rounded = bf16_ && std::visit([](const auto& network) { return network.training(); }, network_);
  const Tensor x = cast(shown.to(device_), rounded ? DType::bf16 : DType::f32);
  if (const ResNet18* resnet = std::get_if<ResNet18>(&network_)) return cast((*resnet)(x), DType::f32);
  Tensor level = empty({t.dim(0)}, DType::i64);
  for (int64_t i = 0; i < t.dim(0); ++i) {
    const int64_t time = t.data<int64_t>()[i];
    check(time >= -1 && time < options_.T, "value model: t = ", time, " is not in -1..", options_.T - 1);
    level.mutable_data<int64_t>()[i] = levels_[size_t(time + 1)];
  }
  return cast(std::get<ValueNet>(network_)(x, level.to(device_)), DType::f32);
}

std::vector<double> ValueModel::score(const Tensor& images, const Tensor& t, const Tensor& condition) const {
  const int64_t size = options_.image_size;
  check_input(images.rank() == 4 && images.dim(1) == 1 && images.dim(2) == size && images.dim(3) == size,
              Fault::kBadInput, "the value model was trained on ", size, "x", size, " pictures, got ", images.shape(),
              "; train one with dtrain value on recordings of this size");
  check_input(options_.planes == 0 || (condition.rank() == 4 && condition.dim(1) == options_.planes), Fault::kBadInput,
              "the value model was trained with ", options_.planes, " planes, got ", condition.shape(),
              "; train one with dtrain value on recordings of these masks");
  for (int64_t i = 0; i < t.count(); ++i)
    check_input(t.data<int64_t>()[i] < options_.T, Fault::kBadInput, "the value model was trained on ", options_.T,
                " time steps, got t = ", t.data<int64_t>()[i],
                "; train one with dtrain value on recordings of this schedule");
  const NoGrad no_grad;
  std::vector<double> scores = logits(images, t, condition).to_vector();
  for (size_t i = 0; i < scores.size(); ++i)
    scores[i] = calibration_[size_t(bin_of(t.data<int64_t>()[i]))].probability(scores[i]);
  return scores;
}

std::string ValueModel::save(const std::string& run, int64_t step, const std::vector<NamedTensor>& training,
                             Metadata metadata) {
  metadata["kind"] = kKind;
  metadata["architecture"] = options_.architecture;
  metadata["on"] = options_.on;
  metadata["image_size"] = std::to_string(options_.image_size);
  metadata["planes"] = std::to_string(options_.planes);
  metadata["width"] = std::to_string(options_.width);
  metadata["schedule"] = name_of(options_.schedule);
  if (options_.log_snr_shift != 0) metadata[kShift] = number_text(options_.log_snr_shift);
  metadata["timesteps"] = std::to_string(options_.T);
  metadata["step"] = std::to_string(step);
  std::vector<double> numbers;
  for (const Platt& platt : calibration_) numbers.insert(numbers.end(), {platt.slope, platt.offset});
  std::vector<NamedTensor> tensors = network().state_dict();
  tensors.push_back({kCalibration, from_vector({kTimeBins + 1, 2}, numbers)});
  tensors.insert(tensors.end(), training.begin(), training.end());
  return save_checkpoint(run, step, tensors, metadata, 2);
}

void ValueModel::load(const SafetensorsFile& file) {
  std::vector<NamedTensor> weights = raw_weights(file.tensors);
  std::erase_if(weights, [](const NamedTensor& tensor) { return tensor.name == kCalibration; });
  network().load_state_dict(weights);
  const Tensor& numbers = file.at(kCalibration);
  check_input(numbers.shape() == Shape{kTimeBins + 1, 2}, Fault::kBadInput, kCalibration, ": expected (", kTimeBins + 1,
              ", 2), found ", numbers.shape());
  const std::vector<double> values = numbers.to_vector();
  for (size_t i = 0; i < calibration_.size(); ++i) calibration_[i] = {values[2 * i], values[2 * i + 1]};
}

ValueOptions value_options(const Metadata& metadata, const std::string& path) {
  const MetadataReader read(metadata, path, "expected a run of dtrain value");
  check_input(read.text("kind") == kKind, Fault::kBadInput, path, ": expected a run of dtrain value, found kind ",
              read.text("kind"));
  try {
    return {.architecture = read.text("architecture"),
            .on = read.text("on"),
            .image_size = read.integer("image_size", 8, 1024),
            .planes = read.integer("planes", 0, 1024),
            .width = read.integer("width", 1, 1024),
            .schedule = parse_schedule(read.text("schedule")),
            .log_snr_shift = read.has(kShift) ? read.real(kShift) : 0.0,
            .T = read.integer("timesteps", 1, 1000000)};
  } catch (const Error& error) {
    throw Error(Fault::kBadInput, error.what());
  }
}

bool is_value_run(const std::string& run) {
  const std::string path = run_checkpoint(run);
  if (path.empty()) return false;
  const Metadata metadata = read_checkpoint(path).metadata;
  const Metadata::const_iterator kind = metadata.find("kind");
  return kind != metadata.end() && kind->second == kKind;
}

ValueModel load_value_run(const std::string& run, bool allow_unfinished) {
  const std::string path = run_checkpoint(run);
  check_input(!path.empty(), Fault::kMissingInput, run,
              ": no value model's checkpoint there; train one with dtrain value into ", run);
  const SafetensorsFile file = read_checkpoint(path);
  const ValueOptions options = value_options(file.metadata, path);
  require_finished(file, allow_unfinished);
  try {
    ValueModel model(options, 0);
    model.load(file);
    model.network().eval();
    return model;
  } catch (const Error& error) {
    throw Error(Fault::kBadInput, path + ": " + error.what());
  }
}

}  // namespace echodiff
