// Bytes as the pickle of a zip with two small storages.
#include "nn/torch_import/weights_file.h"
#include "tests/fuzz/target.h"
#include "tests/nn/torch_import/torch_files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace echodiff;
  const std::string values(64, '\1');
  const std::string path = fuzz::file_of(torch_zip(fuzz::text_of(data, size), {values, values.substr(0, 24)}));
  fuzz::expect_read_or_refused([&] {
    for (const SourceTensor& tensor : read_weights_file(path).tensors) tensor.values.to_vector();
  });
  return 0;
}
