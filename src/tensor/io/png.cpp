// PNG by stb_image and stb_image_write (Barrett), zlib underneath the writer.
// stb_image checks no CRC and trusts sizes, so it never sees a file before the guard below has walked all of it:
// signature, every chunk's length, order and CRC-32, header limits, and the zlib stream, which must inflate (with its
// Adler-32) to exactly the bytes that the header promises. The guard needs constant memory, whatever the file claims.
#include "tensor/io/png.h"

#include <zlib.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "kernels/error.h"
#include "tensor/io/file.h"

namespace {

// 2^26 pixels of four channels, with room for filter bytes: more is never needed by a file that passed the guard.
constexpr size_t kLargestBlock = size_t(1) << 29;

void* capped_malloc(size_t size) { return size <= kLargestBlock ? std::malloc(size) : nullptr; }
void* capped_realloc(void* block, size_t size) { return size <= kLargestBlock ? std::realloc(block, size) : nullptr; }

void stb_assert(bool holds) {
  echodiff::check_input(holds, echodiff::Fault::kBadInput, "PNG: the decoder found contradictory data");
}

// A drop-in for stb's own compressor: the block is freed by stb with std::free.
unsigned char* deflate_block(unsigned char* data, int size, int* out_size, int level) {
  uLongf length = compressBound(uLong(size));
  unsigned char* out = static_cast<unsigned char*>(std::malloc(length));
  if (out == nullptr || compress2(out, &length, data, uLong(size), level) != Z_OK) {
    std::free(out);
    return nullptr;
  }
  *out_size = int(length);
  return out;
}

}  // namespace

// The two headers are configured by macros only.
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_FAILURE_STRINGS
#define STBI_NO_THREAD_LOCALS
#define STBI_MAX_DIMENSIONS 16384  // kLongestSide
#define STBI_MALLOC(size) capped_malloc(size)
#define STBI_REALLOC(block, size) capped_realloc(block, size)
#define STBI_FREE(block) std::free(block)
#define STBI_ASSERT(condition) stb_assert(condition)
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#define STBI_WRITE_NO_STDIO
#define STBIW_ZLIB_COMPRESS deflate_block
#define STBIW_ASSERT(condition) stb_assert(condition)
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

namespace echodiff {
namespace {

constexpr std::string_view kSignature("\x89PNG\r\n\x1a\n", 8);
constexpr int64_t kMaxBytes = int64_t(1) << 28;  // of the decoded pixels, with all channels
constexpr size_t kMaxFile = size_t(1) << 29;

enum ColourType { kGrey = 0, kColour = 2, kPalette = 3, kGreyAlpha = 4, kColourAlpha = 6 };

struct Header {
  int64_t width, height;
  int depth, colour_type;
  bool interlaced;

  std::vector<Colour> palette = {};
  std::vector<uint8_t> palette_alpha = {};  // of its first entries; the others are opaque

