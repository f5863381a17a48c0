#include "tests/dimport/made_dicom.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcrleerg.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmimage/diregist.h>
#include <dcmtk/dcmjpeg/djencode.h>

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>

namespace echodiff {
namespace {

void must(const OFCondition& condition) {
  if (condition.bad()) throw std::runtime_error(condition.text());
}

void put_region(DcmItem& data, const Screen& screen, const MadeDicom& how, unsigned long number) {
  DcmItem* item = nullptr;
  must(data.findOrCreateSequenceItem(DCM_SequenceOfUltrasoundRegions, item, long(number)));
  must(item->putAndInsertUint16(DCM_RegionSpatialFormat, 1));
  must(item->putAndInsertUint16(DCM_RegionDataType, Uint16(how.region_type)));
  must(item->putAndInsertUint32(DCM_RegionFlags, 0));
  const int64_t beyond = how.leaves_picture ? 10000 : 0;
  must(item->putAndInsertUint32(DCM_RegionLocationMinX0, Uint32(screen.left)));
  must(item->putAndInsertUint32(DCM_RegionLocationMinY0, Uint32(screen.top)));
  must(item->putAndInsertUint32(DCM_RegionLocationMaxX1, Uint32(screen.right + beyond)));
  must(item->putAndInsertUint32(DCM_RegionLocationMaxY1, Uint32(screen.bottom)));
  must(item->putAndInsertUint16(DCM_PhysicalUnitsXDirection, 3));
  must(item->putAndInsertUint16(DCM_PhysicalUnitsYDirection, 3));
  must(item->putAndInsertFloat64(DCM_PhysicalDeltaX, 0.03));
  must(item->putAndInsertFloat64(DCM_PhysicalDeltaY, 0.03));
}

std::vector<Uint8> samples_of(const Screen& screen, Layout layout) {
  std::vector<Uint8> samples;
  for (const GrayImage& frame : screen.frames)
    for (const uint8_t grey : frame.pixels) {
      if (layout == Layout::monochrome || layout == Layout::palette) {
        samples.push_back(layout == Layout::palette ? Uint8(255 - grey) : grey);
      } else if (layout == Layout::ybr) {
        samples.insert(samples.end(), {grey, 128, 128});
      } else {
        samples.insert(samples.end(), {grey, grey, layout == Layout::coloured && grey > 60 ? Uint8(0) : grey});
      }
    }
  return samples;
}

void put_palette(DcmItem& data) {  // entry i is the grey 255 - i
  const Uint16 description[3] = {256, 0, 16};
  std::vector<Uint16> greys;
  for (int i = 0; i < 256; ++i) greys.push_back(Uint16((255 - i) * 257));
  for (const DcmTagKey& key : {DCM_RedPaletteColorLookupTableDescriptor, DCM_GreenPaletteColorLookupTableDescriptor,
                               DCM_BluePaletteColorLookupTableDescriptor})
    must(data.putAndInsertUint16Array(key, description, 3));
  for (const DcmTagKey& key :
       {DCM_RedPaletteColorLookupTableData, DCM_GreenPaletteColorLookupTableData, DCM_BluePaletteColorLookupTableData})
    must(data.putAndInsertUint16Array(key, greys.data(), 256));
}

}  // namespace

void write_dicom(const std::string& path, const Screen& screen, const MadeDicom& how) {
  static const bool registered = [] {
    DJEncoderRegistration::registerCodecs();
    DcmRLEEncoderRegistration::registerCodecs();
    return true;
  }();
  (void)registered;
  DcmFileFormat file;
  DcmDataset& data = *file.getDataset();
  const bool clip = screen.frames.size() > 1;
  must(data.putAndInsertString(DCM_SOPClassUID, !how.ultrasound ? UID_CTImageStorage
                                                : clip          ? UID_UltrasoundMultiframeImageStorage
                                                                : UID_UltrasoundImageStorage));
  char uid[100];
  must(data.putAndInsertString(DCM_SOPInstanceUID, dcmGenerateUniqueIdentifier(uid)));
  must(data.putAndInsertString(DCM_PatientID, how.patient.c_str()));
  must(data.putAndInsertString(DCM_PatientName, how.patient.c_str()));
  if (!how.burned_in.empty()) must(data.putAndInsertString(DCM_BurnedInAnnotation, how.burned_in.c_str()));
  const bool colour = how.layout == Layout::rgb || how.layout == Layout::ybr || how.layout == Layout::coloured;
  const char* names[] = {"MONOCHROME2", "RGB", "YBR_FULL", "PALETTE COLOR", "RGB"};
  must(data.putAndInsertString(DCM_PhotometricInterpretation, names[int(how.layout)]));
  must(data.putAndInsertUint16(DCM_SamplesPerPixel, colour ? 3 : 1));
  if (colour) must(data.putAndInsertUint16(DCM_PlanarConfiguration, 0));
  must(data.putAndInsertUint16(DCM_Columns, Uint16(screen.frames[0].width)));
  must(data.putAndInsertUint16(DCM_Rows, Uint16(screen.frames[0].height)));
  must(data.putAndInsertUint16(DCM_BitsAllocated, 8));
  must(data.putAndInsertUint16(DCM_BitsStored, 8));
  must(data.putAndInsertUint16(DCM_HighBit, 7));
  must(data.putAndInsertUint16(DCM_PixelRepresentation, 0));
  if (clip) must(data.putAndInsertString(DCM_NumberOfFrames, std::to_string(screen.frames.size()).c_str()));
  if (how.layout == Layout::palette) put_palette(data);
  for (int i = 0; i < how.regions; ++i) put_region(data, screen, how, static_cast<unsigned long>(i));
  const std::vector<Uint8> samples = samples_of(screen, how.layout);
  must(data.putAndInsertUint8Array(DCM_PixelData, samples.data(), static_cast<unsigned long>(samples.size())));
  E_TransferSyntax syntax = EXS_LittleEndianExplicit;
  if (how.packing == Packing::rle) syntax = EXS_RLELossless;
  if (how.packing == Packing::jpeg) syntax = EXS_JPEGProcess1;
  must(data.chooseRepresentation(syntax, nullptr));
  must(file.saveFile(path.c_str(), syntax));
}

void burn_in(GrayImage& picture, const std::string& digits, int64_t x, int64_t y, int64_t height, uint8_t grey) {
  constexpr uint8_t kSegments[10] = {0x77, 0x24, 0x5d, 0x6d, 0x2e, 0x6b, 0x7b, 0x25, 0x7f, 0x6f};
  const int64_t width = height / 2, thick = std::max<int64_t>(1, height / 8);
  const auto bar = [&](int64_t left, int64_t top, int64_t w, int64_t h) {
    for (int64_t r = top; r < top + h; ++r)
      for (int64_t c = left; c < left + w; ++c)
        if (r >= 0 && c >= 0 && r < picture.height && c < picture.width) picture.at(r, c) = grey;
  };
  for (const char digit : digits) {
    const uint8_t lit = kSegments[(digit - '0') % 10];
    const int64_t middle = y + height / 2;
    if (lit & 1) bar(x, y, width, thick);
    if (lit & 2) bar(x, y, thick, height / 2);
    if (lit & 4) bar(x + width - thick, y, thick, height / 2);
    if (lit & 8) bar(x, middle, width, thick);
    if (lit & 16) bar(x, middle, thick, height - height / 2);
    if (lit & 32) bar(x + width - thick, middle, thick, height - height / 2);
    if (lit & 64) bar(x, y + height - thick, width, thick);
    x += width + std::max<int64_t>(2, height / 4);
  }
}

void write_text(GrayImage& picture, const std::string& text, int64_t x, int64_t y, int64_t scale, uint8_t grey) {
  static const std::map<char, std::array<uint8_t, 7>> kRows = {
      {'A', {14, 17, 17, 31, 17, 17, 17}}, {'D', {30, 17, 17, 17, 17, 17, 30}}, {'E', {31, 16, 16, 30, 16, 16, 31}},
      {'J', {7, 2, 2, 2, 2, 18, 12}},      {'M', {17, 27, 21, 21, 17, 17, 17}}, {'N', {17, 25, 21, 19, 17, 17, 17}},
      {'O', {14, 17, 17, 17, 17, 17, 14}}, {'S', {15, 16, 16, 14, 1, 1, 30}},   {' ', {}}};
  const auto light = [&](int64_t row, int64_t column, int share) {
    if (row < 0 || column < 0 || row >= picture.height || column >= picture.width) return;
    uint8_t& pixel = picture.at(row, column);
    pixel = std::max(pixel, uint8_t(grey * share / 10));
  };
  for (const char letter : text) {
    const std::array<uint8_t, 7>& rows = kRows.at(letter);
    for (int64_t r = 0; r < 7 * scale; ++r)
      for (int64_t c = 0; c < 5 * scale; ++c) {
        if ((rows[size_t(r / scale)] >> (4 - c / scale) & 1) == 0) continue;
        light(y + r, x + c, 10);
        for (const int64_t side : {-1, 1}) light(y + r, x + c + side, 3), light(y + r + side, x + c, 1);
      }
    x += 6 * scale;
  }
}

}  // namespace echodiff
