// dimport on NIfTI and MetaImage: the voxels of whole numbers as they are, slope, orientation and layout as the file
// says.
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "tests/scratch_folder.h"
#include "train/phantom/phantom.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

template <class T> void put(std::string& bytes, size_t at, T value, bool swapped = false) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof raw);
  if (swapped) std::reverse(raw, raw + sizeof raw);
  std::memcpy(bytes.data() + at, raw, sizeof raw);
}

struct Nifti {
  int16_t kind = 2;
  float slope = 0, intercept = 0;
  bool swapped = false;
  int16_t sform = 0, qform = 0;
  std::array<float, 9> affine{1, 0, 0, 0, 1, 0, 0, 0, 1};  // rows
  std::array<float, 3> quaternion{0, 0, 0};
};

// `values` in the order of the file, the first axis fastest.
template <class T>
std::string nifti(int16_t W, int16_t H, int16_t D, const std::vector<T>& values, const Nifti& how = {}) {
  std::string bytes(352, '\0');
  const bool s = how.swapped;
  put<int32_t>(bytes, 0, 348, s);
  const int16_t sizes[] = {3, W, H, D};
  for (size_t i = 0; i < 4; ++i) put(bytes, 40 + 2 * i, sizes[i], s);
  put(bytes, 70, how.kind, s);
  for (size_t i = 1; i < 4; ++i) put(bytes, 76 + 4 * i, float(i) * 0.25f, s);
  put(bytes, 108, 352.0f, s);
  put(bytes, 112, how.slope, s);
  put(bytes, 116, how.intercept, s);
  put(bytes, 252, how.qform, s);
  put(bytes, 254, how.sform, s);
  for (size_t i = 0; i < 3; ++i) put(bytes, 256 + 4 * i, how.quaternion[i], s);
  for (size_t row = 0; row < 3; ++row)
    for (size_t i = 0; i < 3; ++i) put(bytes, 280 + 16 * row + 4 * i, how.affine[3 * row + i], s);
  std::memcpy(bytes.data() + 344, "n+1", 4);
  for (const T value : values) {
    bytes.resize(bytes.size() + sizeof(T));
    put(bytes, bytes.size() - sizeof(T), value, s);
  }
  return bytes;
}

class DimportVolumes : public ::testing::Test {
 protected:
  std::string at(const std::string& name) { return folder_.at(name); }
  void keep(const std::string& name, const std::string& bytes) {
    fs::create_directories(fs::path(at("lab/" + name)).parent_path());
    std::ofstream(at("lab/" + name), std::ios::binary) << bytes;
  }
  int import(const std::string& more = "--sector whole --change 0") {
    fs::remove_all(at("data"));
    const std::string command = std::string(ECHODIFF_BIN_DIR) + "/dimport " + at("lab") + " --out " + at("data") +
                                " --quiet " + more + " >" + at("said") + " 2>&1";
    return WEXITSTATUS(std::system(command.c_str()));
  }
  GrayImage only(const Nifti& how) {
    fs::remove_all(at("lab"));
    keep("v.nii", nifti<uint8_t>(24, 16, 1, ramp_, how));
    EXPECT_EQ(import(), 0) << read_file(at("said"));
    return read_png(at("data/images/000000.png"));
  }
  void SetUp() override {
    for (int i = 0; i < 24 * 16; ++i) ramp_.push_back(uint8_t((i * 7 + i / 24 * 3) % 256));
  }
  // The ramp's pixel at file coordinates.
  uint8_t value(int64_t i, int64_t j) const { return ramp_[size_t(j * 24 + i)]; }

  ScratchFolder folder_;
  std::vector<uint8_t> ramp_;
};

TEST_F(DimportVolumes, WholeNumbersStayAsTheyAreInEveryKind) {
  const auto same = [&](const std::string& what) {
    ASSERT_EQ(import(), 0) << what << read_file(at("said"));
    EXPECT_EQ(read_png(at("data/images/000000.png")).pixels, ramp_) << what;
    fs::remove_all(at("lab"));
  };
  for (const bool swapped : {false, true}) {
    keep("v.nii", nifti<uint8_t>(24, 16, 1, ramp_, {.swapped = swapped}));
    same("u8");
    keep("v.nii", nifti<int16_t>(24, 16, 1, {ramp_.begin(), ramp_.end()}, {.kind = 4, .swapped = swapped}));
    same("i16");
    keep("v.nii", nifti<int32_t>(24, 16, 1, {ramp_.begin(), ramp_.end()}, {.kind = 8, .swapped = swapped}));
    same("i32");
    keep("v.nii", nifti<float>(24, 16, 1, {ramp_.begin(), ramp_.end()}, {.kind = 16, .swapped = swapped}));
    same("f32");
    keep("v.nii", nifti<double>(24, 16, 1, {ramp_.begin(), ramp_.end()}, {.kind = 64, .swapped = swapped}));
    same("f64");
  }
  std::vector<int16_t> scaled;
  for (const uint8_t grey : ramp_) scaled.push_back(int16_t(4 * grey - 100));
  keep("v.nii", nifti<int16_t>(24, 16, 1, scaled, {.kind = 4, .slope = 0.25f, .intercept = 25}));
  same("slope");
  const std::string plain = nifti<uint8_t>(24, 16, 1, ramp_);
  fs::create_directories(at("lab"));
  gzFile zipped = gzopen(at("lab/v.nii.gz").c_str(), "wb");
  gzwrite(zipped, plain.data(), unsigned(plain.size()));
  gzclose(zipped);
  same("gz");
}

