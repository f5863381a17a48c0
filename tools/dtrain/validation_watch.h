// What the validations of a run have said so far. Each checkpoint holds it, so that a run that goes on watches on.
#pragma once

#include <optional>
#include <string>

#include "train/metadata.h"

namespace echodiff {

struct ValidationWatch {
  std::string of;                // which pictures and noise: the losses of others are not compared
  int64_t step = 0;              // of the last one; 0: there was none yet
  std::optional<double> least;   // loss
  int64_t least_step = 0;        //
  int64_t since = 0;             // validations after it
  std::optional<double> copies;  // share of the last one's samples that are copies of training pictures
  std::optional<double> kept;    // loss of the best checkpoint on disk; no checkpoint holds this

  void add_loss(int64_t at, double loss);
};

Metadata to_metadata(const ValidationWatch& watch);
// As a checkpoint has it, where it is of the same pictures and noise, and else from its beginning. Throws
// Error(kBadInput), naming `path` and the key.
ValidationWatch validation_watch(const Metadata& metadata, const std::string& path, const std::string& of);

}  // namespace echodiff
