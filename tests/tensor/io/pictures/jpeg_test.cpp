// JPEG reading: what libjpeg wrote, what is refused, and damage that may neither crash nor end the process.
#include "tensor/io/pictures/jpeg.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include <jpeglib.h>

#include "kernels/error.h"
#include "kernels/philox.h"
#include "tensor/io/pictures/picture_file.h"

namespace echodiff {
namespace {

struct Layout {
  int channels = 1;
  bool progressive = false;
  std::string exif = {};
};

// A gradient; of three channels grey but for `tint` in the first.
std::string encode(int width, int height, const Layout& layout, int tint = 0) {
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors = {};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = JDIMENSION(width);
  info.image_height = JDIMENSION(height);
  info.input_components = layout.channels;
  info.in_color_space = layout.channels == 1 ? JCS_GRAYSCALE : layout.channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 95, TRUE);
  if (layout.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  if (!layout.exif.empty())
    jpeg_write_marker(&info, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(layout.exif.data()),
                      unsigned(layout.exif.size()));
  std::vector<JSAMPLE> row(size_t(width * layout.channels));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < layout.channels; ++c)
        row[size_t(x * layout.channels + c)] = JSAMPLE((4 * x + 3 * y) % 200 + (c == 0 ? tint : 0));
    JSAMPROW at = row.data();
    jpeg_write_scanlines(&info, &at, 1);
  }
  jpeg_finish_compress(&info);
  std::string out(reinterpret_cast<const char*>(bytes), size);
  jpeg_destroy_compress(&info);
  std::free(bytes);
  return out;
}

std::string refusal(const std::string& bytes) {
  try {
    decode_jpeg(bytes, "a.jpg");
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kBadInput);
    EXPECT_EQ(std::string(error.what()).find("a.jpg: "), 0u) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

TEST(Jpeg, ReadsGreyHoweverItIsStored) {
  for (const Layout& layout : {Layout{1, false}, Layout{1, true}, Layout{3, false}}) {
    const DecodedPicture picture = decode_picture(encode(40, 20, layout), "a.jpg");
    ASSERT_EQ(picture.width, 40);
    ASSERT_EQ(picture.height, 20);
    for (int y = 0; y < 20; ++y)
      for (int x = 0; x < 40; ++x) EXPECT_NEAR(picture.values[size_t(y * 40 + x)], (4 * x + 3 * y) % 200, 40) << x;
    EXPECT_NEAR(picture.values[0], 0, 6);
  }
}

TEST(Jpeg, RefusesColoursAndTurnedPictures) {
  EXPECT_NE(refusal(encode(16, 16, {3}, 40)).find("coloured"), std::string::npos);
  EXPECT_NE(refusal(encode(16, 16, {4})).find("channels"), std::string::npos);
  const std::string big("Exif\0\0MM\0*\0\0\0\10\0\1\1\22\0\3\0\0\0\1\0\6\0\0\0\0\0\0", 32);
  const std::string little("Exif\0\0II*\0\10\0\0\0\1\0\22\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0", 32);
  for (const std::string& exif : {big, little})
    EXPECT_NE(refusal(encode(16, 16, {1, false, exif})).find("orientation 6"), std::string::npos);
  std::string upright = big;
  upright[25] = 1;
  EXPECT_EQ(decode_jpeg(encode(16, 16, {1, false, upright}), "a.jpg").width, 16);
}

TEST(Jpeg, RefusesTruncationAndSurvivesDamage) {
  const std::string whole = encode(24, 24, {1, true});
  for (size_t length = 0; length < whole.size() - 2; ++length) refusal(whole.substr(0, length));
  Random random(5);
  int64_t refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = whole;
    for (int64_t n = random.below(4); n >= 0; --n)
      damaged[size_t(random.below(int64_t(whole.size())))] = char(random.below(256));
    try {
      decode_jpeg(damaged, "a.jpg");
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::kBadInput);
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
  std::string huge = whole;
  const size_t frame = huge.find("\xFF\xC2");  // height and width follow length and precision
  huge.replace(frame + 5, 4, "\x4E\x20\x4E\x20");
  EXPECT_NE(refusal(huge).find("20000x20000 pixels, expected at most"), std::string::npos);
}

}  // namespace
}  // namespace echodiff
