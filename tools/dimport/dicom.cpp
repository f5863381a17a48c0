#include "dimport/dicom.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmimage/diregist.h>
#include <dcmtk/dcmimgle/dcmimage.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr int64_t kMostFrames = 4096;
constexpr double kMostColoured = 0.01;  // share of a region's pixels; more is colour flow, less a marker
constexpr int kColourful = 40;          // channels that differ so much are a colour

struct Region {
  int64_t left = 0, top = 0, right = 0, bottom = 0;  // inclusive
  std::array<double, 2> spacing{0, 0};               // mm
};

std::string text_of(DcmItem& item, const DcmTagKey& key) {
  OFString value;
  return item.findAndGetOFStringArray(key, value).good() ? std::string(value.c_str(), value.size()) : "";
}

int64_t integer_of(DcmItem& item, const DcmTagKey& key, int64_t missing) {
  Uint32 wide = 0;
  if (item.findAndGetUint32(key, wide).good()) return wide;
  Uint16 narrow = 0;
  return item.findAndGetUint16(key, narrow).good() ? int64_t(narrow) : missing;
}

double real_of(DcmItem& item, const DcmTagKey& key) {
  Float64 value = 0;
  return item.findAndGetFloat64(key, value).good() && std::isfinite(value) ? value : 0;
}

void check_class(DcmDataset& data) {
  const std::string kind = text_of(data, DCM_SOPClassUID);
  for (const char* ultrasound : {UID_UltrasoundImageStorage, UID_UltrasoundMultiframeImageStorage,
                                 UID_RETIRED_UltrasoundImageStorage, UID_RETIRED_UltrasoundMultiframeImageStorage})
    if (kind == ultrasound) return;
  throw Error(Fault::kBadInput, "is no ultrasound picture");
}

void check_syntax(E_TransferSyntax syntax) {
  for (const E_TransferSyntax wavelet :
       {EXS_JPEG2000LosslessOnly, EXS_JPEG2000, EXS_JPEG2000MulticomponentLosslessOnly, EXS_JPEG2000Multicomponent})
    check_input(syntax != wavelet, Fault::kBadInput,
                "is compressed by JPEG 2000; decode it first: gdcmconv --raw FILE DECODED");
}

// The regions of 2D tissue, in cm.
std::vector<Region> tissue_regions(DcmDataset& data, bool* named_any) {
  std::vector<Region> regions;
  DcmSequenceOfItems* list = nullptr;
  *named_any = data.findAndGetSequence(DCM_SequenceOfUltrasoundRegions, list).good() && list != nullptr;
  if (!*named_any) return regions;
  for (unsigned long i = 0; i < list->card(); ++i) {
    DcmItem& item = *list->getItem(i);
    const int64_t format = integer_of(item, DCM_RegionSpatialFormat, 0), type = integer_of(item, DCM_RegionDataType, 0);
    check_input(format != 1 || type != 2, Fault::kBadInput, "is colour Doppler, which is not imported");
    const bool in_cm =
        integer_of(item, DCM_PhysicalUnitsXDirection, 0) == 3 && integer_of(item, DCM_PhysicalUnitsYDirection, 0) == 3;
    if (format != 1 || type != 1 || !in_cm) continue;
    regions.push_back(
        {integer_of(item, DCM_RegionLocationMinX0, -1),
         integer_of(item, DCM_RegionLocationMinY0, -1),
         integer_of(item, DCM_RegionLocationMaxX1, -1),
         integer_of(item, DCM_RegionLocationMaxY1, -1),
         {10 * std::abs(real_of(item, DCM_PhysicalDeltaX)), 10 * std::abs(real_of(item, DCM_PhysicalDeltaY))}});
  }
  return regions;
}

// A region that ends with the picture on one side and leaves it on the other: the picture was cut there since. One that
// leaves it on both sides is of a picture of another size.
void follow_cut(Region& region, int64_t width, int64_t height) {
  const auto ends_with = [](int64_t last, int64_t size) { return last == size - 1 || last == size; };
  if (!ends_with(region.right, width) && !ends_with(region.bottom, height)) return;
  region.right = std::min(region.right, width - 1);
  region.bottom = std::min(region.bottom, height - 1);
}

