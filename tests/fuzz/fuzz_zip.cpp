// Bytes as a file of weights whose container is a zip.
#include <algorithm>

#include "nn/torch_import/weights_file.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace echodiff;
  std::string bytes = fuzz::text_of(data, size);
  bytes.replace(0, std::min<size_t>(size, 4), "PK\3\4");  // else it would be another container's
  const std::string path = fuzz::file_of(bytes);
  fuzz::expect_read_or_refused([&] { read_weights_file(path); });
  return 0;
}
