#include "tensor/io/pictures/picture_file.h"

#include <algorithm>
#include <filesystem>

#include "kernels/error.h"
#include "tensor/io/pictures/jpeg.h"
#include "tensor/io/pictures/tiff.h"
#include "tensor/io/png.h"
#include "tensor/io/text.h"

namespace echodiff {

PictureKind kind_of_picture(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG")) return PictureKind::kPng;
  if (bytes.starts_with("\xFF\xD8\xFF")) return PictureKind::kJpeg;
  for (const std::string_view start : {std::string_view("II*\0", 4), std::string_view("MM\0*", 4),
                                       std::string_view("II+\0", 4), std::string_view("MM\0+", 4)})
    if (bytes.starts_with(start)) return PictureKind::kTiff;
  return PictureKind::kNone;
}

DecodedPicture decode_picture(std::string_view bytes, const std::string& name) {
  switch (kind_of_picture(bytes)) {
    case PictureKind::kPng: return decode_png_values(bytes, name);
    case PictureKind::kJpeg: return decode_jpeg(bytes, name);
    case PictureKind::kTiff: return decode_tiff(bytes, name);
    case PictureKind::kNone: break;
  }
  throw Error(Fault::kBadInput, name + ": not a PNG, JPEG or TIFF picture (by its first bytes)");
}

bool is_picture_name(const std::string& name) {
  const std::string ending = lowered(std::filesystem::path(name).extension().string());
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg" || ending == ".tif" || ending == ".tiff";
}

}  // namespace echodiff
