// What a file of weights holds, whoever wrote it: PyTorch's zip and legacy files, safetensors, and sharded safetensors.
// Files are read as data: a pickle is walked by a machine that knows a fixed list of classes and calls nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace echodiff {

// Names join the keys of nested dictionaries and the positions in lists by '.': "opt.state.0.exp_avg". A file that
// holds one bare tensor calls it "tensor".
struct SourceTensor {
  std::string name;
  std::string dtype;  // as the file has it, in PyTorch's word: "float32", "bfloat16", "int64", "uint8", "bool", ...
  // float16 and bfloat16 as f32, bool and the other integers as i64, as read_safetensors does. Equal views of one
  // storage ("ema.online_model.*" and "model.*" of a Trainer's file) share their memory: write to a clone().
  Tensor values;

  const Shape& shape() const { return values.shape(); }
};

// Anything that is not a tensor.
struct SourceLeaf {
  enum class Kind { kNone, kBoolean, kInteger, kReal, kText, kOther };
  std::string name;
  Kind kind = Kind::kOther;
  int64_t integer = 0;  // of kInteger; 0 or 1 of kBoolean
  double real = 0;      // of kReal; also of kInteger and kBoolean
  std::string text;     // of kText the text; else what a person should read: "3", "0.0001", "None", "{}"

  bool is_number() const { return kind == Kind::kInteger || kind == Kind::kReal || kind == Kind::kBoolean; }
};

struct WeightsFile {
  std::string path;
  std::string kind;                             // "zip", "legacy", "safetensors" or "sharded"
  std::vector<SourceTensor> tensors;            // in the file's order; names are unique
  std::vector<SourceLeaf> leaves;               // in the file's order
  std::map<std::string, std::string> metadata;  // safetensors' __metadata__
  std::vector<std::string> facts;               // about the container, one line each: "pickle protocol 2"
  std::vector<std::string> warnings;            // one line each, without the path

  // nullptr when there is none of that name.
  const SourceTensor* find(const std::string& name) const;
};

// Reads everything. The kind is told by content, never by name. `path` may also be an index of sharded safetensors, or
// a folder that holds one. Memory: the tensors and a block of at most a few MiB, unless views overlap in ways that need
// a whole storage at once.
// Throws Error: kMissingInput without the file; kBadInput, one line that names the file and the offset or key, for
// anything damaged, unknown or hostile, for TorchScript, whole modules and other files that need their code (the line
// says how to export the weights), and for a pickle without any tensor.
WeightsFile read_weights_file(const std::string& path);

}  // namespace echodiff
