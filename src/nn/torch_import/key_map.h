// How the tensors of a PyTorch file become those of a network of ours: a table for each network (map_*.cpp), and strict
// accounting. Every tensor of the file is used once or named in the table's ignore list, every tensor of the network is
// filled, or all that is amiss is said in one line.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "nn/module.h"

namespace echodiff {

// Patterns: # is a number, * is any text without a dot, ** any text, {a,b} one of these. In `ours` the same marks stand
// for what they matched, in order; nothing means the same name.
struct KeyRow {
  const char* theirs;
  const char* ours = "";
};

struct KeyMap {
  std::string name;                  // as --as calls it
  std::vector<KeyRow> rows;          // tried in order
  std::vector<const char*> ignored;  // patterns of what the network doesn't need
};

bool matches(std::string_view pattern, std::string_view name);

// The one of `names` with the fewest edits to `name`; "" without any.
std::string nearest_name(const std::string& name, const std::vector<std::string>& names);

struct FittedWeights {
  StateDict weights;                  // of the network: its names, shapes and order
  std::vector<std::string> ignored;   // the file's names on the ignore list
  std::vector<std::string> left_out;  // names of `beside` that the network doesn't have
  std::vector<std::string> missing;   // num_batches_tracked, which files before 0.4.1 don't have: left at zero
};

// `source` renamed by the table and put into the shapes of `network` (its state_dict). Sizes of 1 at the end of a shape
// may differ: attention is written as Linear, Conv1d or Conv2d. Throws Error(kBadInput), starting with `where`, that
// lists every unknown tensor with the nearest known name, every one given twice, every misshapen and every unfilled
// one. Unknown tensors among `beside`, which lay outside the model in the file, are left out.
FittedWeights fit_weights(const KeyMap& map, const StateDict& source, const StateDict& network,
                          const std::string& where, const std::set<std::string>& beside = {});

}  // namespace echodiff