  int channels() const {
    return colour_type == kColour ? 3 : colour_type == kGreyAlpha ? 2 : colour_type == kColourAlpha ? 4 : 1;
  }
};

uint32_t big_endian(const char* bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | uint8_t(bytes[i]);
  return value;
}

// Bytes of the filtered rows of one (w, h) picture: a filter byte and packed pixels a row.
int64_t packed_bytes(const Header& header, int64_t w, int64_t h) {
  return w == 0 || h == 0 ? 0 : h * (1 + (w * header.channels() * header.depth + 7) / 8);
}

int64_t stream_bytes(const Header& header) {
  if (!header.interlaced) return packed_bytes(header, header.width, header.height);
  constexpr int kStart[7][2] = {{0, 0}, {4, 0}, {0, 4}, {2, 0}, {0, 2}, {1, 0}, {0, 1}};  // Adam7: column, row
  constexpr int kStep[7][2] = {{8, 8}, {8, 8}, {4, 8}, {4, 4}, {2, 4}, {2, 2}, {1, 2}};
  int64_t total = 0;
  for (int pass = 0; pass < 7; ++pass) {
    total += packed_bytes(header, (header.width - kStart[pass][0] + kStep[pass][0] - 1) / kStep[pass][0],
                          (header.height - kStart[pass][1] + kStep[pass][1] - 1) / kStep[pass][1]);
  }
  return total;
}

Header read_header(std::string_view data, const std::string& path) {
  check_input(data.size() == 13, Fault::kBadInput, path, ": damaged PNG: IHDR of ", data.size(), " bytes, expected 13");
  Header header{big_endian(data.data()), big_endian(data.data() + 4), data[8], data[9], data[12] == 1};
  const int depth = header.depth, type = header.colour_type;
  check_input(header.width >= 1 && header.height >= 1 && header.width <= kLongestSide &&
                  header.height <= kLongestSide && header.width * header.height <= kMostPixels,
              Fault::kBadInput, path, ": ", header.width, "x", header.height, " pixels, expected 1 to ", kLongestSide,
              " a side and at most ", kMostPixels, " in all");
  check_input(header.width * header.height * header.channels() * (depth == 16 ? 2 : 1) <= kMaxBytes, Fault::kBadInput,
              path, ": ", header.width, "x", header.height, " pixels of 16 bits a channel, more than ", kMaxBytes,
              " bytes; convert it to 16-bit grey");
  const bool small_depth = depth == 1 || depth == 2 || depth == 4;
  const bool many_channels = type == kColour || type == kGreyAlpha || type == kColourAlpha;
  const bool legal = (depth == 8 && (type == kPalette || many_channels)) || (depth == 16 && many_channels) ||
                     (small_depth && type == kPalette) || (type == kGrey && (small_depth || depth == 8 || depth == 16));
  check_input(legal && data[10] == 0 && data[11] == 0 && (data[12] == 0 || data[12] == 1), Fault::kBadInput, path,
              ": damaged PNG: IHDR with depth ", depth, ", colour type ", type, ", methods ", int(data[10]), " ",
              int(data[11]), " ", int(data[12]));
  return header;
}

// Inflates the picture data piece by piece into a scratch block, only to count and verify it.
class StreamCheck {
 public:
  explicit StreamCheck(const std::string& path) : path_(path) {
    check(inflateInit(&stream_) == Z_OK, "PNG: zlib cannot start");
  }
  StreamCheck(const StreamCheck&) = delete;
  StreamCheck& operator=(const StreamCheck&) = delete;
  ~StreamCheck() { inflateEnd(&stream_); }

  void add(std::string_view data, int64_t expected) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    stream_.avail_in = uInt(data.size());
    while (stream_.avail_in > 0) {
      check_input(!ended_, Fault::kBadInput, path_, ": damaged PNG: bytes after the end of the picture data");
      uint8_t scratch[16384];
      stream_.next_out = scratch;
      stream_.avail_out = sizeof scratch;
      const int status = inflate(&stream_, Z_NO_FLUSH);
      check_input(status == Z_OK || status == Z_STREAM_END || (status == Z_BUF_ERROR && stream_.avail_in == 0),
                  Fault::kBadInput, path_, ": damaged PNG: the picture data cannot be inflated");
      total_ += int64_t(sizeof scratch - stream_.avail_out);
      check_input(total_ <= expected, Fault::kBadInput, path_, ": damaged PNG: more picture data than its size needs");
      ended_ = status == Z_STREAM_END;
    }
  }
  void finish(int64_t expected) const {
    check_input(ended_ && total_ == expected, Fault::kBadInput, path_, ": damaged PNG: picture data of ", total_,
                " bytes, expected ", expected);
  }

