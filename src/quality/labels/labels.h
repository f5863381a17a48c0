// labels.jsonl: which pictures are good. The first line is the rule and its constants, then one JSON object a line:
//
//   {"kind": "labels", "rule": "text", "tau_sharpness": 200, ..., "count": 120}
//   {"file": "images/000000.png", "sharpness": 96.1, "contrast": 30.9, "noise": 0.41, "label": "good",
//    "source": "metric", "group": "case3", "origin": "sampled"}
//
// `count` says how many follow, so that a file that was cut is noticed; without it, any number may.
//
// `file` is relative to the labels file's folder. `source` says who decided: metric, script, or a person, and never a
// person for a label that no person gave. `group` (what must not cross a split: a patient, a mask) and `origin`
// ("sampled", "training", "degraded") are optional.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quality/labels/thresholds.h"

namespace echodiff {

struct LabelledImage {
  std::string file;  // as written in the labels file
  std::string path;  // openable: `file` resolved against the labels file's folder
  Metrics metrics;
  bool good = false;
  std::string source = "metric";  // metric, person, script
  std::string group;              // never empty once read: `file` where the line has none
  std::string origin;             // "" where the line has none
};

struct Labels {
  Thresholds thresholds;  // the first line
  std::vector<LabelledImage> images;
};

// Strict: Error(kBadInput) naming file and line for malformed JSON, an unknown label or source, a file listed twice, a
// missing key, a number that is not finite, and a picture outside the labels file's folder (an absolute name, "..")
// unless `allow_outside`; kMissingInput when there is no such file. The pictures aren't opened.
Labels read_label_file(const std::string& path, bool allow_outside = false);

// Writes whole or not at all. `path` of each image is ignored, `file` is written as it stands.
void write_labels(const std::string& path, const Labels& labels);
std::string labels_text(const Labels& labels);

// The path of `picture` as a labels file at `labels_path` should hold it: relative to that file's folder, or absolute
// where no relative path exists.
std::string file_in_labels(const std::string& picture, const std::string& labels_path);

// A person's or script's verdicts: decisions.json
//   {"kind": "decisions", "source": "person", "decisions": [{"file": "images/000000.png", "label": "good"}, ...]}
struct Decision {
  std::string file;
  bool good = false;
};
struct Decisions {
  std::string source;  // "person" or "script"
  std::vector<Decision> list;
};
Decisions read_decisions(const std::string& path);

struct Applied {
  int64_t confirmed = 0, flipped = 0;
};
// Sets label and source of every file the decisions name; Error(kBadInput) when one isn't in the labels.
Applied apply_decisions(Labels& labels, const Decisions& decisions, const std::string& decisions_path);

// Takes over what a person or a script has decided in the labels file at `path`, which `labels` are to replace; a file
// that isn't there has nothing decided. Returns how many. Throws Error(kCannotCreate) where a decision would be lost:
// its picture is not in `labels`, or the file can't be read.
int64_t keep_decisions(const std::string& path, Labels& labels);

// A subset with equally many good and poor pictures, at most `count` together, drawn with `seed`, in the labels' order.
// When one class has fewer than count / 2, both get as many as that one has.
Labels balance_labels(const Labels& labels, int64_t count, uint64_t seed);

}  // namespace echodiff
