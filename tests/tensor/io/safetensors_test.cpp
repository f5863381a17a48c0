// The safetensors reader and writer: round trips, every hostile golden file, and every prefix and byte flip of a
// header.
#include "tensor/io/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

std::string container(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

std::string failure_of(const std::string& bytes) {
  try {
    parse_safetensors(bytes, "F");
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kBadInput);
    return error.what();
  }
  return "";
}

void expect_same(const SafetensorsFile& a, const SafetensorsFile& b) {
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const NamedTensor& entry : a.tensors) {
    const Tensor& other = b.at(entry.name);
    EXPECT_EQ(entry.tensor.shape(), other.shape()) << entry.name;
    EXPECT_EQ(entry.tensor.dtype(), other.dtype()) << entry.name;
    const std::vector<double> found = entry.tensor.to_vector(), expected = other.to_vector();
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_TRUE(found[i] == expected[i] || (std::isnan(found[i]) && std::isnan(expected[i])))
          << entry.name << " element " << i << ": " << found[i] << ", expected " << expected[i];
  }
}

std::vector<NamedTensor> examples() {
  std::vector<double> counting(2 * 3 * 4 * 5);
  for (size_t i = 0; i < counting.size(); ++i) counting[i] = double(i);
  return {{"odd", from_vector({3}, {1, -2, 0.5})},
          {"image", from_vector({2, 3, 4, 5}, counting)},
          {"double", from_vector({2, 2}, {1, 2, 3, 0.1}, DType::f64)},
          {"steps", from_indices({-1, 1LL << 40})},
          {"scalar", full({}, 7)},
          {"empty", empty({0, 4})},
          {"na\"me\\ \xC3\xA9", full({1, 2, 1}, 3)}};
}

TEST(Safetensors, RoundTrip) {
  const std::map<std::string, std::string> metadata{{"step", "12"}, {"planes", "[\"liver\"]"}};
  const std::string bytes = encode_safetensors(examples(), metadata);
  const SafetensorsFile file = parse_safetensors(bytes, "F");
  EXPECT_EQ(file.metadata, metadata);
  for (size_t i = 0; i < examples().size(); ++i) EXPECT_EQ(file.tensors[i].name, examples()[i].name);
  expect_same({.tensors = examples(), .stored_types = {}, .metadata = {}, .path = {}}, file);
  EXPECT_EQ(encode_safetensors(file.tensors, metadata), bytes);
}

TEST(Safetensors, StoresLogicalOrderAligned) {
  const std::string bytes = encode_safetensors(examples(), {});
  uint64_t length;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0U);
  const nlohmann::json header = nlohmann::json::parse(bytes.substr(8, length));
  const char* data = bytes.data() + 8 + length;
  for (const auto& [name, entry] : header.items())
    EXPECT_EQ(uint64_t(entry["data_offsets"][0]) % (entry["dtype"] == "F32" ? 4 : 8), 0U) << name;
  for (int i = 0; i < 120; ++i) {  // channels-last in memory, (N, C, H, W) in the file
    float value;
    std::memcpy(&value, data + uint64_t(header["image"]["data_offsets"][0]) + 4 * size_t(i), 4);
    EXPECT_EQ(value, float(i));
  }
}

TEST(Safetensors, NarrowTypes) {
  const std::string header =
      R"({"h":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]},)"
      R"("i":{"dtype":"I8","shape":[2],"data_offsets":[12,14]},)"
      R"("t":{"dtype":"BOOL","shape":[2],"data_offsets":[14,16]}})";
  const std::string data("\x00\x3c\x01\x00\x00\xfc\xff\x7b\x80\x3f\x40\xc0\xff\x7f\x00\x01", 16);
  const SafetensorsFile file = parse_safetensors(container(header, data), "F");
  EXPECT_EQ(file.at("h").to_vector(), (std::vector<double>{1, 0x1p-24, -INFINITY, 65504}));
  EXPECT_EQ(file.at("b").to_vector(), (std::vector<double>{1, -3}));
  EXPECT_EQ(file.at("i").to_vector(), (std::vector<double>{-1, 127}));
  EXPECT_EQ(file.at("t").to_vector(), (std::vector<double>{0, 1}));
  EXPECT_EQ(file.at("h").dtype(), DType::f32);
  EXPECT_EQ(file.at("i").dtype(), DType::i64);
}