 private:
  const std::string& path_;
  z_stream stream_ = {};
  int64_t total_ = 0;
  bool ended_ = false;
};

struct Chunk {
  std::string type;
  std::string_view data;
};

// The chunk at byte `at`, whole and with its checksum right.
Chunk read_chunk(std::string_view file, size_t at, const std::string& path) {
  check_input(file.size() - at >= 12, Fault::kBadInput, path, ": damaged PNG: ends at byte ", file.size(),
              " within a chunk, or has no IEND");
  const size_t length = big_endian(file.data() + at);
  check_input(length <= file.size() - at - 12, Fault::kBadInput, path, ": damaged PNG: chunk at byte ", at, " claims ",
              length, " bytes, the file ends before");
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(file.data() + at + 4), uInt(length + 4));
  check_input(crc == big_endian(file.data() + at + 8 + length), Fault::kBadInput, path,
              ": damaged PNG: wrong checksum (CRC-32) of the chunk at byte ", at);
  Chunk chunk{std::string(file.substr(at + 4, 4)), file.substr(at + 8, length)};
  for (const char letter : chunk.type) {
    check_input((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z'), Fault::kBadInput, path,
                ": damaged PNG: chunk without a name at byte ", at);
  }
  return chunk;
}

// Throws unless every byte of `file` belongs to a well-formed PNG whose checksums all agree.
Header guard(std::string_view file, const std::string& path) {
  check_input(file.substr(0, 8) == kSignature, Fault::kBadInput, path,
              ": not a PNG picture (its first 8 bytes differ)");
  check_input(file.size() <= kMaxFile, Fault::kBadInput, path, ": ", file.size(), " bytes, expected at most ",
              kMaxFile);
  Header header = {};
  StreamCheck stream(path);
  int64_t expected = 0;
  std::string previous, type;
  bool data_seen = false, transparency_seen = false;
  for (size_t at = kSignature.size(); type != "IEND";) {
    previous = type;
    const Chunk chunk = read_chunk(file, at, path);
    type = chunk.type;
    const std::string_view data = chunk.data;
    const size_t length = data.size();
    const auto in_order = [&](bool holds) {
      check_input(holds, Fault::kBadInput, path, ": damaged PNG: unexpected ", type, " chunk at byte ", at);
    };
    in_order((type == "IHDR") == previous.empty());
    if (type == "IHDR") {
      header = read_header(data, path);
      expected = stream_bytes(header);
    } else if (type == "PLTE") {
      const bool grey = header.colour_type == kGrey || header.colour_type == kGreyAlpha;
      in_order(!grey && header.palette.empty() && !data_seen && !transparency_seen && length % 3 == 0 && length >= 3 &&
               length <= 768 && (header.colour_type != kPalette || length / 3 <= size_t(1) << header.depth));
      for (size_t i = 0; i < length; i += 3)
        header.palette.push_back({uint8_t(data[i]), uint8_t(data[i + 1]), uint8_t(data[i + 2])});
    } else if (type == "tRNS") {
      const size_t size = header.colour_type == kGrey ? 2 : header.colour_type == kColour ? 6 : 0;
      const bool fits =
          header.colour_type == kPalette ? length <= header.palette.size() && length > 0 : size > 0 && length == size;
      in_order(!data_seen && !transparency_seen && fits);
      if (header.colour_type == kPalette) header.palette_alpha.assign(data.begin(), data.end());
      transparency_seen = true;
    } else if (type == "IDAT") {
      in_order((header.colour_type != kPalette || !header.palette.empty()) && (!data_seen || previous == "IDAT"));
      data_seen = true;
      stream.add(data, expected);
    } else if (type == "IEND") {
      in_order(data_seen && length == 0);
    } else {
      in_order((type[0] & 0x20) != 0);  // an unknown chunk may be skipped only if its name says so
    }
    at += length + 12;
    check_input(type != "IEND" || at == file.size(), Fault::kBadInput, path, ": damaged PNG: ", file.size() - at,
                " bytes after its end");
  }
  stream.finish(expected);
  return header;
}

void append_chunk(std::string& out, std::string_view type, std::string_view data) {
  for (int shift = 24; shift >= 0; shift -= 8) out += char(data.size() >> shift & 255);
  out.append(type).append(data).append(4, '\0');  // stb looks at no checksum, and the guard has
}

// The file with the palette (0, 0, 0), (1, 1, 1), ... (255, 255, 255): stb then decodes the numbers of the entries, and
// one beyond the palette is a number like any other.
std::string with_numbers_as_colours(std::string_view file) {
  std::string out(kSignature), numbers;
  for (int i = 0; i < 256; ++i) numbers.append(3, char(i));
  for (size_t at = kSignature.size(); at < file.size();) {
    const size_t length = big_endian(file.data() + at);
    const std::string_view type = file.substr(at + 4, 4), data = file.substr(at + 8, length);
    if (type == "PLTE")
      append_chunk(out, type, numbers);
    else if (type == "IHDR" || type == "IDAT" || type == "IEND")
      append_chunk(out, type, data);
    at += length + 12;
  }
  return out;
}

// The pixels that stb decoded, of 8 or 16 bits a channel. The first channel of a palette's picture is its number.
template <class Value>
DecodedPicture take_pixels(const Value* pixels, int channels, const Header& header, const std::string& path) {
  DecodedPicture picture{header.width, header.height, 8 * int(sizeof(Value)), {}, header.palette, {}};
  const bool indexed = header.colour_type == kPalette;
  const bool colour = channels >= 3 && !indexed, alpha = (channels == 2 || channels == 4) && !indexed;
  if (!indexed) picture.palette.clear();  // of a colour picture it is a suggestion
  const int64_t count = header.width * header.height;
  picture.values.resize(size_t(count));
  for (int64_t i = 0; i < count; ++i) {
    const Value* pixel = pixels + i * channels;
    check_input(!colour || (pixel[0] == pixel[1] && pixel[1] == pixel[2]), Fault::kBadInput, path,
                ": a coloured picture (pixel ", i % header.width, ", ", i / header.width,
                "), expected grey; convert it to 8-bit grey (a mask: to its class indices)");
    check_input(!indexed || pixel[0] < header.palette.size(), Fault::kBadInput, path, ": damaged PNG: pixel ",
                i % header.width, ", ", i / header.width, " has colour ", pixel[0], " of a palette of ",
                header.palette.size());
    const bool opaque = indexed ? pixel[0] >= header.palette_alpha.size() || header.palette_alpha[pixel[0]] == 255
                                : !alpha || pixel[channels - 1] == Value(-1);
    if (!opaque && !picture.transparent) picture.transparent = i;
    picture.values[size_t(i)] = pixel[0];
  }
  return picture;
}

template <class Value, class Load>
DecodedPicture decode_with(const Load& load, std::string_view file, const Header& header, const std::string& path) {
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<Value, decltype(&std::free)> decoded(
      load(reinterpret_cast<const stbi_uc*>(file.data()), int(file.size()), &width, &height, &channels, 0), &std::free);
  check_input(decoded != nullptr && width == header.width && height == header.height, Fault::kBadInput, path,
              ": damaged PNG: its pixels cannot be decoded");
  return take_pixels(decoded.get(), channels, header, path);
}

}  // namespace

