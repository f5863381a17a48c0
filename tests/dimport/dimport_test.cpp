// dimport on ultrasound of four layouts: the sector is found, names outside of it are gone and those inside are told
// of, nothing says who the patient is, and files that aren't right are named and left out.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "kernels/philox.h"
#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "tests/dimport/made_dicom.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "train/data/image.h"
#include "train/phantom/phantom.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kWide = 480, kHigh = 360, kLeft = 120, kTop = 60;  // the screen, and where the fan's picture is

struct Made {
  Screen screen;
  GrayImage sector;  // of the region, 0 and 255
};

// A fan on a screen, still or moving: a name above it, one beside it, and one inside where `inside` says so.
Made made_screen(uint64_t seed, int64_t frames, bool inside) {
  const Phantom phantom = make_phantom({.size = 256, .seed = seed}, 0);
  Made made;
  made.sector = phantom.sector;
  for (uint8_t& value : made.sector.pixels) value = value != 0 ? 255 : 0;
  made.screen.left = kLeft - 8, made.screen.top = kTop - 30;  // letters are within the region, as makers have them
  made.screen.right = kLeft + 255 + 8, made.screen.bottom = kTop + 255 + 8;
  for (int64_t k = 0; k < frames; ++k) {
    GrayImage frame{kWide, kHigh, std::vector<uint8_t>(size_t(kWide * kHigh), 0)};
    Random random(seed, uint64_t(1000 + k));
    for (int64_t y = 0; y < 256; ++y)
      for (int64_t x = 0; x < 256; ++x) {
        const double moves = frames > 1 ? 0.75 + 0.5 * random.uniform() : 1;
        if (made.sector.at(y, x) != 0) frame.at(kTop + y, kLeft + x) = to_byte(moves * phantom.image.at(y, x));
      }
    burn_in(frame, "4711", kLeft + 4, kTop - 26, 14, 240);
    burn_in(frame, "0815", kLeft + 260, kTop + 100, 16, 200);
    if (inside) burn_in(frame, "31415", kLeft + 100, kTop + 120, 14, 255);
    made.screen.frames.push_back(std::move(frame));
  }
  return made;
}

// Of the sector that the import found with that of the phantom, both as the region is cut.
double overlap(const GrayImage& found, const GrayImage& truth) {
  double both = 0, either = 0;
  for (int64_t y = 0; y < found.height; ++y)
    for (int64_t x = 0; x < found.width; ++x) {
      const int64_t tx = x - 8, ty = y - 30;
      const bool a = found.at(y, x) != 0, b = tx >= 0 && ty >= 0 && tx < 256 && ty < 256 && truth.at(ty, tx) != 0;
      both += a && b ? 1 : 0;
      either += a || b ? 1 : 0;
    }
  return both / either;
}

class Dimport : public ::testing::Test {
 protected:
  std::string at(const std::string& name) { return folder_.at(name); }
  // Exit code; what it says on either stream goes to said.
  int import(const std::string& more) {
    const std::string command = std::string(ECHODIFF_BIN_DIR) + "/dimport " + at("lab") + " --out " + at("data") +
                                " --quiet " + more + " >" + at("said") + " 2>&1";
    return WEXITSTATUS(std::system(command.c_str()));
  }
  std::string said() { return read_file(at("said")); }
  void SetUp() override { fs::create_directories(at("lab")); }
  ScratchFolder folder_;
};

