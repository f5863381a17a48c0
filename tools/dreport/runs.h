// The folders a report is made from, read strictly: what is there must be whole, what is absent is left empty.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dreport/timed_judge.h"
#include "quality/evaluate/evaluation.h"
#include "quality/labels/labels.h"
#include "quality/labels/metrics.h"
#include "quality/recordings/sample_folder.h"
#include "tensor/io/png.h"

namespace echodiff {

struct RunPlace {
  std::string path;
  std::string name;  // the last part of the path, or the path where two runs share it
};

// config.toml of a run, empty when absent; and one of its values, empty too.
using Config = std::map<std::string, std::string>;
Config read_config(const std::string& folder);
std::string value_in(const Config& config, const std::string& key);

// One curve of log.jsonl: a value per logged step.
struct Curve {
  std::vector<double> step, value;
};
struct TrainingLog {
  Curve train_loss, val_loss;
  std::vector<Curve> val_bins;  // the validation loss by t, in equal bins from t = 0 to T - 1
  double seconds = kNotGiven;   // the largest logged
  std::string cut;              // what is said of a log that lacks lines its checkpoint has had
};

// dtrain diffusion.
struct DiffusionRun : TrainingLog {
  RunPlace place;
  Config config;
  std::string sheet;  // path of the last samples/step-NNNNNNNN.png, or empty
  int64_t sheet_step = 0;
};

// dtrain scorer.
struct ScorerRun : TrainingLog {
  RunPlace place;
  bool measured = false;  // metrics.json is there
  double auroc = kNotGiven, accuracy = kNotGiven, brier = kNotGiven, ece = kNotGiven;
  std::vector<ReliabilityShare> calibration;
  std::vector<std::pair<std::string, int64_t>> counts;  // in the file's order
};

// dtrain segmenter: runs that learned from the same samples and differ in seed.
struct SegmenterGroup {
  std::string samples = {};  // the folder's name, or empty: real pictures alone
  bool guided = false;       // a judge chose the samples
  std::vector<RunPlace> places = {};
  std::vector<double> dices = {};  // one per run: on real test pictures, over the classes
  Estimate dice = {};              // over the runs; no interval for one run
};

// dsample: one trajectory; no picture where it was not kept.
struct Sample : SampleLine {
  double calls = 0;                // of the network; DeepCache's shallow ones by what the run says they cost
  std::optional<Metrics> metrics;  // of pictures that are there
  std::optional<bool> good;        // by the report's rule, where there is one
  std::optional<bool> label;       // labels.jsonl, where it says otherwise or a person looked
  std::string label_source;

  // A label someone gave beats the rule.
  bool looks_good() const { return label.value_or(good.value_or(false)); }
};

// policy is "judge" where nothing says which.
struct SamplingRun : SampleSummary {
  RunPlace place;
  Config config;
  std::string masks;      // the data-set folder its masks came from, as config.toml says, or empty
  double calls = 0;       // as in Sample
  bool finished = false;  // summary.json is there
  std::vector<Sample> samples;
  std::optional<Labels> labels;  // its labels.jsonl

  bool guided() const { return policy != "none"; }
};

// Throws Error(kBadInput), naming file and line, for damage and for a kept picture that isn't there.
SamplingRun read_sampling(const RunPlace& place);

struct RunSet {
  std::vector<DiffusionRun> diffusion;
  std::vector<SamplingRun> sampling;
  std::vector<ScorerRun> scorers;
  std::vector<TimedJudge> judges;       // dtrain value, where its metrics.json is there; those of recordings
  std::vector<Evaluation> evaluations;  // evaluation.json of any of the folders
  std::vector<Ceiling> ceilings;
  std::vector<SegmenterGroup> segmenters;
  std::vector<RunPlace> others;  // what has no metrics.json yet: named only
  std::string data;              // a data-set folder among the runs, or empty
};

// Reads every folder; one that holds run folders stands for these. Ceilings are left empty. Throws Error: kMissingInput
// for a folder that isn't there, kBadInput naming file and line for what is damaged, and for a folder that is nothing
// dreport knows.
RunSet read_runs(const std::vector<std::string>& folders);

}  // namespace echodiff
