// Data-set folders as people have them: other tables, other kinds of files, masks that went through the wrong tool.
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "train/data/dataset.h"
#include "train/data/image.h"
#include "train/folder/listing.h"
#include "train/folder/planes.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

class FolderTest : public ::testing::Test {
 protected:
  FolderTest() {
    for (const char* part : {"images", "masks"}) fs::create_directories(folder_ / part);
  }

  // Of 48 x 48 unless said otherwise, all `grey`, with a square of `side` of each further value from the top left on.
  void picture(const std::string& name, std::vector<uint8_t> values, int64_t side = 10, int64_t width = 48,
               int64_t height = 48) {
    GrayImage image{width, height, std::vector<uint8_t>(size_t(width * height), values[0])};
    for (size_t v = 1; v < values.size(); ++v)
      for (int64_t i = 0; i < side * side; ++i) image.at(i / side, int64_t(v - 1) * side + i % side) = values[v];
    text(name, encode_png(image));
  }
  void pair(const std::string& stem, const std::vector<uint8_t>& mask = {0, 1}) {
    picture("images/" + stem + ".png", {90});
    picture("masks/" + stem + ".png", mask);
  }
  void text(const std::string& name, const std::string& content) {
    write_file_atomic((folder_ / name).string(), content);
  }
  Dataset load(DatasetOptions options = {}) const {
    options.directory = folder_.string();
    if (options.image_size == 64) options.image_size = 16;
    return load_dataset(options);
  }
  std::string refusal(const DatasetOptions& options = {}, Fault fault = Fault::kBadInput) const {
    try {
      load(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), fault) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "accepted";
    return "";
  }
  static ::testing::AssertionResult has(const std::string& text, const std::string& part) {
    if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "no '" << part << "' in: " << text;
  }
  static std::string all_notes(const Dataset& data) {
    std::string text;
    for (const std::string& line : data.notes) text += line + "\n";
    return text;
  }

  ScratchFolder folder_;
};

TEST_F(FolderTest, TheIndexMayBeWrittenByAnyTool) {
  for (const char* stem : {"a", "b", "c"}) pair(stem);
  for (const char* csv :
       {"file, split, group\na.png, test, g 1\nb.png, train, g2\nc.png, val, g3\n",
        "\xEF\xBB\xBF File ;SPLIT;Group;age\r\na.png;test;\"g 1\";3\r\nb.png;train;g2;4\r\nc.png;val;g3;5\r\n;;;\r\n",
        "SPLIT\tfile\tgroup\ntest\ta.png\tg 1\ntrain\tb.png\tg2\nval\tc.png\tg3",
        "file,split,group\ra.png,test,g 1\rb.png,train,g2\rc.png,val,g3\r",
        "file,split,group\na.jpg,test, \"g 1\" \nb.tif,train,g2\nc.png,val,g3\n"}) {
    text("index.csv", csv);
    const Dataset data = load();
    EXPECT_EQ(data.examples[0].split, "test") << csv;
    EXPECT_EQ(data.examples[0].group, "g 1") << csv;
    EXPECT_EQ(data.examples[1].split, "train") << csv;
    EXPECT_EQ(data.examples[2].group, "g3") << csv;
  }
  text("index.csv", "file|split\na.png|test\n");
  EXPECT_TRUE(has(refusal(), "found \"file|split\"; expected names such as file,split,group"));
  text("index.csv", std::string("\xFF\xFE"
                                "f\0i\0",
                                6));
  EXPECT_TRUE(has(refusal(), "UTF-16"));
}

TEST_F(FolderTest, PatientsAreGroupsAndANoteSaysSo) {
  for (const char* stem : {"a", "b", "c"}) pair(stem);
  for (const char* name : {"Patient", "subject", "case_id"}) {
    text("index.csv", std::string("file,") + name + "\na.png,1\nb.png,1\nc.png,2\n");
    const Dataset data = load();
    EXPECT_EQ(data.examples[1].group, "1");
    EXPECT_EQ(data.examples[0].split, data.examples[1].split);
    EXPECT_TRUE(has(all_notes(data), "grouped by its column"));
    EXPECT_TRUE(has(summary_of(data, "d"), "3 pictures in 2 groups"));
  }
  text("index.csv", "file,patient,group\na.png,1,x\nb.png,1,y\nc.png,2,y\n");
  EXPECT_EQ(load().examples[1].group, "y");
}