TEST_F(Dimport, FindsTheSectorAndLeavesNoNameOutsideOfIt) {
  struct Case {
    std::string file;
    bool inside, lossy;
    GrayImage truth;
  };
  std::vector<Case> cases;
  int64_t number = 0;
  for (const Layout layout : {Layout::monochrome, Layout::rgb, Layout::ybr, Layout::palette})
    for (const Packing packing : {Packing::raw, Packing::rle, Packing::jpeg})
      for (const int64_t frames : {1, 6}) {
        if (packing == Packing::jpeg && layout == Layout::palette) continue;  // an index can't be lossy
        const bool inside = number % 2 == 1;
        const Made made = made_screen(uint64_t(100 + number), frames, inside);
        const std::string file = "file" + std::to_string(1000 + number++) + ".dcm";
        write_dicom(at("lab/" + file), made.screen, {.layout = layout, .packing = packing, .patient = "PAT-" + file});
        cases.push_back({file, inside, packing == Packing::jpeg, made.sector});
      }
  ASSERT_EQ(import("--change 0"), 0) << said();
  std::istringstream index(read_file(at("data/index.csv")));
  std::string line;
  std::getline(index, line);
  EXPECT_EQ(line, "file,group,clip,frame,spacing_x_mm,spacing_y_mm,letters");
  std::set<std::string> groups;
  int64_t pictures = 0, told = 0, of_inside = 0;
  while (std::getline(index, line)) {
    std::istringstream cells(line);
    std::string file, group, clip, frame, spacing, other, letters;
    for (std::string* cell : {&file, &group, &clip, &frame, &spacing, &other, &letters})
      std::getline(cells, *cell, ',');
    const Case& one = cases.at(size_t(std::stoll(clip)));
    groups.insert(group);
    EXPECT_EQ(spacing, "0.3");
    const GrayImage picture = read_png(at("data/images/" + file)), sector = read_png(at("data/sector/" + file));
    EXPECT_GE(overlap(sector, one.truth), 0.98) << one.file << " " << line;
    for (int64_t y = 0; y < 22; ++y)  // where the name above the fan was
      for (int64_t x = 0; x < picture.width; ++x) ASSERT_EQ(picture.at(y, x), 0) << one.file << " " << x << " " << y;
    of_inside += one.inside ? 1 : 0;
    told += one.inside && letters == "yes" ? 1 : 0;
    ++pictures;
  }
  EXPECT_EQ(groups.size(), cases.size());
  EXPECT_GT(pictures, int64_t(cases.size()));
  EXPECT_EQ(told, of_inside);
  // Nothing of the patients, and no file's name.
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(at("data"))) {
    if (!entry.is_regular_file()) continue;
    const std::string bytes = read_file(entry.path().string());
    for (const char* word : {"PAT-", "file10", "DOE"}) EXPECT_EQ(bytes.find(word), std::string::npos) << entry.path();
  }
  EXPECT_EQ(nlohmann::json::parse(read_file(at("data/dataset.json")))["reviewed"], false);
}

// Stills, on which nothing tells letters from tissue by moving: names of three sizes and greys inside, and beside the
// sector so near that they touch its side.
TEST_F(Dimport, LettersThatTouchTheSectorAreNoPartOfIt) {
  std::vector<GrayImage> truths;
  std::vector<bool> inside;
  for (uint64_t i = 0; i < 12; ++i) {
    Made made = made_screen(i == 9 ? 420 : 400 + i, 1, false);  // 409 is half in shadow: no side to be found
    GrayImage& frame = made.screen.frames[0];
    GrayImage beside = frame;
    const int64_t scale = 1 + int64_t((i + 2) % 3);
    const uint8_t grey = i % 2 == 0 ? 255 : 180;
    const int64_t row = 90;
    int64_t side = 0;
    while (made.sector.at(row, side) == 0) ++side;
    const bool jpeg = i % 3 == 0;  // in JPEG a letter and tissue that touch are one
    const std::string name = scale == 1 ? "JANE DOE" : scale == 2 ? "JANE" : "DOE";
    write_text(beside, name, kLeft + side - 6 * scale * int64_t(name.size()) + (jpeg ? -4 : 3), kTop + row, scale,
               grey);
    for (int64_t y = 0; y < 256; ++y)
      for (int64_t x = -120; x < 256; ++x)
        if (x < 0 || made.sector.at(y, x) == 0) frame.at(kTop + y, kLeft + x) = beside.at(kTop + y, kLeft + x);
    inside.push_back(i % 4 == 1);
    if (inside.back()) write_text(frame, "MAD DAN", kLeft + 90, kTop + 130, 2, grey);
    write_dicom(at("lab/" + std::to_string(100 + i)), made.screen, {.packing = jpeg ? Packing::jpeg : Packing::raw});
    truths.push_back(made.sector);
  }
  ASSERT_EQ(import(""), 0) << said();
  std::istringstream index(read_file(at("data/index.csv")));
  std::string line;
  std::getline(index, line);
  for (size_t i = 0; i < truths.size(); ++i) {
    std::getline(index, line);
    EXPECT_GE(overlap(read_png(at("data/sector/" + line.substr(0, 10))), truths[i]), 0.97) << i;
    EXPECT_TRUE(line.ends_with("yes") || !inside[i]) << i;
  }
}

