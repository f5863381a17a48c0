// libFuzzer target: any bytes, read as a file of weights. A zip's CRC-32s are made right first, so that mutations reach
// the pickle within. Built and run by fuzz.sh.
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cstring>
#include <string>

#include "nn/torch_import/weights_file.h"
#include "tests/nn/torch_import/torch_files.h"

namespace {

// A first byte of 'p', 'l' or 's' wraps the rest as the pickle of a zip or legacy file with two small storages.
std::string file_of(const std::string& input) {
  if (input.empty()) return input;
  const std::string rest = input.substr(1), values(64, '\1');
  if (input[0] == 'p') return echodiff::torch_zip(rest, {values, values.substr(0, 24)});
  if (input[0] == 'l') return echodiff::torch_legacy(rest, {{"0", 16, values}, {"1", 6, values.substr(0, 24)}});
  return input;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int file = ::memfd_create("weights", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  const std::string bytes = file_of(std::string(reinterpret_cast<const char*>(data), size));
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, bytes.data(), bytes.size(), 0) != ssize_t(bytes.size())) return 0;
  try {
    const echodiff::WeightsFile read = echodiff::read_weights_file(path);
    for (const echodiff::SourceTensor& tensor : read.tensors) tensor.values.to_vector();
  } catch (const echodiff::Error& error) {
    if (error.fault() != echodiff::Fault::kBadInput || std::strchr(error.what(), '\n')) __builtin_trap();
  }
  return 0;
}