TEST_F(FolderTest, OneLineSaysWhatIsReadAndWhatIsNot) {
  pair("a");
  pair("b", {0});
  text("images/c.bmp", "BM");
  text("images/d.bmp", "BM");
  text("images/.hidden", "x");
  fs::create_directories(folder_ / "images/more/deep");
  text("images/more/deep/e.png", "x");
  picture("masks/f.png", {0});
  text("index.csv", "file,split,age\na.png,train,3\nb.png,test,4\ngone.png,train,5\n");
  EXPECT_EQ(summary_of(load({.planes = "liver=1"}), "d"),
            "d: 2 pictures in 2 groups: 1 train, 0 val, 1 test; planes: liver in 50 %, sector in 100 %; left out: 2 "
            ".bmp, 1 columns of index.csv (age), 1 in subfolders, 1 lines of index.csv without a picture, 1 masks "
            "without a picture");
  text("images/b.jpg", "x");
  EXPECT_TRUE(has(refusal(), "b.jpg and b.png differ in their ending alone"));
  fs::remove(folder_ / "images/b.jpg");
  text("images/z.png", "GIF89a");
  picture("masks/z.png", {0});
  text("index.csv", "file\na.png\nb.png\nz.png\n");
  EXPECT_TRUE(has(refusal(), "z.png: not a PNG, JPEG or TIFF picture"));
}

TEST_F(FolderTest, MaskValuesThatNoClassesHaveAreRefused) {
  const auto refused_for = [&](std::vector<std::vector<uint8_t>> masks, const std::string& cause) {
    int i = 0;
    for (const std::vector<uint8_t>& mask : masks) pair(std::to_string(i++), mask);
    const std::string message = refusal();
    EXPECT_TRUE(has(message, cause));
    EXPECT_TRUE(has(message, "dataset.json"));
    EXPECT_TRUE(has(message, "as planes (NAME=VALUE"));
  };
  refused_for({{0, 255}, {0, 1, 254, 255}}, "JPEG");
  refused_for({{0, 255}, {0, 253, 255}}, "JPEG");
  refused_for({{0, 1}, {0, 255}}, "1 bit");
  refused_for({{0, 255, 64, 128}, {0, 192}}, "anti-aliasing");
  refused_for({{0, 2, 100}, {0}}, "anti-aliasing");
  for (const std::vector<uint8_t>& sound : {std::vector<uint8_t>{0, 255}, {0, 3, 7}, {0, 1, 2, 32}}) {
    fs::remove(folder_ / "masks/1.png");
    fs::remove(folder_ / "images/1.png");
    pair("0", sound);
    EXPECT_EQ(load().plane_names.size(), sound.size());
  }
  EXPECT_EQ(load({.planes = "a=1,b=2,c=32,d=255"}).plane_names.size(), 5u);
  picture("masks/0.png", {0});
  EXPECT_EQ(load().plane_names, std::vector<std::string>{"sector"});
}

TEST_F(FolderTest, APlaneThatVanishesAtThisSizeIsWarnedOf) {
  for (const char* stem : {"a", "b"}) pair(stem, {0, 1});
  const DatasetOptions options{.planes = "liver=1,vein=2"};
  EXPECT_EQ(all_notes(load(options)), "");
  GrayImage mask{48, 48, std::vector<uint8_t>(48 * 48, 1)};
  mask.at(20, 30) = 2;  // 16 pixels look at rows 1, 4, .. of 48: not at 30
  text("masks/b.png", encode_png(mask));
  const std::string note = all_notes(load(options));
  EXPECT_TRUE(has(note, "warning: plane vein is empty at 16 pixels in 1 of the 1 pictures that show it"));
  int64_t size = 17;
  const auto shown_at = [&](int64_t side) {
    const GrayImage small = resize_nearest(mask, side, side);
    return std::find(small.pixels.begin(), small.pixels.end(), 2) != small.pixels.end();
  };
  while (!shown_at(size)) ++size;
  EXPECT_TRUE(has(note, "the smallest image size that keeps it is " + std::to_string(size)));
  EXPECT_EQ(all_notes(load({.image_size = size, .planes = options.planes})), "");
}

