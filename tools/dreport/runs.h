// The folders a report is made from, read strictly: what is there must be whole, what is absent is left empty.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dreport/evaluation.h"
#include "dreport/timed_judge.h"
#include "quality/labels/labels.h"
#include "quality/labels/metrics.h"
#include "quality/sampling/cost.h"
#include "quality/statistics/intervals.h"
#include "tensor/io/png.h"

namespace echodiff {

struct RunPlace {
  std::string path;
  std::string name;  // the last part of the path, or the path where two runs share it
};

// One curve of log.jsonl: a value per logged step.
struct Curve {
  std::vector<double> step, value;
};

// dtrain diffusion.
struct DiffusionRun {
  RunPlace place;
  std::map<std::string, std::string> config;  // config.toml, empty when absent
  Curve train_loss, val_loss;
  std::vector<Curve> val_bins;  // the validation loss by t, in equal bins from t = 0 to T - 1
  double seconds = kNotGiven;   // the largest logged
  std::string sheet;            // path of the last samples/step-NNNNNNNN.png, or empty
  int64_t sheet_step = 0;
};

// dtrain scorer.
struct ScorerRun {
  RunPlace place;
  bool measured = false;  // metrics.json is there
  double auroc = kNotGiven, accuracy = kNotGiven, brier = kNotGiven, ece = kNotGiven;
  std::vector<ReliabilityShare> calibration;
  std::vector<std::pair<std::string, int64_t>> counts;  // in the file's order
  Curve train_loss, val_loss;
};

// dsample: one trajectory.
struct Sample {
  int64_t index = 0;
  std::string mask;      // file name in the data set's masks/
  double calls = 0;      // of the network; DeepCache's shallow ones by what the run says they cost
  std::string decision;  // accepted, discarded, finished
  std::string reason;
  double final_score = kNotGiven;
  std::optional<int64_t> halted_t;                // where the policy decided before the end
  std::vector<std::pair<double, double>> scores;  // (t, score), in the order of the steps
  GrayImage image;                                // empty when the picture was not kept
  std::optional<Metrics> metrics;                 // of pictures that are there
  std::optional<bool> good;                       // by the report's rule, where there is one
  std::optional<bool> label;                      // labels.jsonl, where it says otherwise or a person looked
  std::string label_source;

  bool kept() const { return decision != "discarded"; }
  // A label someone gave beats the rule.
  bool looks_good() const { return label.value_or(good.value_or(false)); }
};

struct SamplingRun {
  RunPlace place;
  std::map<std::string, std::string> config;  // config.toml, empty when absent
  std::string masks;  // the data-set folder its masks came from, as summary.json or config.toml says, or empty
  std::string policy, sampler;  // "none", "paper", ...; "ddim"
  std::string score_on;         // "x0hat", "xt", or empty
  int64_t sample_steps = 0, timesteps = 0;
  double eta = kNotGiven, guidance = kNotGiven;
  int64_t trajectories = 0, accepted = 0;
  double calls = 0, shallow_call_cost = 1;  // of the network, as in Sample
  double seconds = kNotGiven, scorer_seconds = kNotGiven, tau = kNotGiven;
  CostUnit unit;          // what the costs' bootstrap draws anew
  bool finished = false;  // summary.json is there
  std::vector<Sample> samples;
  std::optional<Labels> labels;  // its labels.jsonl

  bool guided() const { return policy != "none"; }
};

struct RunSet {
  std::vector<DiffusionRun> diffusion;
  std::vector<SamplingRun> sampling;
  std::vector<ScorerRun> scorers;
  std::vector<TimedJudge> judges;       // dtrain value, where its metrics.json is there; those of recordings
  std::vector<Evaluation> evaluations;  // evaluation.json of any of the folders
  std::vector<Ceiling> ceilings;
  std::vector<RunPlace> others;  // dtrain segmenter, and what has no metrics.json yet: named only
  std::string data;              // a data-set folder among the runs, or empty
};

// Reads every folder; one that holds run folders stands for these. Ceilings are left empty. Throws Error: kMissingInput
// for a folder that isn't there, kBadInput naming file and line for what is damaged, and for a folder that is nothing
// dreport knows.
RunSet read_runs(const std::vector<std::string>& folders);

}  // namespace echodiff
