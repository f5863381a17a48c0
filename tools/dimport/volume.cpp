#include "dimport/volume.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <sstream>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 31;

enum class Number { u8, i8, u16, i16, u32, i32, f32, f64 };
int64_t size_of(Number number) {
  constexpr int64_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 8};
  return sizes[size_t(number)];
}

// What both formats say, and the bytes of the voxels, the first axis fastest.
struct Volume {
  std::vector<int64_t> size;  // of each axis, two at least
  int64_t channels = 1;
  Number number = Number::u8;
  bool swapped = false;
  double slope = 1, intercept = 0;
  std::array<double, 2> spacing{0, 0};
  // Of the first two axes: which of x, y, z each runs along most, and whether backwards.
  std::array<int, 2> axis{0, 1};
  std::array<bool, 2> backwards{false, false};
  std::string voxels;
};

std::string inflated(const std::string& bytes, int64_t expected) {  // zlib or gzip; expected < 0: not known
  z_stream stream = {};
  check_input(::inflateInit2(&stream, 15 + 32) == Z_OK, Fault::kBadInput, "is damaged: it can't be inflated");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = uInt(bytes.size());
  std::string out, piece(1 << 20, '\0');
  int code = Z_OK;
  while (code == Z_OK && int64_t(out.size()) <= kMostBytes) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = uInt(piece.size());
    code = ::inflate(&stream, Z_NO_FLUSH);
    out.append(piece.data(), piece.size() - stream.avail_out);
  }
  ::inflateEnd(&stream);
  check_input(code == Z_STREAM_END && (expected < 0 || int64_t(out.size()) == expected), Fault::kBadInput,
              "is damaged: its compressed data end too early or too late");
  return out;
}

template <class T> T value_at(const std::string& bytes, size_t at, bool swapped) {
  char raw[sizeof(T)];
  std::memcpy(raw, bytes.data() + at, sizeof raw);
  if (swapped) std::reverse(raw, raw + sizeof raw);
  T value;
  std::memcpy(&value, raw, sizeof raw);
  return value;
}

// Product of all sizes, channels and bytes of a number. Throws where it is absurd.
int64_t bytes_of(const Volume& volume) {
  int64_t bytes = size_of(volume.number) * volume.channels;
  for (const int64_t side : volume.size) {
    check_input(side >= 1 && side <= kLongestSide && bytes <= kMostBytes / side, Fault::kBadInput,
                "is damaged: an axis of ", side);
    bytes *= side;
  }
  return bytes;
}

// `columns`: where one step along each of the first two axes leads.
void orient(Volume& volume, const std::array<std::array<double, 3>, 2>& columns) {
  for (size_t i = 0; i < 2; ++i) {
    const auto larger = [](double a, double b) { return std::abs(a) < std::abs(b); };
    const auto most = std::max_element(columns[i].begin(), columns[i].end(), larger);
    volume.axis[i] = int(most - columns[i].begin());
    volume.backwards[i] = *most < 0;
  }
  check_input(volume.axis[0] != volume.axis[1], Fault::kBadInput, "is damaged: two axes run the same way");
}

Number nifti_number(int code) {
  const std::map<int, Number> known{{2, Number::u8},   {4, Number::i16},  {8, Number::i32},   {16, Number::f32},
                                    {64, Number::f64}, {256, Number::i8}, {512, Number::u16}, {768, Number::u32}};
  check_input(known.contains(code), Fault::kBadInput, "holds numbers of NIfTI's kind ", code,
              ", expected whole numbers of up to 32 bits, or floats");
  return known.at(code);
}

