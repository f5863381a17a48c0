// PNG reading and writing against libpng: round trips, the forms real folders hold, and 10,000 damaged files of which
// none may be accepted with pixels other than libpng's.
#include "tensor/io/png.h"

#include <gtest/gtest.h>
#include <png.h>
#include <zlib.h>

#include <cstring>
#include <filesystem>
#include <optional>

#include "kernels/error.h"
#include "kernels/philox.h"
#include "tensor/io/file.h"
#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

struct Layout {
  int depth = 8, colour_type = PNG_COLOR_TYPE_GRAY, interlace = PNG_INTERLACE_NONE;
};

void append(png_structp writer, png_bytep data, size_t size) {
  static_cast<std::string*>(png_get_io_ptr(writer))->append(reinterpret_cast<const char*>(data), size);
}

// A picture as libpng writes it; `rows` hold packed pixels.
std::string libpng_encode(int64_t width, int64_t height, Layout layout, std::vector<std::vector<png_byte>> rows) {
  std::string bytes;
  png_structp writer = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(writer);
  png_set_write_fn(writer, &bytes, append, nullptr);
  png_set_IHDR(writer, info, png_uint_32(width), png_uint_32(height), layout.depth, layout.colour_type,
               layout.interlace, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (layout.colour_type == PNG_COLOR_TYPE_PALETTE) {
    png_color palette[256];
    for (int i = 0; i < 256; ++i) palette[i] = {png_byte(255 - i), png_byte(255 - i), png_byte(255 - i)};
    png_set_PLTE(writer, info, palette, 1 << layout.depth);
  }
  std::vector<png_bytep> pointers;
  for (std::vector<png_byte>& row : rows) pointers.push_back(row.data());
  png_set_rows(writer, info, pointers.data());
  png_write_png(writer, info, PNG_TRANSFORM_IDENTITY, nullptr);
  png_destroy_write_struct(&writer, &info);
  return bytes;
}

struct Source {
  const std::string& bytes;
  size_t at;
};

void take(png_structp reader, png_bytep out, size_t size) {
  Source& source = *static_cast<Source*>(png_get_io_ptr(reader));
  if (size > source.bytes.size() - source.at) png_error(reader, "end of file");
  std::memcpy(out, source.bytes.data() + source.at, size);
  source.at += size;
}

[[noreturn]] void give_up(png_structp reader, png_const_charp) { png_longjmp(reader, 1); }

// The grey channel as libpng decodes it; nothing where it refuses the file.
std::optional<GrayImage> libpng_decode(const std::string& bytes) {
  Source source{bytes, 0};
  GrayImage image;
  std::vector<png_byte> pixels;
  std::vector<png_bytep> rows;
  const auto quiet = [](png_structp, png_const_charp) {};
  png_structp reader = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, give_up, quiet);
  png_infop info = png_create_info_struct(reader);
  if (setjmp(png_jmpbuf(reader))) {
    png_destroy_read_struct(&reader, &info, nullptr);
    return std::nullopt;
  }
  png_set_read_fn(reader, &source, take);
  png_read_info(reader, info);
  png_set_expand(reader);
  png_set_gray_to_rgb(reader);
  png_set_add_alpha(reader, 255, PNG_FILLER_AFTER);
  png_set_interlace_handling(reader);
  png_read_update_info(reader, info);
  const size_t width = png_get_image_width(reader, info), height = png_get_image_height(reader, info);
  pixels.resize(width * height * 8);
  for (size_t i = 0; i < height; ++i) rows.push_back(pixels.data() + i * width * 4);
  png_read_image(reader, rows.data());
  png_read_end(reader, nullptr);
  png_destroy_read_struct(&reader, &info, nullptr);
  image.width = int64_t(width);
  image.height = int64_t(height);
  for (size_t i = 0; i < width * height; ++i) image.pixels.push_back(pixels[4 * i]);
  return image;
}

class PngTest : public ::testing::Test {
 protected:
  GrayImage read(const std::string& bytes) const { return decode_png(bytes, path_); }
  // The message of the error, which must name the file in one line and be the input's fault.
  std::string refusal(const std::string& bytes) const {
    try {
      read(bytes);
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_EQ(error.fault(), Fault::kBadInput) << message;
      EXPECT_NE(message.find(path_), std::string::npos) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      return message;
    }
    ADD_FAILURE() << "accepted";
    return "";
  }

  ScratchFolder folder_;
  std::string path_ = folder_.at("picture.png");
};

GrayImage noise_picture(int64_t width, int64_t height, uint64_t seed) {
  GrayImage image{width, height, std::vector<uint8_t>(size_t(width * height))};
  Random random(seed);
  for (uint8_t& pixel : image.pixels) pixel = uint8_t(random.below(40) + random.below(216));
  return image;
}

std::string chunk(const std::string& type, const std::string& data) {
  const auto big_endian = [](uint32_t v) { return std::string{char(v >> 24), char(v >> 16), char(v >> 8), char(v)}; };
  const std::string body = type + data;
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(body.data()), uInt(body.size()));
  return big_endian(uint32_t(data.size())) + body + big_endian(uint32_t(crc));
}