TEST_F(FolderTest, PicturesThatAreNotSquareAreFittedWithTheirMasks) {
  picture("images/a.png", {90}, 10, 48, 24);
  picture("masks/a.png", {1}, 10, 48, 24);
  const auto sum = [](const GrayImage& plane) {
    int64_t total = 0;
    for (const uint8_t pixel : plane.pixels) total += pixel;
    return total;
  };
  for (const auto& [fit, pixels] : {std::pair{Fit::squash, 256}, {Fit::pad, 128}, {Fit::crop, 256}}) {
    const Dataset data = load({.fit = fit});
    EXPECT_EQ(sum(data.examples[0].planes[0]), pixels);
    EXPECT_EQ(sum(data.examples[0].planes[1]), pixels) << "the sector ends with the picture";
    EXPECT_EQ(sum(data.examples[0].image), 90 * pixels);
    EXPECT_EQ(data.not_square, 1);
    EXPECT_TRUE(has(summary_of(data, "d"), std::string("1 aren't square, made so by ") + name_of(fit)));
  }
  fs::create_directories(folder_ / "sector");
  picture("sector/all.png", {255}, 10, 10, 10);  // one for all, of its own size
  EXPECT_EQ(sum(load({.fit = Fit::pad}).examples[0].planes[1]), 128);
  EXPECT_NO_THROW(require_fit(load({.fit = Fit::pad}), Fit::pad, "run", "d"));
  EXPECT_THROW(require_fit(load({.fit = Fit::pad}), Fit::squash, "run", "d"), Error);
}

// A 16-bit TIFF of 16 x 16 pixels, all of one grey but for a first pixel of another.
std::string wide_tiff(uint16_t grey, uint16_t first) {
  std::string out("II*\0\x08\2\0\0", 8);
  const auto append = [&](uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out += char(value >> 8 * i & 255);
  };
  for (int i = 0; i < 256; ++i) append(i == 0 ? first : grey, 2);
  append(9, 2);
  for (const auto& [tag, value] :
       {std::pair{256, 16}, {257, 16}, {258, 16}, {259, 1}, {262, 1}, {273, 8}, {277, 1}, {278, 16}, {279, 512}}) {
    append(uint64_t(tag), 2), append(4, 2), append(1, 4), append(uint64_t(value), 4);
  }
  append(0, 4);
  return out;
}

TEST_F(FolderTest, SixteenBitsAreSeenThroughOneWindow) {
  text("images/a.tif", wide_tiff(3000, 100));
  picture("masks/a.png", {0}, 10, 16, 16);
  const Dataset plain = load();
  EXPECT_EQ(plain.examples[0].image.pixels[5], 12);  // 3000 of 65535
  EXPECT_TRUE(has(summary_of(plain, "d"), "1 of 16 bits, greys 100 to 3000, seen through 0 (black) to 65535 (white)"));
  EXPECT_TRUE(has(all_notes(plain), "state one in dataset.json: \"window\": [100, 3000]"));
  text("dataset.json", R"({"planes": [], "window": [0, 4000]})");
  const Dataset stated = load();
  EXPECT_EQ(stated.examples[0].image.pixels[5], 191);
  EXPECT_EQ(stated.examples[0].image.pixels, fit_area(read_picture(folder_.at("images/a.tif")), 16, Fit::pad).pixels);
  EXPECT_FALSE(has(all_notes(stated), "window"));
  for (const char* window : {"[0]", "[5, 5]", "[-1, 4]", "[0, 65536]", "3", "[0.5, 2]"}) {
    text("dataset.json", std::string(R"({"planes": [], "window": )") + window + "}");
    EXPECT_TRUE(has(refusal(), "window")) << window;
  }
}

TEST_F(FolderTest, MasksMustBeLossless) {
  pair("a");
  text("masks/a.jpg", "\xFF\xD8\xFF\xE0");
  EXPECT_TRUE(has(refusal(), "a.jpg and a.png differ"));
  fs::remove(folder_ / "masks/a.png");
  EXPECT_TRUE(has(refusal(), "a mask in JPEG"));
}

