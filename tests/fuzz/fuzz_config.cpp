// Bytes as a TOML file. What is accepted is written by toml_text_line and comes back.
#include "tensor/io/toml.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace echodiff;
  fuzz::expect_read_or_refused([&] {
    for (const auto& [key, value] : parse_flat_toml(fuzz::text_of(data, size), "F"))
      if (parse_flat_toml(toml_text_line(key, value), "F").at(key) != value) __builtin_trap();
  });
  return 0;
}
