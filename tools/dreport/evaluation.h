// Reading what dlabel evaluate left (dlabel_evaluate.h has the schema).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "quality/statistics/intervals.h"

namespace echodiff {

// What isn't measured is NaN, or a share of n = 0.
struct MaskAgreement {
  Estimate mean;                                          // over pictures, of a picture over its classes
  std::vector<std::pair<std::string, Estimate>> classes;  // in the file's order
};

struct EvaluatedPart {
  int64_t n = 0;
  Estimate kid, fid, density, outside_energy;
  Proportion precision, recall, coverage;
};

struct MemorisedPair {
  std::string file, training;  // an openable path; a name in the data set's images/
  double distance = 0;
};

struct EvaluatedRun : EvaluatedPart {
  std::vector<std::string> folders;  // openable, in canonical form where they are there
  Estimate kid_minus_first, closer_than_held_out;
  Proportion judged_good, copies, copied_detail, distinct;
  MaskAgreement agreement;
  std::vector<MemorisedPair> pairs;
};
std::string name_of(const EvaluatedRun& run);  // its folders: "probe-101, probe-102"

struct Evaluation {
  std::string path, features, judge, data;  // the file; runs as they were named, judge may be empty; openable folder
  double tau = kNotGiven;                   // from which the judge calls a picture good
  int64_t image_size = 0, held_out = 0;
  double copy_distance = kNotGiven, median_held_out = kNotGiven;
  MaskAgreement held_out_agreement;
  Proportion held_out_judged_good, held_out_copied_detail;
  std::vector<EvaluatedRun> runs;
  EvaluatedPart real;  // training pictures in the samples' place
};

// Throws Error(kBadInput), naming file and key.
Evaluation read_evaluation(const std::string& path);

}  // namespace echodiff
