// libtiff reads dozens of forms, and its rare ones are where its bugs are. So the header is judged first, and only the
// few forms that pictures and masks have are decoded.
#include "tensor/io/pictures/tiff.h"

#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>

#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr tmsize_t kLargestBlock = tmsize_t(1) << 28;

// The file as libtiff sees it, and its first complaint.
struct Source {
  std::string_view bytes;
  uint64_t at = 0;
  std::string complaint = {};
};

tmsize_t read_some(thandle_t handle, void* out, tmsize_t size) {
  Source& source = *static_cast<Source*>(handle);
  const uint64_t left = source.at < source.bytes.size() ? source.bytes.size() - source.at : 0;
  const size_t count = size_t(std::min<uint64_t>(left, uint64_t(std::max<tmsize_t>(size, 0))));
  if (count > 0) std::memcpy(out, source.bytes.data() + source.at, count);
  source.at += count;
  return tmsize_t(count);
}
tmsize_t write_nothing(thandle_t, void*, tmsize_t) { return 0; }
toff_t seek(thandle_t handle, toff_t offset, int whence) {
  Source& source = *static_cast<Source*>(handle);
  source.at = offset + (whence == SEEK_CUR ? source.at : whence == SEEK_END ? source.bytes.size() : 0);
  return source.at;
}
int close_nothing(thandle_t) { return 0; }
toff_t size_of(thandle_t handle) { return static_cast<Source*>(handle)->bytes.size(); }

int on_error(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  std::string& complaint = static_cast<Source*>(user)->complaint;
  char text[256] = {};
  std::vsnprintf(text, sizeof text, format, arguments);
  if (complaint.empty()) complaint = text;
  return 1;
}
int on_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }  // unknown tags, mostly

struct Header {
  uint32_t width = 0, height = 0;
  uint16_t bits = 1, channels = 1, photometric = PHOTOMETRIC_MINISBLACK;

  bool indexed() const { return photometric == PHOTOMETRIC_PALETTE; }
};