DecodedPicture decode_png_values(std::string_view file, const std::string& path) {
  const Header header = guard(file, path);
  if (header.depth == 16) return decode_with<stbi_us>(stbi_load_16_from_memory, file, header, path);
  const std::string numbered = header.colour_type == kPalette ? with_numbers_as_colours(file) : std::string();
  return decode_with<stbi_uc>(stbi_load_from_memory, numbered.empty() ? file : std::string_view(numbered), header,
                              path);
}

GrayImage decode_png(std::string_view file, const std::string& path) {
  return as_grey(decode_png_values(file, path), {}, path);
}

GrayImage read_png(const std::string& path) { return decode_png(read_file(path), path); }

std::string encode_png(const GrayImage& image) {
  check(image.width >= 1 && image.height >= 1 && image.width <= kLongestSide && image.height <= kLongestSide &&
            int64_t(image.pixels.size()) == image.width * image.height,
        "encode_png: ", image.width, "x", image.height, " picture with ", image.pixels.size(), " pixels");
  std::string bytes;
  const auto append = [](void* out, void* data, int size) {
    static_cast<std::string*>(out)->append(static_cast<const char*>(data), size_t(size));
  };
  const int done = stbi_write_png_to_func(append, &bytes, int(image.width), int(image.height), 1, image.pixels.data(),
                                          int(image.width));
  if (done == 0) throw std::bad_alloc();
  return bytes;
}

void write_png(const std::string& path, const GrayImage& image) { write_file_atomic(path, encode_png(image)); }

}  // namespace echodiff
