// Bytes as a picture file. The first byte chooses: even, a PNG that is read and written again; odd, whatever kind of
// picture the bytes say they are (PNG, JPEG, TIFF).
#include "tensor/io/pictures/picture_file.h"
#include "tensor/io/png.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace echodiff;
  if (size == 0) return 0;
  const std::string bytes = fuzz::text_of(data + 1, size - 1);
  fuzz::expect_read_or_refused([&] {
    if (data[0] % 2 == 1) {
      decode_picture(bytes, "F");
      return;
    }
    const GrayImage image = decode_png(bytes, "F");
    if (decode_png(encode_png(image), "F").pixels != image.pixels) __builtin_trap();
  });
  return 0;
}