TEST(Safetensors, RefusalsNameFileAndKey) {
  const std::string data(8, '\0');
  const auto one = [](const std::string& entry) { return "{\"w\":{" + entry + "}}"; };
  const std::string good = one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])");
  EXPECT_EQ(failure_of(container(good, data)), "");
  const std::vector<std::pair<std::string, std::string>> bad{
      {one(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"), "tensor \"w\" has 8 bytes, expected 12"},
      {one(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), "data_offsets [8, 0]"},
      {one(R"("dtype":"F32","shape":[2],"data_offsets":[1,9])"), "data_offsets [1, 9]"},
      {one(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), "bytes before it belong to no tensor"},
      {one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"), "4 bytes follow the last tensor"},
      {one(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])"), "dtype twice"},
      {one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1)"), "unknown field \"more\""},
      {one(R"("dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0])"), "overflows"},
      {one(R"("dtype":"F32","shape":[[2]],"data_offsets":[0,8])"), "unexpected an array"},
      {one(R"("dtype":null,"shape":[2],"data_offsets":[0,8])"), "unexpected null"},
      {"{\"w\":3}", "unexpected a number"},
      {R"({"__metadata__":{"a":1}})", "unexpected a number"},
      {R"({"__metadata__":{"a":"1","a":"2"}})", "metadata key \"a\" occurs twice"},
      {good + "{}", "not valid JSON"},
      {" " + good, "does not start with '{'"},
      {good.substr(0, good.size() - 1), "not valid JSON"},
  };
  for (const auto& [header, message] : bad) {
    const std::string failure = failure_of(container(header, data));
    EXPECT_NE(failure.find(message), std::string::npos) << header << ": " << failure;
    EXPECT_TRUE(failure.starts_with("F: ")) << failure;
    EXPECT_EQ(failure.find('\n'), std::string::npos) << failure;
  }
  std::string deep = "{\"w\":";
  for (int i = 0; i < 100000; ++i) deep += "[";
  EXPECT_NE(failure_of(container(deep, "")), "");
}

TEST(Safetensors, EveryCutIsRefused) {
  const std::string bytes = encode_safetensors(examples(), {{"step", "12"}});
  for (size_t length = 0; length < bytes.size(); ++length) EXPECT_NE(failure_of(bytes.substr(0, length)), "") << length;
  EXPECT_NE(failure_of(bytes + "x"), "");
}

// A flipped header byte may still be a valid file (a letter of a name), but must never be read outside its bytes.
TEST(Safetensors, FlippedHeaderBytesAreHarmless) {
  const std::string bytes = encode_safetensors(examples(), {{"step", "12"}});
  uint64_t length;
  std::memcpy(&length, bytes.data(), 8);
  int refused = 0;
  for (size_t i = 0; i < 8 + length; ++i)
    for (const int bit : {0, 1, 3, 5, 7}) {
      std::string damaged = bytes;
      damaged[i] = char(damaged[i] ^ 1 << bit);
      refused += failure_of(damaged).empty() ? 0 : 1;
    }
  EXPECT_GT(refused, int(length) * 2);
}

TEST(Safetensors, WritingRefusesBadNames) {
  const Tensor x = full({1}, 0);
  EXPECT_THROW(encode_safetensors({{"a", x}, {"a", x}}, {}), Error);
  EXPECT_THROW(encode_safetensors({{"__metadata__", x}}, {}), Error);
  EXPECT_THROW(encode_safetensors({{"\xff", x}}, {}), Error);
}

TEST(Safetensors, MissingTensorAndFile) {
  const SafetensorsFile file = parse_safetensors(encode_safetensors(examples(), {}), "F");
  EXPECT_FALSE(file.contains("nothing"));
  try {
    file.at("nothing");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kBadInput);
    EXPECT_NE(std::string(error.what()).find("\"nothing\""), std::string::npos);
  }
  try {
    read_safetensors("/nowhere/at/all.safetensors");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kMissingInput);
  }
}

TEST(Safetensors, WriteThenRead) {
  const ScratchFolder folder;
  const std::string path = folder.at("examples.safetensors");
  write_safetensors(path, examples(), {{"a", "b"}});
  expect_same({.tensors = examples(), .stored_types = {}, .metadata = {}, .path = {}}, read_safetensors(path));
}

TEST(HostileSafetensors, VerdictsOfTheManifest) {
  std::ifstream stream(golden_path("hostile/manifest.json"));
  int seen = 0;
  const nlohmann::json manifest = nlohmann::json::parse(stream);
  for (const nlohmann::json& entry : manifest.at("files")) {
    const std::string name = entry.at("file");
    if (!name.ends_with(".safetensors")) continue;
    ++seen;
    const std::string path = (golden_path("hostile") / name).string();
    SCOPED_TRACE(name + ": " + std::string(entry.at("why")));
    if (entry.at("verdict") == "reject") {
      const std::string failure = failure_of(read_file(path));
      EXPECT_NE(failure, "");
      EXPECT_EQ(failure.find('\n'), std::string::npos) << failure;
    } else {
      const SafetensorsFile file = read_safetensors(path);
      expect_same(file, read_safetensors((golden_path("hostile") / std::string(entry.at("values"))).string()));
    }
  }
  EXPECT_GE(seen, 24);
}

TEST(HostileSafetensors, EveryGoldenFileIsRead) {
  int read = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(golden_path(""))) {
    if (file.path().extension() != ".safetensors" || file.path().parent_path().filename() == "hostile") continue;
    EXPECT_NO_THROW(read_safetensors(file.path().string())) << file.path();
    ++read;
  }
  EXPECT_GE(read, 40);
}

}  // namespace
}  // namespace echodiff
