// TIFF reading: files put together here byte by byte, what is refused, and damage that may not crash.
#include "tensor/io/pictures/tiff.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <map>

#include "kernels/error.h"
#include "kernels/philox.h"
#include "tensor/io/pictures/picture_file.h"

namespace echodiff {
namespace {

void append(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += char(value >> 8 * i & 255);
}

// A little-endian TIFF of one strip, 4 x 2 pixels unless `tags` say otherwise; they go over the usual ones.
std::string tiff(const std::string& pixels, std::map<int, uint32_t> tags, const std::string& extra = "",
                 int extra_tag = 0) {
  const std::map<int, uint32_t> usual{
      {256, 4}, {257, 2}, {258, 8}, {259, 1}, {262, 1}, {273, 8}, {277, 1}, {278, 2}, {279, uint32_t(pixels.size())}};
  tags.insert(usual.begin(), usual.end());
  if (extra_tag != 0) tags[extra_tag] = uint32_t(8 + pixels.size());
  std::string out = "II*";
  out += '\0';
  append(out, 8 + pixels.size() + extra.size(), 4);
  out += pixels + extra;
  append(out, tags.size(), 2);
  for (const auto& [tag, value] : tags) {
    append(out, uint64_t(tag), 2);
    append(out, tag == extra_tag ? 3 : 4, 2);
    append(out, tag == extra_tag ? extra.size() / 2 : 1, 4);
    append(out, value, 4);
  }
  append(out, 0, 4);
  return out;
}

std::vector<uint16_t> values(const std::string& bytes) { return decode_picture(bytes, "a.tif").values; }

std::string refusal(const std::string& bytes) {
  try {
    decode_tiff(bytes, "a.tif");
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kBadInput);
    EXPECT_EQ(std::string(error.what()).find("a.tif: "), 0u) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

const std::string kPixels("\0\1\2\3\4\5\6\7", 8);

TEST(Tiff, ReadsGreyOf1And8And16Bits) {
  EXPECT_EQ(values(tiff(kPixels, {})), (std::vector<uint16_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(values(tiff(kPixels, {{262, 0}})), (std::vector<uint16_t>{255, 254, 253, 252, 251, 250, 249, 248}));
  EXPECT_EQ(values(tiff(kPixels + kPixels, {{258, 16}})),
            (std::vector<uint16_t>{0x100, 0x302, 0x504, 0x706, 0x100, 0x302, 0x504, 0x706}));
  EXPECT_EQ(decode_tiff(tiff(kPixels + kPixels, {{258, 16}}), "a.tif").bits, 16);
  EXPECT_EQ(values(tiff("\x50\xA0", {{258, 1}})), (std::vector<uint16_t>{0, 255, 0, 255, 255, 0, 255, 0}));
  uLongf size = 100;
  std::string packed(size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(kPixels.data()), 8);
  EXPECT_EQ(values(tiff(packed.substr(0, size), {{259, 8}})), (std::vector<uint16_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(Tiff, MasksGoByTheNumbersOfAPalette) {
  std::string colours(256 * 6, '\0');
  colours[2 * 1 + 1] = char(0xFF);  // entry 1 is red
  const DecodedPicture picture = decode_tiff(tiff(kPixels, {{262, 3}}, colours, 320), "a.tif");
  EXPECT_EQ(picture.palette[1], (Colour{255, 0, 0}));
  EXPECT_EQ(as_classes(picture, "a.tif").pixels, (std::vector<uint8_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_THROW(as_grey(picture, {}, "a.tif"), Error);
}

TEST(Tiff, RefusesWhatItWouldReadWrongly) {
  EXPECT_NE(refusal(tiff(kPixels, {{339, 3}, {258, 16}})).find("whole ones"), std::string::npos);  // floats
  EXPECT_NE(refusal(tiff(kPixels, {{274, 3}})).find("turned"), std::string::npos);
  EXPECT_NE(refusal(tiff(kPixels, {{259, 7}})).find("packed"), std::string::npos);
  EXPECT_NE(refusal(tiff(kPixels, {{277, 2}})).find("2 channels"), std::string::npos);
  EXPECT_NE(refusal(tiff(kPixels, {{256, 20000}})).find("20000x2 pixels"), std::string::npos);
  EXPECT_NE(refusal(tiff(std::string("\1\1\2\0\0\0", 6), {{256, 2}, {257, 1}, {277, 3}, {262, 2}})).find("coloured"),
            std::string::npos);
  std::string pages = tiff(kPixels, {});
  const size_t next = pages.size() - 4;  // a second directory, the first once more 2 bytes on
  const std::string directory = pages.substr(16, pages.size() - 16);
  pages.replace(next, 4, std::string{char(pages.size()), 0, 0, 0});
  EXPECT_NE(refusal(pages + directory).find("several pages"), std::string::npos);
}

TEST(Tiff, RefusesTruncationAndSurvivesDamage) {
  const std::string whole = tiff(kPixels, {});
  for (size_t length = 0; length < whole.size() - 4; ++length) refusal(whole.substr(0, length));
  Random random(6);
  for (int i = 0; i < 4000; ++i) {
    std::string damaged = whole;
    for (int64_t n = random.below(3); n >= 0; --n)
      damaged[size_t(random.below(int64_t(whole.size())))] = char(random.below(256));
    try {
      decode_tiff(damaged, "a.tif");
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::kBadInput);
    }
  }
}

}  // namespace
}  // namespace echodiff