std::string deflated(const std::string& data) {
  std::string out(compressBound(data.size()), '\0');
  uLongf size = out.size();
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(data.data()), data.size());
  out.resize(size);
  return out;
}

const std::string kSignature("\x89PNG\r\n\x1a\n", 8);

TEST_F(PngTest, WritesWhatItAndLibpngRead) {
  for (const int64_t width : {1, 2, 7, 64, 301}) {
    const GrayImage image = noise_picture(width, 64 / width + 1, uint64_t(width));
    write_png(path_, image);
    EXPECT_EQ(read_png(path_).pixels, image.pixels);
    const std::optional<GrayImage> decoded = libpng_decode(encode_png(image));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->width, image.width);
    EXPECT_EQ(decoded->pixels, image.pixels);
  }
}

TEST_F(PngTest, ReadsEveryLegalGreyForm) {
  for (const int type : {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_PALETTE, PNG_COLOR_TYPE_GRAY_ALPHA,
                         PNG_COLOR_TYPE_RGB_ALPHA}) {
    for (const int interlace : {PNG_INTERLACE_NONE, PNG_INTERLACE_ADAM7}) {
      for (const int depth : {1, 2, 4, 8}) {
        const bool packed = type == PNG_COLOR_TYPE_GRAY || type == PNG_COLOR_TYPE_PALETTE;
        if (depth < 8 && !packed) continue;
        const size_t channels = type == PNG_COLOR_TYPE_RGB          ? 3
                                : type == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
                                : type == PNG_COLOR_TYPE_RGB_ALPHA  ? 4
                                                                    : 1;
        const size_t width = 13, height = 9;
        Random random(uint64_t(type * 100 + depth));
        std::vector<std::vector<png_byte>> rows(height);
        for (std::vector<png_byte>& row : rows) {
          for (size_t i = 0; i < width; ++i) {
            const png_byte value = png_byte(random.below(256));
            for (size_t c = 0; c < channels; ++c) row.push_back(channels % 2 == 0 && c + 1 == channels ? 255 : value);
          }
        }
        const std::string bytes = libpng_encode(int64_t(width), int64_t(height), {depth, type, interlace}, rows);
        const std::optional<GrayImage> expected = libpng_decode(bytes);
        ASSERT_TRUE(expected);
        EXPECT_EQ(read(bytes).pixels, expected->pixels) << "type " << type << " depth " << depth << " " << interlace;
      }
    }
  }
}

TEST_F(PngTest, RefusesWhatIsNotOpaqueGrey) {
  const std::vector<std::vector<png_byte>> wide{{1, 2, 3, 4, 5, 6, 7, 8}};
  EXPECT_NE(refusal(libpng_encode(2, 1, {16, PNG_COLOR_TYPE_GRAY_ALPHA, 0}, wide)).find("transparent"),
            std::string::npos);
  EXPECT_NE(refusal(libpng_encode(4, 1, {8, PNG_COLOR_TYPE_GRAY_ALPHA, 0}, wide)).find("transparent"),
            std::string::npos);
  EXPECT_NE(refusal(libpng_encode(2, 1, {8, PNG_COLOR_TYPE_RGB, 0}, wide)).find("colour"), std::string::npos);
  EXPECT_NE(refusal("").find("not a PNG"), std::string::npos);
  EXPECT_NE(refusal("GIF89a and more").find("not a PNG"), std::string::npos);
  EXPECT_THROW(read_png(path_ + ".none"), Error);
}

TEST_F(PngTest, Reads16BitsAsTheyAreAndThroughAWindow) {
  const std::string bytes =
      libpng_encode(4, 1, {16, PNG_COLOR_TYPE_GRAY, 0}, {{0, 0, 0x01, 0x02, 0x10, 0x00, 0xFF, 0xFF}});
  const DecodedPicture decoded = decode_png_values(bytes, path_);
  EXPECT_EQ(decoded.bits, 16);
  EXPECT_EQ(decoded.values, (std::vector<uint16_t>{0, 0x0102, 0x1000, 0xFFFF}));
  EXPECT_EQ(read(bytes).pixels, (std::vector<uint8_t>{0, 1, 16, 255}));
  EXPECT_EQ(as_grey(decoded, {0x0100, 0x0104}, path_).pixels, (std::vector<uint8_t>{0, 128, 255, 255}));
}

// A palette's picture of 2 x 2 with the numbers 0, 1, 2, 1.
std::string indexed(const std::string& palette) {
  return kSignature + chunk("IHDR", std::string("\0\0\0\2\0\0\0\2\x08\3\0\0\0", 13)) + chunk("PLTE", palette) +
         chunk("IDAT", deflated(std::string("\0\0\1\0\2\1", 6))) + chunk("IEND", "");
}

