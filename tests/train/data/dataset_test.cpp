// Data-set folders: what they are read as, every documented mistake with its fault, splits by group, real data.
#include "train/data/dataset.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

class DatasetTest : public ::testing::Test {
 protected:
  DatasetTest() {
    for (const char* part : {"images", "masks"}) fs::create_directories(folder_ / part);
  }

  void picture(const std::string& name, int64_t width, int64_t height, const std::vector<uint8_t>& values) {
    GrayImage image{width, height, {}};
    for (int64_t i = 0; i < width * height; ++i) image.pixels.push_back(values[size_t(i) % values.size()]);
    write_file_atomic((folder_ / name).string(), encode_png(image));
  }
  void pair(const std::string& name, const std::vector<uint8_t>& mask_values = {0, 1, 2}) {
    picture("images/" + name, 20, 18, {10, 200});
    picture("masks/" + name, 20, 18, mask_values);
  }
  void text(const std::string& name, const std::string& content) {
    write_file_atomic((folder_ / name).string(), content);
  }
  Dataset load(DatasetOptions options = {}) const {
    options.directory = folder_.string();
    options.image_size = options.image_size == 64 ? 16 : options.image_size;
    return load_dataset(options);
  }
  // The error's message; its fault must be `fault`, and it must be one line.
  std::string refusal(Fault fault, const DatasetOptions& options = {}) const {
    try {
      load(options);
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_EQ(error.fault(), fault) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      return message;
    }
    ADD_FAILURE() << "accepted";
    return "";
  }
  static bool has(const std::string& message, const std::string& part) {
    return message.find(part) != std::string::npos;
  }

  ScratchFolder folder_;
};

constexpr const char* kTwoPlanes =
    R"({"planes": [{"name": "liver", "value": 1}, {"name": "vein", "value": 2}], "sector": true})";

TEST_F(DatasetTest, ReadsPlanesSectorAndOrder) {
  pair("b.png");
  pair("a.png", {0});
  text("dataset.json", kTwoPlanes);
  fs::create_directories(folder_ / "sector");
  picture("sector/all.png", 20, 18, {255});
  const Dataset data = load();
  EXPECT_EQ(data.plane_names, (std::vector<std::string>{"liver", "vein", "sector"}));
  ASSERT_EQ(data.examples.size(), 2u);
  EXPECT_EQ(data.examples[0].file, "a.png");
  for (const Example& example : data.examples) {
    EXPECT_EQ(example.image.pixels.size(), 256u);
    ASSERT_EQ(example.planes.size(), 3u);
    for (size_t i = 0; i < 256; ++i) {
      EXPECT_LE(example.planes[0].pixels[i] + example.planes[1].pixels[i], 1);
      EXPECT_EQ(example.planes[2].pixels[i], 1);
    }
  }
  const std::vector<uint8_t>& liver = data.examples[1].planes[0].pixels;
  EXPECT_TRUE(std::set<uint8_t>(liver.begin(), liver.end()) == (std::set<uint8_t>{0, 1}));
}

TEST_F(DatasetTest, GuessesPlanesFromValuesOrTakesThemFromTheFlag) {
  pair("a.png", {0, 2});
  pair("b.png", {0, 5});
  EXPECT_EQ(load().plane_names, (std::vector<std::string>{"class_2", "class_5", "sector"}));
  EXPECT_EQ(load({.planes = "nerve=5,vessel=2"}).plane_names, (std::vector<std::string>{"nerve", "vessel", "sector"}));
  EXPECT_TRUE(has(refusal(Fault::kBadInput, {.planes = "nerve=5"}), "masks/a.png: unknown mask value 2"));
  for (const char* planes : {"nerve", "nerve=", "=1", "nerve=1,", "nerve=x", "nerve=1.5", "nerve=0", "nerve=256", ",",
                             "a=1,a=2", "a=1,b=1", "sector=1", "nerve=99999999999999999999"}) {
    refusal(Fault::kUsage, {.planes = planes});
  }
}

TEST_F(DatasetTest, ReadsWithoutMasksOrWithoutImages) {
  pair("a.png");
  fs::remove_all(folder_ / "masks");
  EXPECT_EQ(load({.need_masks = false}).plane_names, (std::vector<std::string>{"sector"}));
  EXPECT_TRUE(has(refusal(Fault::kMissingInput), "masks"));
  fs::create_directories(folder_ / "masks");
  pair("a.png");
  fs::remove_all(folder_ / "images");
  const Dataset data = load({.need_images = false});
  EXPECT_EQ(data.plane_names.size(), 3u);
  EXPECT_TRUE(data.examples[0].image.pixels.empty());
}

TEST_F(DatasetTest, RefusesMissingAndEmptyFolders) {
  EXPECT_TRUE(has(refusal(Fault::kBadInput), "holds no PNG"));
  fs::remove_all(folder_ / "images");
  refusal(Fault::kMissingInput);
  fs::remove_all(folder_.path());
  refusal(Fault::kMissingInput);
}

TEST_F(DatasetTest, RefusesPicturesThatDoNotFit) {
  pair("a.png");
  picture("masks/a.png", 20, 17, {0});
  EXPECT_TRUE(has(refusal(Fault::kBadInput), "masks/a.png: 20x17 pixels, expected 20x18"));
  fs::remove(folder_ / "masks" / "a.png");
  EXPECT_TRUE(has(refusal(Fault::kMissingInput), "masks/a.png"));
  pair("a.png");
  text("dataset.json", R"({"planes": [{"name": "liver", "value": 1}]})");
  EXPECT_TRUE(has(refusal(Fault::kBadInput), "unknown mask value 2, known are 0, 1 (liver)"));
  std::string bytes = read_file((folder_ / "images" / "a.png").string());
  bytes[bytes.size() / 2] = char(bytes[bytes.size() / 2] ^ 4);
  text("images/a.png", bytes);
  EXPECT_TRUE(has(refusal(Fault::kBadInput), "images/a.png: damaged PNG"));
  refusal(Fault::kUsage, {.image_size = 15});
  refusal(Fault::kUsage, {.image_size = 1025});
}

