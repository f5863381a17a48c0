// Which sector belongs to a picture, when it is one of a data set and when it was drawn from a mask of another shape.
#include "quality/recordings/picture_list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tensor/io/file.h"
#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

int64_t inside(const GrayImage& sector) {
  return std::count_if(sector.pixels.begin(), sector.pixels.end(), [](uint8_t pixel) { return pixel != 0; });
}

class PictureListTest : public ::testing::Test {
 protected:
  PictureListTest() {
    for (const char* part : {"data/images", "data/masks", "data/sector", "samples/images"})
      std::filesystem::create_directories(folder_ / part);
    write("data/images/a.png", 32, 16);
    write("data/masks/a.png", 32, 16);
    write("data/sector/all.png", 10, 10);
    write("samples/images/000000.png", 16, 16);
    write_file_unsynced(folder_.at("samples/samples.jsonl"), R"({"index": 0, "mask": "a.png", "decision": "finished"})"
                                                             "\n");
  }
  void write(const std::string& name, int64_t width, int64_t height) {
    write_png(folder_.at(name), {width, height, std::vector<uint8_t>(size_t(width * height), 255)});
  }
  GrayImage sector_of_sample() const {
    const ListedPicture sample = list_pictures(folder_.at("samples"), folder_.at("data")).at(0);
    EXPECT_EQ(sample.group, "a.png");
    return read_sector(sample, 16, 16, 0, Fit::squash);
  }

  ScratchFolder folder_;
};

TEST_F(PictureListTest, ASamplesSectorIsFittedAsItsMaskWas) {
  EXPECT_EQ(inside(sector_of_sample()), 256) << "nothing says otherwise: squash";
  write_file_unsynced(folder_.at("samples/config.toml"), "model = \"m\"\n[resolved]\nfit = \"pad\"\n");
  EXPECT_EQ(inside(sector_of_sample()), 128) << "the mask is half as high as wide";
  EXPECT_EQ(origin_of_samples(folder_.at("samples")).model, "m");
}

TEST_F(PictureListTest, ARealPicturesSectorIsFittedWithIt) {
  const ListedPicture picture = list_pictures(folder_.at("data")).at(0);
  EXPECT_EQ(inside(read_sector(picture, 32, 16, 16, Fit::pad)), 128);
  EXPECT_EQ(inside(read_sector(picture, 32, 16, 16, Fit::squash)), 256);
  EXPECT_EQ(inside(read_sector(picture, 32, 16, 0, Fit::pad)), 512);
}

TEST_F(PictureListTest, TakesAllKindsOfPictures) {
  write_file_unsynced(folder_.at("data/images/b.JPG"), "not read yet");
  write_file_unsynced(folder_.at("data/images/c.txt"), "no picture");
  write_file_unsynced(folder_.at("data/index.csv"), "file;Patient\na.jpg;p1\nb.png;p2\n");
  const std::vector<ListedPicture> pictures = list_pictures(folder_.at("data"));
  ASSERT_EQ(pictures.size(), 2u);
  EXPECT_EQ(pictures[0].group, "p1");
  EXPECT_EQ(pictures[1].group, "p2");
}

}  // namespace
}  // namespace echodiff
