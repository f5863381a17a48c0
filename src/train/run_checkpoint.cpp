#include "train/run_checkpoint.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "nn/torch_import/diffusers_folder.h"
#include "nn/torch_import/import.h"
#include "tensor/io/file.h"
#include "train/best_checkpoint.h"
#include "train/checkpoint.h"

namespace echodiff {
namespace {

// Also one that was, and is damaged now.
bool is_own_checkpoint(const std::string& path) {
  const InputFile file(path);
  int64_t length = 0;
  if (file.size() < 8) return false;
  file.read_at(0, reinterpret_cast<char*>(&length), 8);
  constexpr int64_t kLongest = 100'000'000;  // bytes, of any header of safetensors
  if (length < 2 || length > kLongest) return false;
  return file.read(8, std::min(length, file.size() - 8)).find("\"xxh3") != std::string::npos;
}

// A network or pipeline that diffusers saved.
bool is_foreign_folder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) && !find_diffusers_folder(path).config.empty();
}

// The network is told by its names. What can't be read at all is said to be so.
[[noreturn]] void refuse_foreign_weights(const std::string& path) {
  std::string network = "diffusers";
  if (!is_foreign_folder(path)) {
    try {
      const SourceParts parts = split_parts(read_weights_file(path));
      network = recognise_network(parts.model.empty() ? parts.ema : parts.model, path);
    } catch (const Error& error) {
      throw Error(error.fault(), concat_message(path,
                                                ": expected a run directory or one of its checkpoints, found what "
                                                "is neither, nor weights to import (",
                                                error.what(), ")"));
    }
  }
  throw Error(Fault::kBadInput,
              concat_message(path, ": expected a run directory, found weights of ", network,
                             "; import them first: dweights import ", path, " --as ", network, " --out RUN"));
}

}  // namespace

std::string run_checkpoint(const std::string& run) {
  std::error_code ignored;
  const bool is_file = std::filesystem::exists(run, ignored) && !std::filesystem::is_directory(run, ignored);
  if (is_file ? !is_own_checkpoint(run) : is_foreign_folder(run)) refuse_foreign_weights(run);
  return is_file ? run : latest_checkpoint(run);
}

std::string averaged_checkpoint(const std::string& run, bool best) {
  const std::string found = best ? best_checkpoint(run) : "";
  return found.empty() ? run_checkpoint(run) : found;
}

}  // namespace echodiff
