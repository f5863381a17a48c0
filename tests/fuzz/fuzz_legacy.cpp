// Bytes as a legacy .pth file; a first byte of 'w' wraps the rest as the object's pickle, with two small storages.
#include "nn/torch_import/weights_file.h"
#include "tests/fuzz/target.h"
#include "tests/nn/torch_import/torch_files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace echodiff;
  std::string bytes = fuzz::text_of(data, size);
  const std::string values(64, '\1');
  if (bytes.starts_with('w'))
    bytes = torch_legacy(bytes.substr(1), {{"0", 16, values}, {"1", 6, values.substr(0, 24)}});
  const std::string path = fuzz::file_of(bytes);
  fuzz::expect_read_or_refused([&] { read_weights_file(path); });
  return 0;
}