TEST_F(PngTest, MasksGoByTheNumbersOfAColouredPaletteAndByTheGreysOfAGreyOne) {
  const std::string coloured("\0\0\0\xFF\0\0\0\xFF\0", 9), grey("\0\0\0\7\7\7\5\5\5", 9);
  EXPECT_EQ(as_classes(decode_png_values(indexed(coloured), path_), path_).pixels, (std::vector<uint8_t>{0, 1, 2, 1}));
  EXPECT_EQ(as_classes(decode_png_values(indexed(grey), path_), path_).pixels, (std::vector<uint8_t>{0, 7, 5, 7}));
  EXPECT_EQ(read(indexed(grey)).pixels, (std::vector<uint8_t>{0, 7, 5, 7}));
  EXPECT_NE(refusal(indexed(coloured)).find("coloured"), std::string::npos);
  const std::string twice("\0\0\0\7\7\7\7\7\7", 9);  // two classes would become one
  EXPECT_THROW(as_classes(decode_png_values(indexed(twice), path_), path_), Error);
  EXPECT_NE(refusal(indexed(grey.substr(0, 6))).find("palette of 2"), std::string::npos);
}

TEST_F(PngTest, RefusesContradictionsBehindValidChecksums) {
  const std::string ihdr("\0\0\0\2\0\0\0\2\x08\0\0\0\0", 13), end = chunk("IEND", "");
  const std::string rows("\0ab\0cd", 6), header = chunk("IHDR", ihdr);
  EXPECT_EQ(read(kSignature + header + chunk("IDAT", deflated(rows)) + end).pixels,
            (std::vector<uint8_t>{'a', 'b', 'c', 'd'}));
  const auto refused = [&](const std::string& body) { refusal(kSignature + body); };
  refused(header + chunk("IDAT", deflated(rows + "e")) + end);                // more data than its size needs
  refused(header + chunk("IDAT", deflated(rows.substr(1))) + end);            // less
  refused(header + chunk("IDAT", deflated(rows) + "x") + end);                // bytes behind the stream
  refused(header + chunk("IDAT", deflated("\x07" + rows.substr(1))) + end);   // unknown row filter
  refused(header + end);                                                      // no data
  refused(header + chunk("IDAT", deflated(rows)));                            // no end
  refused(header + chunk("IDAT", deflated(rows)) + end + "tail");             // bytes behind the end
  refused(header + header + chunk("IDAT", deflated(rows)) + end);             // two headers
  refused(chunk("IDAT", deflated(rows)) + header + end);                      // order
  refused(header + chunk("CgBI", "") + chunk("IDAT", deflated(rows)) + end);  // unknown and not skippable
  std::string wrong_adler = deflated(rows);
  wrong_adler.back() = char(wrong_adler.back() ^ 1);
  refused(header + chunk("IDAT", wrong_adler) + end);
  // A small file that claims a huge picture must not be believed.
  const std::string huge("\0\0\x40\0\0\0\x10\0\x08\0\0\0\0", 13);
  refused(chunk("IHDR", huge) + chunk("IDAT", deflated(rows)) + end);
  refused(chunk("IHDR", std::string("\x7f\xff\xff\xff\0\0\0\1\x08\0\0\0\0", 13)) + chunk("IDAT", deflated(rows)) + end);
}

// Flips and mutations of valid files. `repair` recomputes the checksum of the chunk hit, so that damage reaches the
// layers behind it.
TEST_F(PngTest, NoDamagedFileIsReadDifferentlyFromLibpng) {
  Random random(5);
  int64_t accepted = 0, flips_accepted = 0;
  for (int64_t trial = 0; trial < 10000; ++trial) {
    const GrayImage image = noise_picture(8 + random.below(20), 8 + random.below(20), uint64_t(trial));
    std::string bytes = encode_png(image);
    const bool flip = trial % 2 == 0;
    if (flip) {
      const int64_t bit = random.below(int64_t(bytes.size()) * 8);
      bytes[size_t(bit / 8)] = char(bytes[size_t(bit / 8)] ^ (1 << (bit % 8)));
    } else {
      const size_t idat = bytes.find("IDAT"), length = bytes.size() - 12 - 4 - (idat + 4);
      std::string header = bytes.substr(16, 13), data = bytes.substr(idat + 4, length);
      std::string& target = random.below(4) == 0 ? header : data;
      for (int64_t edits = 1 + random.below(3); edits > 0; --edits) {
        target[size_t(random.below(int64_t(target.size())))] = char(random.below(256));
      }
      if (random.below(8) == 0) data.resize(size_t(random.below(int64_t(data.size()))));
      bytes = kSignature + chunk("IHDR", header) + chunk("IDAT", data) + chunk("IEND", "");
    }
    GrayImage result;
    try {
      result = read(bytes);
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::kBadInput);
      continue;
    }
    ++accepted;
    flips_accepted += flip;
    const std::optional<GrayImage> expected = libpng_decode(bytes);
    ASSERT_TRUE(expected) << "trial " << trial << ": accepted, refused by libpng";
    ASSERT_EQ(result.width, expected->width);
    ASSERT_EQ(result.pixels, expected->pixels) << "trial " << trial;
  }
  EXPECT_EQ(flips_accepted, 0);
  EXPECT_LT(accepted, 100);  // mutations that hit nothing (the same byte again) or only another header meaning
}

}  // namespace
}  // namespace echodiff