TEST_F(DatasetTest, RefusesSectorsThatDoNotFit) {
  pair("a.png");
  pair("b.png");
  pair("c.png");
  text("dataset.json", kTwoPlanes);
  EXPECT_TRUE(has(refusal(Fault::kMissingInput), "sector"));
  fs::create_directories(folder_ / "sector");
  picture("sector/a.png", 20, 18, {0, 255});
  picture("sector/b.png", 20, 18, {255});
  EXPECT_TRUE(has(refusal(Fault::kMissingInput), "sector/c.png"));
  picture("sector/c.png", 20, 18, {7});
  EXPECT_TRUE(has(refusal(Fault::kBadInput), "sector value 7"));
  picture("sector/c.png", 21, 18, {255});
  EXPECT_TRUE(has(refusal(Fault::kBadInput), "21x18"));
  picture("sector/c.png", 20, 18, {255});
  EXPECT_EQ(load().examples.size(), 3u);
}

TEST_F(DatasetTest, RefusesBadDescriptions) {
  pair("a.png");
  for (const char* json :
       {"", "{", "[]", "{}", R"({"planes": 3})", R"({"planes": [3]})", R"({"planes": [{"name": "a"}]})",
        R"({"planes": [{"name": "a", "value": 1.5}]})", R"({"planes": [{"name": "a", "value": 0}]})",
        R"({"planes": [{"name": "a", "value": 999}]})", R"({"planes": [{"name": "", "value": 1}]})",
        R"({"planes": [], "planes": []})", R"({"planes": [{"name": "sector", "value": 1}]})",
        R"({"planes": [], "sector": 1})", R"({"planes": [{"name": "a", "value": 1e400}]})"}) {
    text("dataset.json", json);
    EXPECT_TRUE(has(refusal(Fault::kBadInput), "dataset.json")) << json;
  }
  text("dataset.json", "{\"planes\":\n [}\n");
  EXPECT_TRUE(has(refusal(Fault::kBadInput), "dataset.json:2: "));
}

TEST_F(DatasetTest, RefusesBadIndexFiles) {
  pair("a.png");
  pair("b.png");
  const std::map<std::string, std::string> cases{
      {"name,split\na.png,train\n", ":1: no column"},
      {"file,file\na.png,a.png\n", "appears 2 times"},
      {"file,split\na.png,train\nb.png,Train\n", ":3: split \"Train\""},
      {"file,split\na.png,train\nb.png\n", ":3: 1 cells, expected 2"},
      {"file,split\na.png,train\na.png,train\n", ":3: file a.png appears twice"},
      {"file,split\na.png,train\n", "no line for picture b.png"},
      {"file,split\n\"a.png,train\n", ":2: a quoted cell"},
      {"file,split,group\na.png,train,p1\nb.png,test,p1\n", "group p1 crosses a split"},
  };
  for (const auto& [csv, part] : cases) {
    text("index.csv", csv);
    const std::string message = refusal(Fault::kBadInput);
    EXPECT_TRUE(has(message, part)) << message;
    EXPECT_TRUE(has(message, "index.csv")) << message;
  }
}

TEST_F(DatasetTest, TakesSplitsAndGroupsByHeaderName) {
  pair("a.png");
  pair("b.png");
  pair("c,\"d.png");
  text("index.csv",
       "\xEF\xBB\xBFnote,split,file,group\r\n\"one, "
       "two\",val,a.png,p1\r\n,test,b.png,\r\n\r\nx,train,\"c,\"\"d.png\",p2\r\n"
       "x,train,gone.png,p2");
  const Dataset data = load();
  ASSERT_EQ(data.examples.size(), 3u);
  EXPECT_EQ(data.examples[0].split, "val");
  EXPECT_EQ(data.examples[0].group, "p1");
  EXPECT_EQ(data.examples[1].split, "test");
  EXPECT_EQ(data.examples[1].group, "b.png");
  EXPECT_EQ(data.examples[2].split, "train");
}

// A few pictures of two real data sets, made small (tests/data/README.md).
TEST(RealDatasetTest, ReadsRealFolders) {
  const fs::path data_dir = fs::path(ECHODIFF_SOURCE_DIR) / "tests/data/ultrasound";
  const Dataset data = load_dataset({.directory = (data_dir / "nerves").string(), .image_size = 64});
  EXPECT_EQ(data.plane_names, (std::vector<std::string>{"nerve", "vessel", "sector"}));
  std::map<std::string, int> counts;
  for (const Example& example : data.examples) ++counts[example.split];
  EXPECT_EQ(counts["train"], 10);
  EXPECT_EQ(counts["val"], 1);
  EXPECT_EQ(counts["test"], 2);
  const Dataset frames =
      load_dataset({.directory = (data_dir / "sweep").string(), .image_size = 64, .need_masks = false});
  EXPECT_EQ(frames.examples.size(), 4u);
  int64_t inside = 0;
  for (const uint8_t pixel : frames.examples[0].planes[0].pixels) inside += pixel;
  EXPECT_GT(inside, 64 * 64 / 3);
  EXPECT_LT(inside, 64 * 64 * 4 / 5);
}

}  // namespace
}  // namespace echodiff