Volume parse_nifti(const std::string& bytes) {
  check_input(bytes.size() >= 352, Fault::kBadInput, "is damaged: it ends within its header");
  Volume volume;
  volume.swapped = value_at<int32_t>(bytes, 0, false) != 348;
  const bool swapped = volume.swapped;
  check_input(value_at<int32_t>(bytes, 0, swapped) == 348 && bytes.compare(344, 4, std::string("n+1\0", 4)) == 0,
              Fault::kBadInput, "is no NIfTI-1 of one file");
  const int axes = value_at<int16_t>(bytes, 40, swapped);
  check_input(axes >= 2 && axes <= 7, Fault::kBadInput, "has ", axes, " axes, expected 2 to 7");
  for (int i = 1; i <= axes; ++i) volume.size.push_back(value_at<int16_t>(bytes, size_t(40 + 2 * i), swapped));
  volume.number = nifti_number(value_at<int16_t>(bytes, 70, swapped));
  for (size_t i = 0; i < 2; ++i) volume.spacing[i] = std::abs(double(value_at<float>(bytes, 80 + 4 * i, swapped)));
  const double slope = value_at<float>(bytes, 112, swapped), intercept = value_at<float>(bytes, 116, swapped);
  if (std::isfinite(slope) && slope != 0)
    volume.slope = slope, volume.intercept = std::isfinite(intercept) ? intercept : 0;
  if (value_at<int16_t>(bytes, 254, swapped) > 0) {
    std::array<std::array<double, 3>, 2> columns{};
    for (size_t row = 0; row < 3; ++row)
      for (size_t i = 0; i < 2; ++i) columns[i][row] = value_at<float>(bytes, 280 + 16 * row + 4 * i, swapped);
    orient(volume, columns);
  } else if (value_at<int16_t>(bytes, 252, swapped) > 0) {
    const double b = value_at<float>(bytes, 256, swapped), c = value_at<float>(bytes, 260, swapped),
                 d = value_at<float>(bytes, 264, swapped), a = std::sqrt(std::max(0.0, 1 - b * b - c * c - d * d));
    orient(volume, {{{a * a + b * b - c * c - d * d, 2 * (b * c + a * d), 2 * (b * d - a * c)},
                     {2 * (b * c - a * d), a * a + c * c - b * b - d * d, 2 * (c * d + a * b)}}});
  }
  const double offset = value_at<float>(bytes, 108, swapped);
  check_input(offset >= 348 && offset <= double(bytes.size()), Fault::kBadInput,
              "is damaged: its voxels begin nowhere");
  volume.voxels = bytes.substr(size_t(offset), size_t(bytes_of(volume)));
  return volume;
}

std::vector<double> numbers_in(const std::string& text) {
  std::istringstream in(text);
  std::vector<double> numbers;
  for (double one; in >> one;) numbers.push_back(one);
  return numbers;
}

Number meta_number(const std::string& name) {
  const std::map<std::string, Number> known{
      {"MET_UCHAR", Number::u8}, {"MET_CHAR", Number::i8}, {"MET_USHORT", Number::u16}, {"MET_SHORT", Number::i16},
      {"MET_UINT", Number::u32}, {"MET_INT", Number::i32}, {"MET_FLOAT", Number::f32},  {"MET_DOUBLE", Number::f64}};
  check_input(known.contains(name), Fault::kBadInput, "holds numbers of MetaImage's kind '", name, "'");
  return known.at(name);
}

// The bytes behind ElementDataFile: behind the header, or in a file beside it.
std::string meta_data(const std::string& where, const std::string& behind, const std::string& path) {
  if (where == "LOCAL") return behind;
  check_input(!where.empty() && where.find('/') == std::string::npos && where != "LIST", Fault::kBadInput,
              "keeps its voxels in '", where, "', expected LOCAL or a file beside it");
  return read_file((std::filesystem::path(path).parent_path() / where).string());
}

