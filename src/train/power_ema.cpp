#include "train/power_ema.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "tensor/io/file.h"
#include "tensor/io/lock.h"
#include "tensor/io/text.h"
#include "tensor/ops.h"
#include "train/checkpoint_names.h"

namespace echodiff {
namespace {

std::string folder_of(const std::string& run) { return run + "/ema/"; }
std::string head_of(double length) { return number_text(length) + "."; }

// Of p(s) ~ s^gamma over 0 .. 1.
double length_of_gamma(double gamma) { return std::sqrt((gamma + 1) / ((gamma + 2) * (gamma + 2) * (gamma + 3))); }

// The integral of the product of two profiles, each of integral 1.
double product_of(const PowerProfile& a, const PowerProfile& b) {
  const PowerProfile &early = a.step < b.step ? a : b, &late = a.step < b.step ? b : a;
  return (a.gamma + 1) * (b.gamma + 1) * std::pow(early.step / late.step, late.gamma) /
         ((a.gamma + b.gamma + 1) * late.step);
}

// Adds share * average to `sum`, in double; counters are copied.
void add_share(double share, const std::vector<NamedTensor>& average, std::vector<NamedTensor>& sum) {
  const NoGrad no_grad;
  for (size_t i = 0; i < sum.size(); ++i) {
    Tensor& there = sum[i].tensor;
    const Tensor& own = average[i].tensor;
    there = there.dtype() == DType::i64 ? own : there + own.to(DType::f64) * share;
  }
}

// The averages of kSnapshotLengths[which] in a snapshot.
std::vector<NamedTensor> averages_in(const SafetensorsFile& snapshot, size_t which) {
  std::vector<NamedTensor> found = with_prefix(snapshot.tensors, head_of(kSnapshotLengths[which]));
  check_input(!found.empty(), Fault::kBadInput, snapshot.path, ": holds no average of length ",
              kSnapshotLengths[which]);
  return found;
}

// Zeros of the names and shapes; counters as they are.
std::vector<NamedTensor> zeros_like(std::vector<NamedTensor> tensors) {
  for (NamedTensor& entry : tensors)
    if (entry.tensor.dtype() != DType::i64) entry.tensor = full(entry.tensor.shape(), 0, DType::f64);
  return tensors;
}

void require_same_tensors(const std::vector<NamedTensor>& found, const std::vector<NamedTensor>& expected,
                          const std::string& path) {
  bool same = found.size() == expected.size();
  for (size_t i = 0; same && i < found.size(); ++i)
    same = found[i].name == expected[i].name && found[i].tensor.shape() == expected[i].tensor.shape();
  check_input(same, Fault::kBadInput, path, ": holds other tensors than the snapshots before it; remove it");
}

}  // namespace

double gamma_of_length(double length) {
  check_input(length >= kLeastLength && length <= kLargestLength, Fault::kUsage, "--length: expected ", kLeastLength,
              " to ", kLargestLength, " (share of the steps), found ", length);
  double low = 0, high = 1000;  // the longer, the smaller gamma
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (length_of_gamma(middle) > length ? low : high) = middle;
  }
  return (low + high) / 2;
}

std::vector<double> shares_of(const std::vector<PowerProfile>& kept, const PowerProfile& wanted) {
  const Eigen::Index count = Eigen::Index(kept.size());
  Eigen::MatrixXd among(count, count);
  Eigen::VectorXd with_wanted(count);
  for (Eigen::Index i = 0; i < count; ++i) {
    for (Eigen::Index j = 0; j < count; ++j) among(i, j) = product_of(kept[size_t(i)], kept[size_t(j)]);
    with_wanted(i) = product_of(kept[size_t(i)], wanted);
  }
  const Eigen::VectorXd shares = among.colPivHouseholderQr().solve(with_wanted);
  return {shares.begin(), shares.end()};
}

