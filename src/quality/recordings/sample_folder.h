// What a sampling run leaves in its folder, and how it is read.
//
//   DIR/config.toml         the settings
//   DIR/images/NNNNNN.png   the picture of trajectory N, where it was kept; DIR/discarded/NNNNNN.png others, if wanted
//   DIR/scored/NNNNNN.png   what judges saw of it, where it is kept with noise (--keep-noise)
//   DIR/samples.jsonl       a SampleLine per trajectory, while it works
//   DIR/seconds.jsonl       {"index", "seconds"} of each, so that samples.jsonl has the same bytes whenever it is made
//   DIR/summary.json        SampleSummary, last: a folder without it, or with "interrupted" in it, was not finished
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "quality/recordings/sample_progress.h"
#include "quality/recordings/sample_summary.h"
#include "quality/sampling/cost.h"
#include "quality/sampling/sampler.h"
#include "tensor/io/file.h"
#include "tensor/io/lock.h"

namespace echodiff {

class SampleFolder {
 public:
  // Makes DIR for a run of these settings, the TOML that becomes config.toml, or goes on with the run of the same
  // settings that was broken off there; holds the folder's lock. Throws Error: kCannotCreate when DIR is there with
  // something else, or with other settings, each of which is named; kLocked.
  SampleFolder(const std::string& directory, const std::string& settings, bool keep_discarded, const SamplerJob& job);

  bool finished() const { return finished_; }  // the whole run is there
  const KnownRecords& known() const { return progress_.records; }

  // Adds the record and its picture. Those that the folder holds are to come again, in their order; the first that
  // doesn't cuts off what follows.
  void write(const SampleRecord& record, const std::string& mask, uint64_t seed);
  void write_summary(const SummaryFacts& facts, const SamplerTotals& totals);

 private:
  bool holds_next(int64_t index);
  void append_from_here();

  std::string directory_;
  bool keep_discarded_, finished_ = false;
  int64_t calls_if_finished_;  // network calls of a trajectory that nothing stops
  CostLedger ledger_;
  SampleProgress progress_;
  size_t next_ = 0;  // of the progress
  std::optional<FolderLock> lock_;
  std::optional<AppendedFile> lines_, seconds_;  // from the first record on that the folder doesn't hold
};

// All throw Error(kBadInput) naming file, line and key.
// With the pictures that are there; a kept one must be. A last line without its end is left out where the run has no
// summary: it is being written. Where it has, as many lines must be there as the summary counts.
std::vector<SampleLine> read_samples(const std::string& directory);
// Picture name -> the mask it was sampled for; empty where there is no samples.jsonl.
std::map<std::string, std::string> read_sampled_masks(const std::string& directory);

}  // namespace echodiff