Volume parse_meta(const std::string& bytes, const std::string& path) {
  std::map<std::string, std::string> header;
  size_t at = 0;
  while (at < bytes.size() && !header.contains("ElementDataFile")) {
    const size_t end = std::min(bytes.find('\n', at), bytes.size());
    const std::string line = bytes.substr(at, end - at);
    const size_t equals = line.find('=');
    check_input(equals != std::string::npos && line.size() < 4096, Fault::kBadInput,
                "is damaged: its header has no end");
    header[trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
    at = end + 1;
  }
  Volume volume;
  for (const double side : numbers_in(header["DimSize"]))
    volume.size.push_back(side >= 1 && side <= 65536 ? int64_t(side) : 0);
  check_input(volume.size.size() >= 2 && volume.size.size() <= 7 &&
                  int64_t(volume.size.size()) == std::atoi(header["NDims"].c_str()),
              Fault::kBadInput, "is damaged: NDims and DimSize differ");
  volume.number = meta_number(header["ElementType"]);
  volume.channels =
      header.contains("ElementNumberOfChannels") ? std::atoi(header["ElementNumberOfChannels"].c_str()) : 1;
  check_input(volume.channels == 1 || volume.channels == 3, Fault::kBadInput, "has ", volume.channels, " channels");
  for (const char* name : {"BinaryDataByteOrderMSB", "ElementByteOrderMSB"})
    volume.swapped = volume.swapped || lowered(header[name]) == "true";
  const std::vector<double> spacing =
      numbers_in(header.contains("ElementSpacing") ? header["ElementSpacing"] : header["ElementSize"]);
  for (size_t i = 0; i < 2 && i < spacing.size(); ++i) volume.spacing[i] = std::abs(spacing[i]);
  for (const char* name : {"TransformMatrix", "Orientation", "Rotation"}) {
    const std::vector<double> matrix = numbers_in(header[name]);  // a row for each axis of the file
    const size_t axes = volume.size.size();
    if (matrix.size() != axes * axes) continue;
    std::array<std::array<double, 3>, 2> columns{};
    for (size_t i = 0; i < 2; ++i)
      for (size_t k = 0; k < std::min<size_t>(3, axes); ++k) columns[i][k] = matrix[i * axes + k];
    orient(volume, columns);
    break;
  }
  volume.voxels = meta_data(header["ElementDataFile"], bytes.substr(std::min(at, bytes.size())), path);
  if (lowered(header["CompressedData"]) == "true") volume.voxels = inflated(volume.voxels, bytes_of(volume));
  return volume;
}

std::vector<double> values_of(const Volume& volume) {
  const int64_t each = size_of(volume.number), wanted = bytes_of(volume);
  check_input(int64_t(volume.voxels.size()) >= wanted, Fault::kBadInput, "is damaged: it ends within its voxels");
  std::vector<double> values;
  for (int64_t at = 0; at < wanted; at += each) {
    const auto as = [&]<class T>(T) { return double(value_at<T>(volume.voxels, size_t(at), volume.swapped)); };
    double value = 0;
    switch (volume.number) {
      case Number::u8: value = as(uint8_t()); break;
      case Number::i8: value = as(int8_t()); break;
      case Number::u16: value = as(uint16_t()); break;
      case Number::i16: value = as(int16_t()); break;
      case Number::u32: value = as(uint32_t()); break;
      case Number::i32: value = as(int32_t()); break;
      case Number::f32: value = as(float()); break;
      case Number::f64: value = as(double()); break;
    }
    value = value * volume.slope + volume.intercept;
    check_input(std::isfinite(value), Fault::kBadInput, "holds numbers that are not finite");
    values.push_back(value);
  }
  return values;
}

// Whole numbers from 0 to 255 as they are, else 0 to 255 from the least to the largest.
std::vector<uint8_t> greys_of(const std::vector<double>& values, bool is_mask) {
  const bool whole =
      std::all_of(values.begin(), values.end(), [](double v) { return v >= 0 && v <= 255 && v == std::floor(v); });
  check_input(whole || !is_mask, Fault::kBadInput, "is a mask, expected whole numbers from 0 to 255");
  const auto [least, largest] = std::minmax_element(values.begin(), values.end());
  const double low = whole ? 0 : *least, span = whole ? 255 : std::max(*largest - *least, 1e-300);
  std::vector<uint8_t> greys;
  for (const double value : values) greys.push_back(uint8_t(std::lround((value - low) / span * 255)));
  return greys;
}

}  // namespace

std::string volume_stem(const std::string& path) {
  std::string name = std::filesystem::path(path).filename().string();
  for (const std::string ending : {".nii", ".nii.gz", ".mha", ".mhd"})
    if (lowered(name).ends_with(ending)) return name.substr(0, name.size() - ending.size());
  return "";
}

Clip read_volume(const std::string& path, bool is_mask) {
  std::string bytes = read_file(path);
  const std::string name = lowered(path);
  if (name.ends_with(".gz")) bytes = inflated(bytes, -1);
  const bool nifti = name.ends_with(".nii") || name.ends_with(".gz");
  const Volume volume = nifti ? parse_nifti(bytes) : parse_meta(bytes, path);
  const std::vector<uint8_t> greys = greys_of(values_of(volume), is_mask);
  const bool turned = volume.axis[0] > volume.axis[1];
  const int64_t W = volume.size[0], H = volume.size[1], C = volume.channels;
  Clip clip;
  clip.spacing = turned ? std::array{volume.spacing[1], volume.spacing[0]} : volume.spacing;
  for (size_t first = 0; first < greys.size(); first += size_t(W * H * C)) {
    GrayImage frame{turned ? H : W, turned ? W : H, std::vector<uint8_t>(size_t(W * H))};
    for (int64_t j = 0; j < H; ++j)
      for (int64_t i = 0; i < W; ++i) {
        const uint8_t* voxel = &greys[first + size_t((j * W + i) * C)];
        const int64_t x = volume.backwards[0] ? W - 1 - i : i, y = volume.backwards[1] ? H - 1 - j : j;
        check_input(C == 1 || (voxel[0] == voxel[1] && voxel[1] == voxel[2]), Fault::kBadInput, "is coloured");
        (turned ? frame.at(x, y) : frame.at(y, x)) = *voxel;
      }
    clip.frames.push_back(std::move(frame));
  }
  return clip;
}

}  // namespace echodiff
