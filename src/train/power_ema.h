// Which length of average suits a network is known after the run only. So a run keeps snapshots of two averages, and
// one of any length is made from them. Karras et al. 2024 (EDM2), arXiv:2312.02696, section 3 and its appendix C.
//
//   average at step t = sum over steps s <= t of p(s) theta(s),   p(s) ~ s^gamma
//   its length (sigma_rel there) is the standard deviation of p over t: .1 after 10,000 steps is 1,000 steps
//
//   RUN/ema/snapshot-00001000.safetensors   0.05.NAME and 0.1.NAME: the averages of these lengths, in half precision
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "train/checkpoint.h"
#include "train/ema.h"

namespace echodiff {

constexpr std::array<double, 2> kSnapshotLengths{0.05, 0.1};
constexpr double kLeastLength = 0.01, kLargestLength = 0.28;  // gamma 97.5 and 0.05; .289 weighs all steps alike

// The exponent of the profile of this length. Throws Error(kUsage) unless kLeastLength <= length <= kLargestLength.
double gamma_of_length(double length);

// One average of p(s) ~ s^gamma over the steps up to `step`.
struct PowerProfile {
  double step, gamma;
};
// The shares of the kept averages whose sum is nearest to the wanted one: least squares over the profiles.
std::vector<double> shares_of(const std::vector<PowerProfile>& kept, const PowerProfile& wanted);

// The averages of kSnapshotLengths beside a network in training; tensors of their own.
std::vector<Ema> begin_power_emas(const std::vector<NamedTensor>& online);
// As a checkpoint holds them, NAME after "0.05." and "0.1."; goes on from there after `step` updates, `prefix` before
// the names. Throws Error(kBadInput) for a missing or misshapen tensor.
std::vector<NamedTensor> power_ema_state(const std::vector<Ema>& averages);
void load_power_emas(const SafetensorsFile& file, const std::string& prefix, int64_t step, std::vector<Ema>& averages);

// Writes a snapshot, whole or not at all. Throws Error as save_checkpoint does; kBadInput for a weight above 65,504.
void save_snapshot(const std::string& run, int64_t step, const std::vector<Ema>& averages, const Metadata& metadata);
// The steps of a run's snapshots, ascending.
std::vector<int64_t> snapshots_of(const std::string& run);
// Throws Error as read_checkpoint does: kMissingInput without one of that step.
SafetensorsFile read_snapshot(const std::string& run, int64_t step);
// Removes those of more than `step` steps, which a run that goes on from there has not had.
void forget_snapshots_after(const std::string& run, int64_t step);

// The average of `length` at `step`, from the run's snapshots up to there; counters as the last one has them. Throws
// Error: kUsage for a length; as read_snapshot; kBadInput for snapshots of different networks.
std::vector<NamedTensor> average_of_length(const std::string& run, double length, int64_t step);

}  // namespace echodiff