// 16 x 16 pixels of entry 1, in this palette of two.
std::string of_palette(const std::string& palette) {
  const auto chunk = [](const std::string& type, const std::string& data) {
    const auto big_endian = [](uint64_t v) { return std::string{char(v >> 24), char(v >> 16), char(v >> 8), char(v)}; };
    const std::string body = type + data;
    return big_endian(data.size()) + body +
           big_endian(crc32(0, reinterpret_cast<const Bytef*>(body.data()), uInt(body.size())));
  };
  std::string rows, packed(1000, '\0');
  for (int y = 0; y < 16; ++y) rows += '\0' + std::string(16, '\1');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()), rows.size());
  return std::string("\x89PNG\r\n\x1a\n", 8) + chunk("IHDR", std::string("\0\0\0\x10\0\0\0\x10\x08\3\0\0\0", 13)) +
         chunk("PLTE", palette) + chunk("IDAT", packed.substr(0, size)) + chunk("IEND", "");
}

TEST_F(FolderTest, APalettesEntryIsOneClassInAllMasks) {
  const std::string red("\0\0\0\xFF\0\0", 6), green("\0\0\0\0\xFF\0", 6), grey("\0\0\0\7\7\7", 6);
  for (const char* name : {"a.png", "b.png"}) {
    picture(std::string("images/") + name, {90}, 10, 16, 16);
    text(std::string("masks/") + name, of_palette(red));
  }
  EXPECT_EQ(load().plane_names, (std::vector<std::string>{"class_1", "sector"}));
  text("masks/b.png", of_palette(green));
  EXPECT_TRUE(has(refusal(), "b.png: entry 1 of its palette has another colour than in"));
  for (const char* name : {"a.png", "b.png"}) text(std::string("masks/") + name, of_palette(grey));
  EXPECT_EQ(load().plane_names, (std::vector<std::string>{"class_7", "sector"}));
}

TEST_F(FolderTest, PlanesGoByTheirNames) {
  pair("a", {0, 1, 2});
  const Dataset plain = load({.planes = "liver=1,vein=2"});
  Dataset swapped = load({.planes = "vein=2,liver=1"});
  order_planes(swapped, plain.plane_names, "run", "d");
  EXPECT_EQ(swapped.plane_names, plain.plane_names);
  for (size_t p = 0; p < 3; ++p)
    EXPECT_EQ(swapped.examples[0].planes[p].pixels, plain.examples[0].planes[p].pixels) << p;
  const auto refused = [&](const std::vector<std::string>& wanted) {
    Dataset data = plain;
    try {
      order_planes(data, wanted, "runs/x", "d");
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::kBadInput);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_TRUE(has(refused({"liver", "artery", "sector"}),
                  "d: its planes are liver, vein, sector, expected those of runs/x: liver, artery, sector"));
  EXPECT_TRUE(has(refused({"liver", "sector"}), "expected those of"));
  EXPECT_TRUE(has(refused({"liver", "vein", "artery", "sector"}), "expected those of"));
  EXPECT_TRUE(has(refused({"class_1", "class_2", "class_3", "sector"}), "expected those of"));
  EXPECT_EQ(refused({"plane_1", "plane_2", "sector"}), "accepted") << "they are no names";
  EXPECT_TRUE(has(refused({"plane_1", "sector"}), "expected those of"));
}

TEST_F(FolderTest, AGuessedClassThatNoMaskShowsIsAnEmptyPlane) {
  pair("a", {0, 2});
  Dataset data = load();
  order_planes(data, {"class_1", "class_2", "sector"}, "run", "d");
  EXPECT_EQ(data.examples[0].planes.size(), 3u);
  EXPECT_EQ(data.examples[0].planes[0].pixels, std::vector<uint8_t>(256, 0));
  EXPECT_NE(data.examples[0].planes[1].pixels, std::vector<uint8_t>(256, 0));
  EXPECT_THROW(order_planes(data, {"class_1", "sector"}, "run", "d"), Error);
}

TEST_F(FolderTest, NamesThatNoListCanHoldAreRefused) {
  pair("a", {0, 1});
  for (const char* name : {"a,b", " a", "a\\nb", ""}) {
    text("dataset.json", std::string(R"({"planes": [{"name": ")") + name + R"(", "value": 1}]})");
    EXPECT_TRUE(has(refusal(), "expected a name ")) << name;
  }
}

}  // namespace
}  // namespace echodiff
