// Bytes as a picture file, by the extension that the first byte chooses.
#include <iterator>

#include "tensor/io/png.h"
#include "tests/fuzz/target.h"

constexpr const char* kEnds[] = {".png"};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace echodiff;
  if (size == 0) return 0;
  const std::string path = fuzz::file_of(fuzz::text_of(data + 1, size - 1), kEnds[data[0] % std::size(kEnds)]);
  fuzz::expect_read_or_refused([&] {
    const GrayImage image = read_png(path);
    if (decode_png(encode_png(image), "F").pixels != image.pixels) __builtin_trap();
  });
  return 0;
}