TEST_F(Dimport, AReviewTakesOutWhatShowsNames) {
  for (uint64_t i = 0; i < 3; ++i) write_dicom(at("lab/" + std::to_string(i)), made_screen(i, 1, i == 1).screen, {});
  ASSERT_EQ(import(""), 0) << said();
  EXPECT_NE(read_file(at("data/review.html")).find("\"files\":[\"000001.png\",\"000000.png\",\"000002.png\"]"),
            std::string::npos);
  const auto review = [&](const std::string& text) {
    std::ofstream(at("reviewed.json")) << text;
    return run("dimport reviewed " + at("data") + " " + at("reviewed.json"));
  };
  const std::string all = "\"looked_at\": [\"000000.png\", \"000001.png\", \"000002.png\"]";
  EXPECT_EQ(review("{"), 65);
  EXPECT_EQ(review("{\"kind\": \"reviewed\", \"looked_at\": [\"000001.png\"], \"names\": []}"), 65);
  EXPECT_EQ(review("{\"kind\": \"reviewed\", " + all + ", \"names\": [\"../index.csv\"]}"), 65);
  EXPECT_EQ(nlohmann::json::parse(read_file(at("data/dataset.json")))["reviewed"], false);
  ASSERT_EQ(review("{\"kind\": \"reviewed\", " + all + ", \"names\": [\"000001.png\"]}"), 0);
  EXPECT_EQ(nlohmann::json::parse(read_file(at("data/dataset.json")))["reviewed"], true);
  EXPECT_FALSE(fs::exists(at("data/images/000001.png")));
  EXPECT_FALSE(fs::exists(at("data/sector/000001.png")));
  const std::string index = read_file(at("data/index.csv"));
  EXPECT_EQ(std::count(index.begin(), index.end(), '\n'), 3);
  EXPECT_EQ(index.find("000001.png"), std::string::npos);
}

TEST_F(Dimport, TrainsFromItAndSaysThatNobodyLooked) {
  for (uint64_t i = 0; i < 6; ++i)
    write_dicom(at("lab/" + std::to_string(i)), made_screen(i, 1, false).screen, {.patient = "P" + std::to_string(i)});
  ASSERT_EQ(import(""), 0) << said();
  const std::string train = std::string(ECHODIFF_BIN_DIR) + "/dtrain diffusion --data " + at("data") +
                            " --image-size 16 --dim 8 --mults 1,2 --steps 2 --batch 2 --timesteps 10 --val-every 0 "
                            "--sample-every 0 --out " +
                            at("run") + " 2>" + at("said");
  ASSERT_EQ(std::system(train.c_str()), 0) << said();
  EXPECT_NE(said().find("unreviewed"), std::string::npos) << said();
  EXPECT_EQ(run("dsample --model " + at("run") + " --masks " + at("data") +
                " --count 2 --sampler ddim --sample-steps 2 --out " + at("samples")),
            0);
  ASSERT_EQ(run("dimport reviewed " + at("data")), 0);
  EXPECT_EQ(nlohmann::json::parse(read_file(at("data/dataset.json")))["reviewed"], true);
  EXPECT_EQ(import(""), 73);
}

