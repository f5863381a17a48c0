// Bytes as a safetensors file. What is accepted is written and comes back.
#include "tensor/io/safetensors.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace echodiff;
  fuzz::expect_read_or_refused([&] {
    const SafetensorsFile file = parse_safetensors(fuzz::text_of(data, size), "F");
    const std::string again = encode_safetensors(file.tensors, file.stored_types, file.metadata);
    if (parse_safetensors(again, "F").tensors.size() != file.tensors.size()) __builtin_trap();
  });
  return 0;
}
