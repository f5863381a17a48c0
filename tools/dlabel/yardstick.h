// What dlabel evaluate holds samples against: real pictures, and those who judge them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "quality/evaluate/distribution.h"
#include "quality/evaluate/texture.h"
#include "quality/judges/scorer.h"
#include "quality/judges/segmenter.h"
#include "train/data/dataset.h"

namespace echodiff {

struct EvaluateSettings {
  std::vector<std::string> samples;
  std::string data, masks, features, segmenter, judge, run, out;
  std::optional<int64_t> image_size, count;
  int64_t neighbours = 5;
  double tau = 0.5, least_dice = 0.6;
  double bin_width = RadiomicOptions{}.bin_width;
  std::string sigmas = "1,2,3";
  bool allow_unfinished = false;  // judges in the midst of their training count too
};

struct Picture {
  std::string file, mask;  // mask: of the data set, that it was drawn from
  GrayImage image;
  GrayImage sector;               // 0 outside; empty where nobody knows it
  std::optional<double> outside;  // energy outside of the sector, where that is known
};
using Pictures = std::vector<Picture>;

std::vector<GrayImage> images_of(const Pictures& pictures);
std::vector<GrayImage> sectors_of(const Pictures& pictures);

// The pictures of all folders, as one run, of the size and fit of `data`. Where the data have no sectors (`whole`), a
// sample's is what `fit` filled of its mask's picture there, and another picture's is all of it.
Pictures read_run(const std::vector<std::string>& folders, const std::string& masks, const Dataset& data, bool whole);

// What every run is held against.
struct Yardstick {
  ResNet18Run network;
  Dataset data;
  std::optional<Dataset> masks;  // where they are not those of the data
  std::optional<Segmenter> segmenter;
  std::optional<Scorer> judge;
  std::string split;         // held out
  bool has_sectors = false;  // the data do
  Pictures held_out, training;

  Rows features(const Pictures& pictures) const { return features_of(network, images_of(pictures)); }
};

// `groups` are the folders of each run. Held out is what the run of the samples held out, as far as anything says which
// that is. Throws Error: kMissingInput, kBadInput, also where there are fewer than `needed` real pictures.
Yardstick load_yardstick(const EvaluateSettings& settings, const Common& common,
                         const std::vector<std::vector<std::string>>& groups, int64_t needed);

}  // namespace echodiff