TEST_F(DimportVolumes, OrientationIsHonoured) {
  const GrayImage plain = only({.sform = 1});
  EXPECT_EQ(plain.pixels, ramp_);
  const GrayImage mirrored = only({.sform = 1, .affine = {-1, 0, 0, 0, 1, 0, 0, 0, 1}});
  const GrayImage flipped = only({.sform = 1, .affine = {1, 0, 0, 0, -1, 0, 0, 0, 1}});
  const GrayImage turned = only({.sform = 1, .affine = {0, 1, 0, 1, 0, 0, 0, 0, 1}});
  const GrayImage by_quaternion = only({.qform = 1, .quaternion = {0, 0, 1}});  // half a turn about z: both mirrored
  ASSERT_EQ(turned.width, 16);
  ASSERT_EQ(turned.height, 24);
  for (int64_t y = 0; y < 16; ++y)
    for (int64_t x = 0; x < 24; ++x) {
      EXPECT_EQ(mirrored.at(y, x), value(23 - x, y));
      EXPECT_EQ(flipped.at(y, x), value(x, 15 - y));
      EXPECT_EQ(turned.at(x, y), value(x, y));
      EXPECT_EQ(by_quaternion.at(y, x), value(23 - x, 15 - y));
    }
}

TEST_F(DimportVolumes, MetaImagePlainPackedAndBeside) {
  const std::string voxels(ramp_.begin(), ramp_.end());
  const std::string head =
      "ObjectType = Image\nNDims = 2\nDimSize = 24 16\nElementType = MET_UCHAR\nElementSpacing = 0.5 0.25\n";
  keep("a.mha", head + "ElementDataFile = LOCAL\n" + voxels);
  std::string packed(compressBound(voxels.size()), '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(voxels.data()),
           voxels.size());
  keep("b.mha", head + "CompressedData = True\nElementDataFile = LOCAL\n" + packed.substr(0, size));
  keep("c.mhd", head + "ElementDataFile = c.raw\n");
  keep("c.raw", voxels);
  keep("d.mha", head + "TransformMatrix = -1 0 0 1\nElementDataFile = LOCAL\n" + voxels);
  keep("e.mhd", head + "ElementDataFile = ../secret\n");
  EXPECT_EQ(import(), 65);
  for (const char* name : {"000000", "000001", "000002"})
    EXPECT_EQ(read_png(at(std::string("data/images/") + name + ".png")).pixels, ramp_) << name;
  EXPECT_EQ(read_png(at("data/images/000003.png")).at(2, 0), value(23, 2));
  EXPECT_FALSE(fs::exists(at("data/images/000004.png")));
  EXPECT_NE(read_file(at("data/index.csv")).find(",0.5,0.25,"), std::string::npos);
}

TEST_F(DimportVolumes, MasksBesideAndInFoldersOfTheirOwn) {
  for (const bool camus : {true, false}) {
    fs::remove_all(at("lab"));
    for (int i = 0; i < 3; ++i) {
      const Phantom phantom = make_phantom({.size = 64, .seed = 5}, i);
      const std::string number = "patient000" + std::to_string(i);
      const std::string picture = nifti<uint8_t>(64, 64, 1, phantom.image.pixels),
                        mask = nifti<uint8_t>(64, 64, 1, phantom.mask.pixels);
      if (camus) {
        keep(number + "/" + number + "_2CH_ED.nii", picture);
        keep(number + "/" + number + "_2CH_ED_gt.nii", mask);
      } else {
        keep("image_mha/" + number + ".nii", picture);
        keep("label_mha/" + number + ".nii", mask);
      }
    }
    ASSERT_EQ(import("--planes liver=1,portal_vein=2"), 0) << read_file(at("said"));
    const Phantom first = make_phantom({.size = 64, .seed = 5}, 0);
    EXPECT_EQ(read_png(at("data/masks/000000.png")).pixels, first.mask.pixels);
    const std::string index = read_file(at("data/index.csv"));
    EXPECT_NE(index.substr(index.find("000000.png,") + 11, 16), index.substr(index.find("000001.png,") + 11, 16));
    EXPECT_EQ(nlohmann::json::parse(read_file(at("data/dataset.json")))["planes"][1]["name"], "portal_vein");
  }
}

TEST_F(DimportVolumes, DamageIsOneLine) {
  const std::string whole = nifti<uint8_t>(24, 16, 1, ramp_);
  keep("good.nii", whole);
  keep("short.nii", whole.substr(0, whole.size() - 9));
  keep("head.nii", whole.substr(0, 100));
  std::string axes = whole;
  put<int16_t>(axes, 42, -5);
  keep("axes.nii", axes);
  keep("not.nii", std::string(400, 'x'));
  keep("zip.nii.gz", std::string("\x1f\x8b\x08", 3) + std::string(300, 'y'));
  keep("inf.nii", nifti<float>(24, 16, 1, std::vector<float>(24 * 16, 1 / 0.0f), {.kind = 16}));
  EXPECT_EQ(import(), 65);
  const std::string said = read_file(at("said"));
  EXPECT_NE(said.find("6 files left out"), std::string::npos) << said;
}

}  // namespace
}  // namespace echodiff
