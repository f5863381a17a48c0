// Whole files: the containers' rules, values whatever the layout, and damage at every byte.
#include "nn/torch_import/weights_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "nn/torch_import/parity.h"
#include "tensor/io/file.h"
#include "tensor/io/safetensors.h"
#include "tests/nn/torch_import/read_bytes.h"
#include "tests/nn/torch_import/torch_files.h"
#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

const std::vector<float> kSix{1, 2, 3, 4, 5, 6};

std::string one_tensor(const std::string& kind, int64_t count, const std::vector<int64_t>& shape,
                       const std::vector<int64_t>& strides, int64_t offset = 0) {
  return PickleWriter().dict().text("w").tensor(kind, "0", count, offset, shape, strides).set_item().stop();
}

const SourceLeaf* leaf_of(const WeightsFile& file, const std::string& name) {
  for (const SourceLeaf& leaf : file.leaves)
    if (leaf.name == name) return &leaf;
  return nullptr;
}

TEST(TorchZip, TensorsLeavesAndFacts) {
  const WeightsFile file = read_bytes(small_checkpoint());
  EXPECT_EQ(file.kind, "zip");
  ASSERT_EQ(file.tensors.size(), 1U);
  EXPECT_EQ(file.tensors[0].name, "w");
  EXPECT_EQ(file.tensors[0].dtype, "float32");
  EXPECT_EQ(file.tensors[0].shape(), Shape({2, 3}));
  EXPECT_EQ(file.tensors[0].values.to_vector(), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  ASSERT_NE(leaf_of(file, "step"), nullptr);
  EXPECT_EQ(leaf_of(file, "step")->integer, 12);
  EXPECT_EQ(file.find("nothing"), nullptr);
}

TEST(TorchZip, EqualViewsShareMemory) {
  PickleWriter w;
  w.raw("}(");
  for (const char* name : {"a", "b"}) w.text(name).tensor("FloatStorage", "0", 6, 0, {2, 3}, {3, 1});
  w.text("c").tensor("FloatStorage", "0", 6, 1, {5}, {1});
  const WeightsFile file = read_bytes(torch_zip(w.raw("u").stop(), {bytes_of_values(kSix)}));
  EXPECT_TRUE(file.find("a")->values.same_as(file.find("b")->values));
  EXPECT_EQ(file.find("c")->values.to_vector(), (std::vector<double>{2, 3, 4, 5, 6}));
}

TEST(TorchZip, BareTensorsListsAndEmptyStorages) {
  const std::string bare = PickleWriter().tensor("FloatStorage", "0", 6, 2, {}, {}).stop();
  EXPECT_EQ(read_bytes(torch_zip(bare, {bytes_of_values(kSix)})).find("tensor")->values.item(), 3);
  PickleWriter list;
  list.raw("](").tensor("FloatStorage", "0", 0, 0, {0, 4}, {4, 1}).tensor("BoolStorage", "1", 2, 0, {2}, {1});
  const WeightsFile file = read_bytes(torch_zip(list.raw("e").stop(), {"", std::string("\x02\x00", 2)}));
  EXPECT_EQ(file.find("0")->shape(), Shape({0, 4}));
  EXPECT_EQ(file.find("1")->values.to_vector(), (std::vector<double>{1, 0}));
  EXPECT_EQ(file.find("1")->dtype, "bool");
}

TEST(TorchZip, LargeStoragesComeInBlocks) {
  std::vector<float> values(300'000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(i);
  for (const std::vector<int64_t>& strides :
       {std::vector<int64_t>{30000, 100, 10, 1}, {30000, 1, 3000, 300}, {1, 1000, 100, 10}, {1, 1, 3000, 300}}) {
    const std::string pickle = one_tensor("FloatStorage", 300'000, {10, 300, 10, 10}, strides);
    const std::vector<double> logical =
        read_bytes(torch_zip(pickle, {bytes_of_values(values)})).tensors[0].values.to_vector();
    for (int64_t i = 0; i < 300'000; i += 97)
      ASSERT_EQ(logical[size_t(i)], double(i / 30000 * strides[0] + i / 100 % 300 * strides[1] +
                                           i / 10 % 10 * strides[2] + i % 10 * strides[3]));
  }
}

TEST(TorchZip, BigEndianIsSwapped) {
  const std::string pickle = one_tensor("ShortStorage", 2, {2}, {1});
  EXPECT_EQ(read_bytes(torch_zip(pickle, {std::string("\x00\x01\x01\x00", 4)}, "big")).tensors[0].values.to_vector(),
            (std::vector<double>{1, 256}));
  EXPECT_NE(refusal_of(torch_zip(pickle, {"aaaa"}, "middle")).find("\"byteorder\""), std::string::npos);
}

TEST(TorchZip, DamagedOrForeignArchives) {
  const std::string pickle = one_tensor("FloatStorage", 6, {2, 3}, {3, 1}), data = bytes_of_values(kSix);
  const auto archive = [&](std::vector<ZipEntry> more) {
    std::vector<ZipEntry> entries{{.name = "a/data.pkl", .bytes = pickle}, {.name = "a/data/0", .bytes = data}};
    entries.insert(entries.end(), more.begin(), more.end());
    return zip_of(entries);
  };
  EXPECT_EQ(refusal_of(archive({})), "");
  EXPECT_EQ(read_bytes(archive({{.name = "a/data/1", .bytes = "x"}})).warnings.size(), 1U);
  const std::string good = archive({});
  const std::vector<std::pair<std::string, std::string>> bad{
      {archive({{.name = "a/x", .bytes = "abc", .crc = 1}}), "record \"x\" of 3 bytes"},
      {archive({{.name = "a/x", .bytes = "abc", .method = 8}}), "\"a/x\" is compressed (method 8)"},
      {archive({{.name = "a/x", .bytes = "abc", .flags = 1}}), "encrypted"},
      {archive({{.name = "a/data/0", .bytes = data}}), "zip directory"},  // named twice
      {archive({{.name = "a/x", .bytes = "abc", .local_name = "a/y"}}), "zip directory"},
      {archive({{.name = "a/x", .bytes = "abc", .local_offset = 0}}), "zip directory"},  // overlaps the first
      {archive({{.name = "a/x", .bytes = "abc", .local_offset = 1 << 30}}), "zip directory"},
      {archive({{.name = "b/x", .bytes = "abc"}}), "\"b/x\" is not in the folder \"a\""},
      {archive({{.name = "../../x", .bytes = "abc"}}), "is not in the folder"},
      {archive({{.name = "/x", .bytes = "abc"}}), "is not in the folder"},
      {archive({{.name = "x", .bytes = "abc"}}), "is not in the folder"},
      {archive({{.name = "a/code/__torch__.py", .bytes = ""}}), "TorchScript"},
      {archive({{.name = "a/constants.pkl", .bytes = ""}}), "TorchScript"},
      {zip_of({{.name = "a/data/0", .bytes = data}}), "without the record data.pkl"},
      {zip_of({{.name = "data.pkl", .bytes = pickle}, {.name = "data/0", .bytes = data}}), "is not in the folder"},
      {zip_of({}), ""},
      {torch_zip(pickle, {data.substr(1)}), "\"data/0\" has 23 bytes, data.pkl expects 24"},
      {torch_zip(pickle, {data + "x"}), "\"data/0\" has 25 bytes"},
      {torch_zip(pickle, {}), "\"data/0\" is not there"},
      {torch_zip(pickle + "x", {data}), "1 bytes follow the pickle"},
      {torch_zip("", {data}), "ends within"},
      {"PK\x03\x04", "zip directory"},
      {"12345678" + good, "header length"},
      {good + "x", "zip directory"},
  };
  for (const auto& [bytes, message] : bad) {
    const std::string found = refusal_of(bytes);
    EXPECT_NE(found, "") << message;
    EXPECT_NE(found.find(message), std::string::npos) << "expected " << message << ", found " << found;
  }
}

TEST(TorchZip, ExpandedViewsAreLegalWhileSmall) {
  const auto expanded = [](int64_t rows) {
    return torch_zip(one_tensor("FloatStorage", 6, {rows, 6}, {0, 1}), {bytes_of_values(kSix)});
  };
  EXPECT_EQ(read_bytes(expanded(1000)).tensors[0].values.count(), 6000);
  EXPECT_NE(refusal_of(expanded(int64_t(1) << 22)).find("repeat elements"), std::string::npos);
  EXPECT_NE(refusal_of(expanded(int64_t(1) << 57)).find("repeat elements"), std::string::npos);
  PickleWriter many;  // each small enough alone
  many.raw("}(");
  for (int i = 0; i < 100; ++i)
    many.text(std::to_string(i)).tensor("FloatStorage", "0", 6, 0, {1 << 18, 6 - i % 2, 1 + i / 2}, {0, 1, 0});
  EXPECT_NE(refusal_of(torch_zip(many.raw("u").stop(), {bytes_of_values(kSix)})).find("repeat elements"),
            std::string::npos);
}

TEST(TorchLegacy, TensorsAndEveryCut) {
  PickleWriter w;
  w.raw("}(").text("a").tensor("FloatStorage", "7", 6, 0, {3, 2}, {1, 3});
  w.text("b").tensor("LongStorage", "8", 2, 1, {}, {}).text("step").integer(3);
  const std::string pickle = w.raw("u").stop();
  const std::vector<LegacyStorage> storages{{"8", 2, bytes_of_values<int64_t>({-5, 9})},
                                            {"7", 6, bytes_of_values(kSix)}};
  const std::string good = torch_legacy(pickle, storages);
  const WeightsFile file = read_bytes(good);
  EXPECT_EQ(file.kind, "legacy");
  EXPECT_EQ(file.find("a")->values.to_vector(), (std::vector<double>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(file.find("b")->values.item(), 9);
  EXPECT_EQ(leaf_of(file, "step")->integer, 3);
  for (size_t length = 0; length < good.size(); ++length) EXPECT_NE(refusal_of(good.substr(0, length)), "") << length;
  const auto changed = [&](size_t which, const LegacyStorage& storage) {
    std::vector<LegacyStorage> other = storages;
    other[which] = storage;
    return torch_legacy(pickle, other);
  };
  const std::vector<std::pair<std::string, std::string>> bad{
      {good + "x", "1 bytes follow the last storage"},
      {changed(0, {"9", 2, std::string(16, 'x')}), "storage \"9\" is listed twice or belongs to no tensor"},
      {changed(0, {"7", 6, bytes_of_values(kSix)}), "\"7\" is listed twice"},
      {changed(0, {"8", 3, std::string(16, 'x')}), "has 3 elements, its tensors expect 2"},
      {changed(0, {"8", -1, std::string(16, 'x')}), "has -1 elements"},
      {torch_legacy(pickle, {storages[0]}), "1 storages are listed, the tensors need 2"},
      {PickleWriter().dict().stop(), "magic number"},
      {PickleWriter().integer(7).stop(), "magic number"},
  };
  for (const auto& [bytes, message] : bad) {
    const std::string found = refusal_of(bytes);
    EXPECT_NE(found.find(message), std::string::npos) << "expected " << message << ", found " << found;
    EXPECT_NE(found.find("byte "), std::string::npos) << found;
  }
}

TEST(TorchLegacy, ViewsOfStorages) {  // as PyTorch 0.3 wrote them
  PickleWriter w;
  w.dict()
      .text("w")
      .global("torch._utils", "_rebuild_tensor")
      .raw("((")
      .text("storage")
      .global("torch.cuda", "FloatStorage");
  w.text("7").text("cuda:1").integer(6).raw("(").text("8").integer(2).integer(4).raw("ttQ").integer(1);
  const auto rest = [&](int64_t size) {
    PickleWriter copy = w;
    return torch_legacy(copy.integers({size}).integers({1}).raw("tRs").stop(), {{"7", 6, bytes_of_values(kSix)}});
  };
  EXPECT_EQ(read_bytes(rest(3)).tensors[0].values.to_vector(), (std::vector<double>{4, 5, 6}));
  EXPECT_NE(refusal_of(rest(4)).find("reaches element 5, expected at most 4"), std::string::npos);
}

// CRCs cover the records; a flip elsewhere is refused, or hits what has no meaning and changes no value.
TEST(Damage, EveryCutAndEveryFlippedBitOfAZip) {
  const std::string good = small_checkpoint();
  for (size_t length = 0; length < good.size(); ++length) EXPECT_NE(refusal_of(good.substr(0, length)), "") << length;
  const Tensor expected = read_bytes(good).tensors[0].values;
  int refused = 0;
  for (size_t i = 0; i < 8 * good.size(); ++i) {
    std::string damaged = good;
    damaged[i / 8] = char(damaged[i / 8] ^ 1 << i % 8);
    if (!refusal_of(damaged).empty()) {
      ++refused;
      continue;
    }
    const WeightsFile file = read_bytes(damaged);
    ASSERT_EQ(file.tensors.size(), 1U) << i;
    ASSERT_EQ(difference_of(file.tensors[0].values, expected).different, 0) << "bit " << i;
  }
  EXPECT_GT(refused, int(good.size()) * 4);
}

// Without CRCs a flip may change values or names, but nothing worse.
TEST(Damage, EveryFlippedBitOfALegacyFile) {
  const std::string good =
      torch_legacy(one_tensor("FloatStorage", 6, {2, 3}, {3, 1}), {{"0", 6, bytes_of_values(kSix)}});
  int refused = 0;
  for (size_t i = 0; i < 8 * good.size(); ++i) {
    std::string damaged = good;
    damaged[i / 8] = char(damaged[i / 8] ^ 1 << i % 8);
    refused += refusal_of(damaged).empty() ? 0 : 1;
  }
  EXPECT_GT(refused, int(good.size()) * 4);
}

TEST(WeightsKinds, ToldByContent) {
  for (const auto& [bytes, message] : std::vector<std::pair<std::string, std::string>>{
           {"", "empty"},
           {"<!DOCTYPE html><html>", "HTML"},
           {"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"},
           {"\x1F\x8B\x08 gzip bytes", "gzip"},
           {"hello, I am text", "text"},
           {"\x89HDF\r\n\x1A\n rest of it", "HDF5"},
           {"abcdefg", "at least 8"},
           {"{\"weight_map\":", "JSON"},
           {"[1, 2, 3, 4, 5, 6]", "text"}}) {
    const std::string found = refusal_of(bytes);
    EXPECT_NE(found.find(message), std::string::npos) << "expected " << message << ", found " << found;
  }
  const std::string plain = encode_safetensors({{"w", full({2}, 3)}}, {{"note", "x"}});
  const WeightsFile file = read_bytes(plain);
  EXPECT_EQ(file.kind, "safetensors");
  EXPECT_EQ(file.metadata.at("note"), "x");
  // A header of 123 bytes: the file begins with the letter '{'.
  std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  header.resize(123, ' ');
  EXPECT_EQ(read_bytes(std::string("{\0\0\0\0\0\0\0", 8) + header + "abcd").tensors.size(), 1U);
}

class Sharded : public ::testing::Test {
 protected:
  void SetUp() override {
    write_safetensors(at("one.safetensors"), {{"a", full({2}, 1)}, {"b", full({1}, 2)}}, {});
    write_safetensors(at("two.safetensors"), {{"c", full({3}, 3)}}, {});
  }
  std::string at(const std::string& name) const { return folder_.at(name); }
  std::string index(const std::string& text) const {
    write_file_atomic(at("model.safetensors.index.json"), text);
    return at("model.safetensors.index.json");
  }
  static std::string refusal(const std::string& path) {
    try {
      read_weights_file(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  ScratchFolder folder_;
};

TEST_F(Sharded, FromIndexOrFolder) {
  const std::string path =
      index(R"({"metadata": {"total_size": 24, "weight_map": {"x": [1]}}, "weight_map": {"c": "two.safetensors", )"
            R"("a": "one.safetensors", "b": "one.safetensors"}})");
  for (const std::string& from : {path, folder_.string()}) {
    const WeightsFile file = read_weights_file(from);
    EXPECT_EQ(file.kind, "sharded");
    ASSERT_EQ(file.tensors.size(), 3U);
    EXPECT_EQ(file.tensors[0].name, "c");  // the index's order
    EXPECT_EQ(file.find("b")->values.item(), 2);
  }
}

TEST_F(Sharded, Refusals) {
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {R"({"weight_map": {"a": "one.safetensors", "b": "one.safetensors", "z": "two.safetensors"}})",
            "\"z\" is not in \"two.safetensors\""},
           {R"({"weight_map": {"a": "one.safetensors", "c": "two.safetensors"}})",
            "\"b\" of \"one.safetensors\" is not in the index"},
           {R"({"weight_map": {"a": "../one.safetensors"}})", "expected one beside the index"},
           {R"({"weight_map": {"a": "/etc/passwd"}})", "expected one beside the index"},
           {R"({"weight_map": {"a": ".."}})", "expected one beside the index"},
           {R"({"weight_map": {"a": ""}})", "expected one beside the index"},
           {R"({"weight_map": {"a": "one.safetensors", "a": "two.safetensors"}})", "\"a\" occurs twice"},
           {R"({"weight_map": {}, "weight_map": {}})", "\"weight_map\" occurs twice"},
           {R"({"weight_map": {"a": 3}})", "unexpected a number"},
           {R"({"weight_map": {"a": {}}})", "unexpected an object"},
           {R"({"weight_map": {"a": ["x"]}})", "unexpected an array"},
           {R"({"weight_map": [1]})", "no \"weight_map\""},
           {R"({"weight_map": {}})", "no \"weight_map\""},
           {R"({"metadata": {}})", "no \"weight_map\""},
           {R"({"weight_map": {"a": "one.safetensors"})", "not valid JSON"},
           {R"({"weight_map": {"a": "model.safetensors.index.json"}})", "text"},
           {R"({"weight_map": {"a": "gone.safetensors"}})", "gone.safetensors: cannot be opened"}}) {
    const std::string found = refusal(index(text));
    EXPECT_NE(found.find(message), std::string::npos) << text << ": expected " << message << ", found " << found;
  }
  fs::remove(at("model.safetensors.index.json"));
  EXPECT_NE(refusal(folder_.string()).find("0 files *.safetensors.index.json"), std::string::npos);
}

}  // namespace
}  // namespace echodiff