std::vector<Ema> begin_power_emas(const std::vector<NamedTensor>& online) {
  std::vector<Ema> averages;
  for (const double length : kSnapshotLengths) {
    std::vector<NamedTensor> own;
    for (const NamedTensor& entry : online) own.push_back({entry.name, entry.tensor.clone()});
    EmaOptions options;
    options.power_gamma = gamma_of_length(length);
    averages.emplace_back(online, std::move(own), options);
  }
  return averages;
}

std::vector<NamedTensor> power_ema_state(const std::vector<Ema>& averages) {
  std::vector<NamedTensor> state;
  for (size_t i = 0; i < averages.size(); ++i)
    for (const NamedTensor& entry : add_prefix(head_of(kSnapshotLengths[i]), averages[i].averaged()))
      state.push_back(entry);
  return state;
}

void load_power_emas(const SafetensorsFile& file, const std::string& prefix, int64_t step, std::vector<Ema>& averages) {
  for (size_t i = 0; i < averages.size(); ++i) averages[i].load(file, prefix + head_of(kSnapshotLengths[i]), step);
}

void save_snapshot(const std::string& run, int64_t step, const std::vector<Ema>& averages, const Metadata& metadata) {
  const std::string path = folder_of(run) + checkpoint_name(kSnapshotHead, step);
  std::vector<NamedTensor> tensors = power_ema_state(averages);
  std::vector<StoredType> types;
  for (NamedTensor& entry : tensors) {
    entry.tensor = entry.tensor.to(Device::kCpu);
    const bool counts = entry.tensor.dtype() == DType::i64;
    if (!counts) entry.tensor = nearest_stored(entry.tensor, StoredType::f16, path + ": " + entry.name);
    types.push_back(counts ? StoredType::i64 : StoredType::f16);
  }
  require_finite(tensors, Fault::kInternal, "step " + std::to_string(step) + ", no snapshot of the averages");
  make_directories(folder_of(run));
  write_file_atomic(path, encode_checkpoint(tensors, types, metadata));
}

std::vector<int64_t> snapshots_of(const std::string& run) { return steps_in(kSnapshotHead, folder_of(run)); }

SafetensorsFile read_snapshot(const std::string& run, int64_t step) {
  return read_checkpoint(folder_of(run) + checkpoint_name(kSnapshotHead, step));
}

void forget_snapshots_after(const std::string& run, int64_t step) {
  std::error_code ignored;
  if (std::filesystem::is_directory(folder_of(run), ignored)) sweep_temporaries(folder_of(run));
  for (const int64_t each : snapshots_of(run))
    if (each > step) std::filesystem::remove(folder_of(run) + checkpoint_name(kSnapshotHead, each), ignored);
}

std::vector<NamedTensor> average_of_length(const std::string& run, double length, int64_t step) {
  std::vector<int64_t> steps = snapshots_of(run);
  std::erase_if(steps, [step](int64_t each) { return each >= step; });
  steps.push_back(step);
  std::vector<PowerProfile> kept;
  for (const int64_t each : steps)
    for (const double of : kSnapshotLengths) kept.push_back({double(each), gamma_of_length(of)});
  const std::vector<double> shares = shares_of(kept, {double(step), gamma_of_length(length)});

  std::vector<NamedTensor> sum;
  for (size_t n = 0; n < steps.size(); ++n) {
    const SafetensorsFile snapshot = read_snapshot(run, steps[n]);
    for (size_t which = 0; which < kSnapshotLengths.size(); ++which) {
      const std::vector<NamedTensor> average = averages_in(snapshot, which);
      if (sum.empty()) sum = zeros_like(average);
      require_same_tensors(average, sum, snapshot.path);
      add_share(shares[n * kSnapshotLengths.size() + which], average, sum);
    }
  }
  for (NamedTensor& entry : sum)
    if (entry.tensor.dtype() == DType::f64) entry.tensor = entry.tensor.to(DType::f32);
  return sum;
}

}  // namespace echodiff
