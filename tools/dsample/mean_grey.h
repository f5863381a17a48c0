// The mean grey of samples beside that of real pictures of the same masks, 0..255, inside of the sector: what a start
// below T - 1 spoils first (quality/sampling/mean_start.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "dsample/setup.h"

namespace echodiff {

// condition (1, P, H, W), the sector last. NaN for an empty sector.
double mean_grey(const GrayImage& image, const Tensor& condition);

class MeanGrey {
 public:
  // Real pictures are those of `folder`, a data set: "" or one that lacks some of them leaves them unknown.
  MeanGrey(const std::string& folder, const Conditions& conditions, const DenoiserRun& run);
  // `pictures` are theirs, one a mask.
  MeanGrey(const std::vector<Tensor>& masks, const std::vector<GrayImage>& pictures);

  void add(const SampleRecord& record);  // counts where it is kept
  // Nothing for no kept picture. The data's is weighted as the samples' masks are.
  std::optional<double> of_samples() const;
  std::optional<double> of_data() const;
  // How far apart the two may be by chance, at 95 %: real pictures of one mask differ too. Infinite for one mask.
  double by_chance() const;
  // One line, and a warning where they are more than 5 grey levels apart, and more than chance allows. `draws`: of the
  // mean start.
  void tell(const Common& common, const std::string& out, int64_t draws) const;

 private:
  const std::vector<Tensor>& masks_;
  std::vector<double> real_;      // of each mask; empty where some are not known
  std::vector<double> sums_;      // of each mask's samples
  std::vector<int64_t> samples_;  // how many
};

}  // namespace echodiff
