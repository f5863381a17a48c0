// Bytes as a checkpoint of ours; and what is a safetensors file sealed afresh, which must come back.
#include "tests/fuzz/target.h"
#include "train/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace echodiff;
  const std::string bytes = fuzz::text_of(data, size);
  fuzz::expect_read_or_refused([&] { parse_weights(bytes, "F"); });
  fuzz::expect_read_or_refused([&] { parse_checkpoint(bytes, "F"); });
  fuzz::expect_read_or_refused([&] {
    SafetensorsFile file = parse_safetensors(bytes, "F");
    std::erase_if(file.metadata, [](const auto& entry) { return entry.first.starts_with("xxh3"); });
    const std::string sealed = encode_checkpoint(file.tensors, file.stored_types, file.metadata);
    if (parse_checkpoint(sealed, "F").tensors.size() != file.tensors.size()) __builtin_trap();
  });
  return 0;
}