TEST_F(Dimport, FilesThatAreNotRightAreNamedAndOthersGoOn) {
  const Screen screen = made_screen(1, 1, false).screen;
  write_dicom(at("lab/a_good"), screen, {.burned_in = "NO"});
  write_dicom(at("lab/b_ct"), screen, {.ultrasound = false});
  write_dicom(at("lab/c_none"), screen, {.regions = 0});
  write_dicom(at("lab/d_two"), screen, {.regions = 2});
  write_dicom(at("lab/e_leaves"), screen, {.leaves_picture = true});
  write_dicom(at("lab/f_doppler"), screen, {.region_type = 2});
  write_dicom(at("lab/g_coloured"), screen, {.layout = Layout::coloured});
  Screen black = screen;
  black.frames[0].pixels.assign(black.frames[0].pixels.size(), 0);
  write_dicom(at("lab/h_black"), black, {});
  fs::copy_file(at("lab/a_good"), at("lab/i_cut"));
  fs::resize_file(at("lab/i_cut"), 400);
  EXPECT_EQ(import(""), 65);
  for (const char* part :
       {"b_ct is no ultrasound", "c_none names no region", "d_two names 2 regions", "e_leaves names a region",
        "f_doppler is colour Doppler", "g_coloured is coloured", "h_black shows nothing", "i_cut ", "8 files left out"})
    EXPECT_NE(said().find(part), std::string::npos) << part << "\n" << said();
  EXPECT_EQ(read_png(at("data/images/000000.png")).width, screen.right - screen.left + 1);
  EXPECT_FALSE(fs::exists(at("data/images/000001.png")));
  EXPECT_EQ(nlohmann::json::parse(read_file(at("data/dataset.json")))["reviewed"], true);  // it said NO, and shows none
  fs::remove_all(at("data"));
  EXPECT_EQ(import("--region 2"), 65);
  EXPECT_EQ(said().find("d_two"), std::string::npos) << said();
  fs::remove_all(at("data"));
  EXPECT_EQ(import("--region 0"), 65);
  EXPECT_EQ(said().find("c_none"), std::string::npos) << said();
}

TEST_F(Dimport, ASaltMakesGroupsThatLast) {
  write_dicom(at("lab/one"), made_screen(1, 1, false).screen, {});
  std::ofstream(at("salt")) << "sixteen or more bytes of it";
  const auto group = [&](const std::string& more) {
    fs::remove_all(at("data"));
    EXPECT_EQ(import(more), 0) << said();
    const std::string index = read_file(at("data/index.csv"));
    EXPECT_EQ(index.find("sixteen"), std::string::npos);
    return index.substr(index.find("000000.png,") + 11, 16);
  };
  const std::string with = group("--salt " + at("salt"));
  EXPECT_EQ(group("--salt " + at("salt")), with);
  EXPECT_NE(group(""), with);
  EXPECT_NE(group(""), group(""));
}

// ECHODIFF_DAMAGED=1000000 tries as many files.
TEST_F(Dimport, DamagedBytesNeverEndIt) {
  const char* wanted = std::getenv("ECHODIFF_DAMAGED");
  const uint64_t count = wanted != nullptr ? std::stoull(wanted) : 120, batch = 2000;
  std::vector<std::string> whole;
  for (const Packing packing : {Packing::raw, Packing::rle, Packing::jpeg}) {
    Screen screen{{}, 2, 2, 60, 44};
    Random random(3, uint64_t(packing));
    for (int64_t k = 0; k < 2; ++k) {
      GrayImage frame{64, 48, {}};
      for (int64_t i = 0; i < 64 * 48; ++i) frame.pixels.push_back(uint8_t(random.below(256)));
      screen.frames.push_back(std::move(frame));
    }
    write_dicom(at("whole"), screen, {.layout = Layout::rgb, .packing = packing});
    whole.push_back(read_file(at("whole")));
  }
  for (uint64_t begin = 0; begin < count; begin += batch) {
    fs::remove_all(at("lab"));
    fs::remove_all(at("data"));
    fs::create_directories(at("lab"));
    for (uint64_t i = begin; i < std::min(count, begin + batch); ++i) {
      std::string bytes = whole[i % 3];
      Random random(7, i);
      const int64_t within = i % 2 == 0 ? 1200 : int64_t(bytes.size());
      for (int64_t k = 0; k < 6; ++k) bytes[size_t(132 + random.below(within - 132))] = char(random.below(256));
      if (i % 5 == 0) bytes.resize(size_t(200 + random.below(int64_t(bytes.size()) - 200)));
      std::ofstream(at("lab/" + std::to_string(i)), std::ios::binary) << bytes;
    }
    std::ofstream(at("lab/zz"), std::ios::binary) << whole[0];
    const int code = import("--change 255 --sector whole");
    ASSERT_TRUE(code == 0 || code == 65) << begin << ": " << code << said();
  }
}

}  // namespace
}  // namespace echodiff
