// The groups of dweights' subcommands: each declares its own, and holds what their flags are bound to.
#pragma once

#include <optional>
#include <string>

#include "cli/cli.h"
#include "nn/torch_import/import.h"

namespace echodiff {

// inspect, convert, diff: files of weights as they are (files.cpp).
struct FileCommands {
  std::string file, out, other;
  void declare(Options& root);
};

// import: a PyTorch file becomes a run directory (import.cpp).
struct ImportCommand {
  ImportOptions source;
  std::string file, out, attention_order = "legacy", planes, against, schedule = "file", predict = "file";
  std::optional<int64_t> image_size, timesteps;
  double schedule_shift = 0;
  void declare(Options& root);
};

// export: a run's weights under PyTorch's names (export.cpp).
struct ExportCommand {
  std::string run, out, as, part, dtype = "f32", best = "on";
  void declare(Options& root);
};

// verify: a run against inputs and outputs that PyTorch made (verify.cpp).
struct VerifyCommand {
  std::string run, against, part, best = "on";
  double tolerance = 1e-4;
  void declare(Options& root);
};

}  // namespace echodiff
