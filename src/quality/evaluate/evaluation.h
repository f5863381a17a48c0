// evaluation.json: sampling runs against held-out real pictures. Keys are the members' names where no comment says
// otherwise; folders and files are named relative to the file's folder.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "quality/evaluate/texture.h"
#include "quality/statistics/estimates.h"

namespace echodiff {

// What isn't measured is NaN, or a share of n = 0; null in the file. An Estimate is {"value", "low", "high"}, a
// Proportion {"k", "n", "fraction", "low", "high"}.
struct MaskAgreement {                                    // Dice, as a segmenter sees it
  Estimate mean;                                          // over pictures, of a picture over its classes
  std::vector<std::pair<std::string, Estimate>> classes;  // {"liver": Estimate, ..}
};

struct EvaluatedPart {
  int64_t n = 0;
  Estimate kid, fid;  // against the held-out pictures; FID shrinks as n grows: compare equal n only
  Proportion precision;
  Estimate density;             // like precision, of the samples
  Proportion recall, coverage;  // of the held-out pictures
  Estimate outside_energy;      // mean share of energy outside of the sector
  Texture texture;              // power_over_real: lists; mean_grey_minus_real and so on beside mean_grey
};

struct MemorisedPair {
  std::string file, training;  // a path; a name in the data set's images/
  double distance = 0;
};

struct EvaluatedRun : EvaluatedPart {
  std::vector<std::string> folders;  // "samples"; several: runs that differ in seed, taken as one
  Estimate kid_minus_first;          // its KID less that of the first run; none for the first itself
  Proportion judged_good;            // the judge scores tau or more
  Proportion copies;                 // nearer to a training picture than copy_distance
  double median_nearest = kNotGiven;
  Estimate closer_than_held_out;     // chance that a sample is nearer to the training set than a held-out picture is
  std::vector<MemorisedPair> pairs;  // the nearest, nearest first
  Proportion distinct;               // near-duplicates within the run count once
  Proportion copied_detail;          // shares more detail with a training picture than copy_detail
  MaskAgreement agreement;           // "dice", with the masks they were drawn from
};
std::string name_of(const EvaluatedRun& run);  // its folders: "probe-101, probe-102"

struct Evaluation {
  std::string path;      // of the file; not in it
  std::string features;  // "features": {"run", "count", "channels", "size"}: of features_of
  int64_t feature_count = 0, channels = 0, feature_size = 0;  // size 0: pictures as they are
  std::string judge;                                          // "judge": {"run", "tau"}; empty: none
  double tau = kNotGiven;                                     // from which it calls a picture good
  std::string data;                                           // the data set's folder
  int64_t image_size = 0, neighbours = 0;                     // "k": of precision .. coverage
  int64_t training = 0, held_out = 0;                         // real pictures; held out: never trained on
  std::string held_out_split;
  std::string fit = "squash";          // how pictures became square
  double copy_distance = kNotGiven;    // nearer than this counts as the same picture (memorisation.h)
  double copy_detail = kNotGiven;      // and what shares more detail with one
  Proportion held_out_copied_detail;   // as those of a run
  double median_held_out = kNotGiven;  // median distance of a held-out picture to its nearest training picture
  MaskAgreement held_out_agreement;    // "held_out_dice", with their own masks: what a sample can reach
  double least_dice = kNotGiven;       // of every class there, for the segmenter to be asked about samples
  std::string dice_refused;            // why it wasn't asked; then no run has any "dice"
  Texture held_out_texture;            // what is measured without anything to compare with
  Proportion held_out_judged_good;
  std::vector<EvaluatedRun> runs;
  EvaluatedPart real;  // training pictures in the samples' place, as many as the first run has
};

// Writes evaluation.path.
void write_evaluation(const Evaluation& evaluation);
// Its paths are openable, in canonical form where they are there. Throws Error(kBadInput), naming file and key.
Evaluation read_evaluation(const std::string& path);

}  // namespace echodiff
