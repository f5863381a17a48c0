// libjpeg ends the process on an error and paints over damage with a warning. Here both jump out and become an Error.
#include "tensor/io/pictures/jpeg.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// Needs FILE and size_t from the headers above.
#include <jpeglib.h>

#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr int kMostScans = 50;  // of a progressive picture; each walks over all of it

// `manager` comes first: the library hands back a pointer to it alone.
struct Failure {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void give_up(j_common_ptr info) {
  Failure* failure = reinterpret_cast<Failure*>(info->err);
  info->err->format_message(info, failure->message);
  std::longjmp(failure->jump, 1);
}

void on_message(j_common_ptr info, int level) {
  if (level < 0) give_up(info);  // a warning: the file is damaged
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans) return;
  Failure* failure = reinterpret_cast<Failure*>(info->err);
  std::snprintf(failure->message, sizeof failure->message, "more than %d scans", kMostScans);
  std::longjmp(failure->jump, 1);
}

// The orientation that Exif data state (1: as stored), 1 where they state none.
int orientation_of(std::string_view exif) {
  constexpr std::string_view kStart("Exif\0\0", 6);
  if (exif.substr(0, 6) != kStart || exif.size() < 14) return 1;
  exif.remove_prefix(6);
  const bool little = exif[0] == 'I';
  const auto number = [&](size_t at, size_t bytes) {
    size_t value = 0;
    for (size_t i = 0; i < bytes && at + bytes <= exif.size(); ++i)
      value = value << 8 | uint8_t(exif[little ? at + bytes - 1 - i : at + i]);
    return value;
  };
  const size_t table = number(4, 4);
  for (size_t entry = 0; entry < number(table, 2) && table + 14 + 12 * entry <= exif.size(); ++entry)
    if (const size_t at = table + 2 + 12 * entry; number(at, 2) == 0x0112) return int(number(at + 8, 2));
  return 1;
}

class Decoder {
 public:
  explicit Decoder(const std::string& name) : name_(name) {
    info_.err = jpeg_std_error(&failure_.manager);
    failure_.manager.error_exit = give_up;
    failure_.manager.emit_message = on_message;
    progress_.progress_monitor = on_progress;
    step([&] { jpeg_create_decompress(&info_); });
    info_.progress = &progress_;
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&info_); }

  DecodedPicture decode(std::string_view bytes) {
    step([&] {
      jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xFFFF);
      jpeg_read_header(&info_, TRUE);
    });
    check_header();
    info_.out_color_space = info_.jpeg_color_space;  // no conversion: the first of YCbCr is what is wanted
    info_.dct_method = JDCT_ISLOW;                   // the same bits on every machine
    step([&] { jpeg_start_decompress(&info_); });
    DecodedPicture picture{info_.output_width, info_.output_height, 8, {}, {}, {}};
    picture.values.resize(size_t(picture.width * picture.height));
    std::vector<JSAMPLE> row(size_t(info_.output_width) * size_t(info_.output_components));
    for (int64_t y = 0; y < picture.height; ++y) {
      JSAMPROW at = row.data();
      step([&] { jpeg_read_scanlines(&info_, &at, 1); });
      for (int64_t x = 0; x < picture.width; ++x)
        picture.values[size_t(y * picture.width + x)] = grey_of(&row[size_t(x * info_.output_components)], x, y);
    }
    step([&] { jpeg_finish_decompress(&info_); });
    return picture;
  }

 private:
  // What the library complains about becomes an Error. It jumps over the frames of `call`, which own nothing.
  template <class Call> void step(const Call& call) {
    if (setjmp(failure_.jump) != 0) throw Error(Fault::kBadInput, name_ + ": damaged JPEG: " + failure_.message);
    call();
  }

  void check_header() const {
    const int64_t width = info_.image_width, height = info_.image_height;
    const bool fits = width <= kLongestSide && height <= kLongestSide &&
                      width * height * info_.num_components <= kMostPixels;  // a progressive one is held whole
    check_input(fits, Fault::kBadInput, name_, ": ", width, "x", height, " pixels, expected at most ", kLongestSide,
                " a side and ", kMostPixels / info_.num_components, " in all");
    const J_COLOR_SPACE space = info_.jpeg_color_space;
    check_input(space == JCS_GRAYSCALE || space == JCS_YCbCr || space == JCS_RGB, Fault::kBadInput, name_,
                ": a JPEG of ", info_.num_components, " channels, expected grey; convert it to 8-bit grey");
    for (jpeg_saved_marker_ptr marker = info_.marker_list; marker != nullptr; marker = marker->next) {
      const int turned = orientation_of({reinterpret_cast<const char*>(marker->data), marker->data_length});
      check_input(turned <= 1, Fault::kBadInput, name_, ": its Exif data say that it is shown turned or mirrored ",
                  "(orientation ", turned, "), expected 1; save it upright, as its mask is");
    }
  }

  uint8_t grey_of(const JSAMPLE* pixel, int64_t x, int64_t y) const {
    constexpr int kRounding = 2;  // of chroma in coders that have their own idea of none
    for (int c = 1; c < info_.output_components; ++c) {
      const int none = info_.jpeg_color_space == JCS_YCbCr ? 128 : pixel[0];
      check_input(std::abs(pixel[c] - none) <= kRounding, Fault::kBadInput, name_, ": a coloured picture (pixel ", x,
                  ", ", y, "), expected grey; convert it to 8-bit grey");
    }
    return pixel[0];
  }

  const std::string& name_;
  Failure failure_ = {};
  jpeg_progress_mgr progress_ = {};
  jpeg_decompress_struct info_ = {};
};

}  // namespace

DecodedPicture decode_jpeg(std::string_view bytes, const std::string& name) { return Decoder(name).decode(bytes); }

}  // namespace echodiff