class Decoder {
 public:
  Decoder(std::string_view bytes, const std::string& name) : name_(name), source_{bytes}, file_(nullptr, TIFFClose) {
    const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(),
                                                                                   TIFFOpenOptionsFree);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kLargestBlock);
    TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &source_);
    TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, &source_);
    file_.reset(TIFFClientOpenExt("TIFF", "rm", &source_, read_some, write_nothing, seek, close_nothing, size_of,
                                  nullptr, nullptr, options.get()));
    require_sound(file_ != nullptr);
  }

  DecodedPicture decode() {
    const Header header = read_header();
    DecodedPicture picture{header.width, header.height, header.bits == 16 ? 16 : 8, {}, palette_of(header), {}};
    picture.values.reserve(size_t(header.width) * header.height);
    const int64_t row_bytes = (int64_t(header.width) * header.channels * header.bits + 7) / 8;
    check_input(TIFFScanlineSize64(file_.get()) == uint64_t(row_bytes), Fault::kBadInput, name_,
                ": damaged TIFF: rows of ", TIFFScanlineSize64(file_.get()), " bytes, expected ", row_bytes);
    std::vector<uint8_t> row(static_cast<size_t>(row_bytes));
    for (uint32_t y = 0; y < header.height; ++y) {
      require_sound(TIFFReadScanline(file_.get(), row.data(), y) == 1);
      for (int64_t x = 0; x < int64_t(header.width); ++x) picture.values.push_back(value_at(header, row, x, y));
    }
    return picture;
  }

 private:
  void require_sound(bool holds) const {
    check_input(holds && source_.complaint.empty(), Fault::kBadInput, name_,
                ": damaged TIFF: ", source_.complaint.empty() ? "it can't be decoded" : source_.complaint);
  }

  uint16_t field(uint32_t tag) const {
    uint16_t value = 0;
    TIFFGetFieldDefaulted(file_.get(), tag, &value);
    return value;
  }

  Header read_header() {
    Header header;
    TIFFGetField(file_.get(), TIFFTAG_IMAGEWIDTH, &header.width);
    TIFFGetField(file_.get(), TIFFTAG_IMAGELENGTH, &header.height);
    check_input(header.width >= 1 && header.height >= 1 && header.width <= kLongestSide &&
                    header.height <= kLongestSide && int64_t(header.width) * header.height <= kMostPixels,
                Fault::kBadInput, name_, ": ", header.width, "x", header.height, " pixels, expected 1 to ",
                kLongestSide, " a side and at most ", kMostPixels, " in all");
    header.bits = field(TIFFTAG_BITSPERSAMPLE);
    header.channels = field(TIFFTAG_SAMPLESPERPIXEL);
    const bool has_photometric = TIFFGetField(file_.get(), TIFFTAG_PHOTOMETRIC, &header.photometric) == 1;
    const auto expect = [&](bool holds, const char* what, const char* advice) {
      check_input(holds, Fault::kBadInput, name_, ": a TIFF ", what, "; ", advice);
    };
    expect(TIFFNumberOfDirectories(file_.get()) == 1, "of several pages, expected one", "save its pages one by one");
    require_sound(true);
    expect(TIFFIsTiled(file_.get()) == 0, "in tiles, expected strips", "save it as PNG");
    const uint16_t packing = field(TIFFTAG_COMPRESSION), form = field(TIFFTAG_SAMPLEFORMAT);
    expect(packing == COMPRESSION_NONE || packing == COMPRESSION_PACKBITS || packing == COMPRESSION_LZW ||
               packing == COMPRESSION_ADOBE_DEFLATE || packing == COMPRESSION_DEFLATE,
           "packed in a way that isn't read here, expected PackBits, LZW or deflate", "save it as PNG");
    expect(form == SAMPLEFORMAT_UINT || form == SAMPLEFORMAT_VOID, "of numbers other than whole ones from 0 up",
           "convert it to 8- or 16-bit grey");
    expect(field(TIFFTAG_ORIENTATION) <= 1, "that is shown turned or mirrored", "save it upright, as its mask is");
    const bool grey = !has_photometric || header.photometric == PHOTOMETRIC_MINISBLACK ||
                      header.photometric == PHOTOMETRIC_MINISWHITE;
    const bool deep = header.bits == 8 || header.bits == 16;
    const bool known = (grey && header.channels == 1 && (deep || header.bits == 1)) ||
                       (header.indexed() && header.channels == 1 && header.bits == 8) ||
                       (header.photometric == PHOTOMETRIC_RGB && header.channels == 3 && deep &&
                        field(TIFFTAG_PLANARCONFIG) == PLANARCONFIG_CONTIG);
    check_input(known, Fault::kBadInput, name_, ": a TIFF of ", header.channels, " channels of ", header.bits,
                " bits, expected grey without transparency of 1, 8 or 16; convert it to 8-bit grey");
    return header;
  }

  std::vector<Colour> palette_of(const Header& header) const {
    std::vector<Colour> palette;
    if (!header.indexed()) return palette;
    uint16_t *red = nullptr, *green = nullptr, *blue = nullptr;
    check_input(TIFFGetField(file_.get(), TIFFTAG_COLORMAP, &red, &green, &blue) == 1, Fault::kBadInput, name_,
                ": damaged TIFF: its palette is missing");
    int shift = 0;  // some writers fill the 16 bits of an entry, some only 8
    for (const uint16_t* channel : {red, green, blue})
      if (std::any_of(channel, channel + 256, [](uint16_t value) { return value > 255; })) shift = 8;
    for (size_t i = 0; i < 256; ++i)
      palette.push_back({uint8_t(red[i] >> shift), uint8_t(green[i] >> shift), uint8_t(blue[i] >> shift)});
    return palette;
  }

  uint16_t value_at(const Header& header, const std::vector<uint8_t>& row, int64_t x, uint32_t y) const {
    const auto channel = [&](int64_t c) -> uint16_t {
      const size_t at = size_t(x * header.channels + c);
      if (header.bits == 1) return row[at / 8] >> (7 - at % 8) & 1 ? 255 : 0;
      if (header.bits == 8) return row[at];
      uint16_t value = 0;
      std::memcpy(&value, row.data() + 2 * at, 2);  // libtiff has put the bytes in this machine's order
      return value;
    };
    for (int64_t c = 1; c < header.channels; ++c)
      check_input(channel(c) == channel(0), Fault::kBadInput, name_, ": a coloured picture (pixel ", x, ", ", y,
                  "), expected grey; convert it to 8-bit grey (a mask: to its class indices)");
    const uint16_t white = header.bits == 16 ? 65535 : 255;
    return header.photometric == PHOTOMETRIC_MINISWHITE ? uint16_t(white - channel(0)) : channel(0);
  }

  const std::string& name_;
  Source source_;
  std::unique_ptr<TIFF, decltype(&TIFFClose)> file_;
};

}  // namespace

DecodedPicture decode_tiff(std::string_view bytes, const std::string& name) { return Decoder(bytes, name).decode(); }

}  // namespace echodiff