Region choose(const std::vector<Region>& regions, bool named_any, const std::optional<int64_t>& wanted, int64_t width,
              int64_t height) {
  const int64_t count = int64_t(regions.size()), number = wanted.value_or(1);
  if (!named_any && wanted == 0) return {0, 0, width - 1, height - 1, {0, 0}};
  check_input(count > 0, Fault::kBadInput, "names no region of 2D tissue in cm",
              named_any ? "" : "; --region 0 takes whole pictures of such files");
  check_input(count == 1 || wanted, Fault::kBadInput, "names ", count,
              " regions of 2D tissue; --region N takes one of them");
  check_input(number >= 1 && number <= count, Fault::kBadInput, "names ", count, " regions of 2D tissue, not ", number);
  Region region = regions[size_t(number - 1)];
  const Region named = region;
  follow_cut(region, width, height);
  check_input(region.left >= 0 && region.top >= 0 && region.left < region.right && region.top < region.bottom &&
                  region.right < width && region.bottom < height,
              Fault::kBadInput, "names a region (", named.left, ",", named.top, ")-(", named.right, ",", named.bottom,
              ") that leaves its picture of ", width, "x", height);
  return region;
}

// One frame's region in grey. Throws where it is coloured.
GrayImage grey_of(DicomImage& image, const Region& region) {
  const int64_t width = int64_t(image.getWidth());
  const int64_t channels = image.isMonochrome() ? 1 : 3;
  if (image.isMonochrome()) image.setNoVoiTransformation();
  const uint8_t* pixels = static_cast<const uint8_t*>(image.getOutputData(8));
  check_input(pixels != nullptr, Fault::kBadInput, "is damaged: a frame can't be decoded");
  GrayImage grey{region.right - region.left + 1, region.bottom - region.top + 1, {}};
  int64_t coloured = 0;
  for (int64_t y = region.top; y <= region.bottom; ++y)
    for (int64_t x = region.left; x <= region.right; ++x) {
      const uint8_t* p = pixels + (y * width + x) * channels;
      const auto [low, high] = std::minmax_element(p, p + channels);
      coloured += *high - *low > kColourful ? 1 : 0;
      grey.pixels.push_back(channels == 1 ? *p : uint8_t(std::lround(0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2])));
    }
  check_input(double(coloured) <= kMostColoured * double(grey.pixels.size()), Fault::kBadInput,
              "is coloured (Doppler, or a tinted picture), which is not imported");
  return grey;
}

}  // namespace

bool is_dicom(const std::string& path) {
  char head[132] = {};
  std::ifstream file(path, std::ios::binary);
  return bool(file.read(head, sizeof head)) && std::memcmp(head + 128, "DICM", 4) == 0;
}

void prepare_dicom() {
  OFLog::configure(OFLogger::OFF_LOG_LEVEL);
  DcmRLEDecoderRegistration::registerCodecs();
  DJDecoderRegistration::registerCodecs();
  DJLSDecoderRegistration::registerCodecs();
  dcmDataDict.isDictionaryLoaded();
}

Clip read_dicom(const std::string& path, const std::optional<int64_t>& region) {
  DcmFileFormat file;
  check_input(file.loadFile(path.c_str()).good(), Fault::kBadInput, "is damaged: DCMTK can't read it");
  DcmDataset& data = *file.getDataset();
  check_class(data);
  const E_TransferSyntax syntax = data.getOriginalXfer();
  check_syntax(syntax);
  const int64_t width = integer_of(data, DCM_Columns, 0), height = integer_of(data, DCM_Rows, 0);
  check_input(width > 0 && height > 0 && width <= kLongestSide && height <= kLongestSide, Fault::kBadInput,
              "holds no picture of a size up to ", kLongestSide);
  const std::string said = text_of(data, DCM_NumberOfFrames);
  const int64_t frames = said.empty() ? 1 : std::strtoll(said.c_str(), nullptr, 10);
  check_input(frames >= 1 && frames <= kMostFrames, Fault::kBadInput, "has ", frames, " frames, expected 1 to ",
              kMostFrames);
  bool named_any = false;
  const std::vector<Region> regions = tissue_regions(data, &named_any);
  const Region chosen = choose(regions, named_any, region, width, height);
  Clip clip;
  clip.spacing = chosen.spacing;
  clip.said_clean = text_of(data, DCM_BurnedInAnnotation) == "NO";
  const DcmXfer packing(syntax);
  clip.lossy = packing.isLossy() || text_of(data, DCM_LossyImageCompression) == "01";
  clip.patient = text_of(data, DCM_PatientID);
  if (clip.patient.empty()) clip.patient = text_of(data, DCM_StudyInstanceUID);
  for (int64_t i = 0; i < frames; ++i) {
    DicomImage image(&file, syntax, CIF_UsePartialAccessToPixelData, static_cast<unsigned long>(i), 1);
    check_input(
        image.getStatus() == EIS_Normal && int64_t(image.getWidth()) == width && int64_t(image.getHeight()) == height,
        Fault::kBadInput, "is damaged: frame ", i + 1, " can't be decoded (", DicomImage::getString(image.getStatus()),
        ")");
    clip.frames.push_back(grey_of(image, chosen));
  }
  return clip;
}

}  // namespace echodiff
