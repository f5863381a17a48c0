// An index of sharded weights, as transformers and diffusers write it.
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "nn/torch_import/containers.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxIndex = 8'000'000;  // bytes

struct Place {
  std::string name, file;
};

// SAX events of {"weight_map": {NAME: FILE, ...}, ...}; what else the top holds is skipped. Each returns false, with
// `problem` set, at the first thing that does not belong there.
class IndexReader {
 public:
  std::vector<Place> places;
  bool has_map = false;
  std::string problem;

  bool start_object(size_t) {
    if (in_map()) return unexpected("an object");
    if (depth_ == 1 && key_ == kMap) has_map = true;
    ++depth_;
    return true;
  }
  bool end_object() {
    --depth_;
    return true;
  }
  bool start_array(size_t) {
    if (depth_ == 0 || in_map()) return unexpected("an array");
    ++depth_;
    return true;
  }
  bool end_array() { return end_object(); }
  bool key(std::string& key) {
    if (depth_ == 1) key_ = key;
    if (depth_ == 1 && !top_.insert(key).second) return fail("the key " + in_quotes(key) + " occurs twice");
    if (!in_map()) return true;
    if (!names_.insert(key).second) return fail("the key " + in_quotes(key) + " occurs twice");
    places.push_back({key, ""});
    return true;
  }
  bool string(std::string& value) {
    if (!in_map()) return depth_ > 0 ? true : unexpected("text");
    places.back().file = value;
    return true;
  }
  bool number_unsigned(uint64_t) { return skip("a number"); }
  bool number_integer(int64_t) { return skip("a number"); }
  bool number_float(double, const std::string&) { return skip("a number"); }
  bool boolean(bool) { return skip("a boolean"); }
  bool null() { return skip("null"); }
  bool binary(Json::binary_t&) { return skip("binary data"); }
  bool parse_error(size_t position, const std::string&, const Json::exception&) {
    return fail("not valid JSON at byte " + std::to_string(position));
  }

 private:
  static constexpr const char* kMap = "weight_map";

  bool in_map() const { return depth_ == 2 && key_ == kMap && has_map; }
  bool fail(std::string what) {
    problem = std::move(what);
    return false;
  }
  bool unexpected(const std::string& what) {
    return fail("unexpected " + what + (places.empty() ? "" : " at key " + in_quotes(places.back().name)));
  }
  bool skip(const std::string& what) { return in_map() || depth_ == 0 ? unexpected(what) : true; }

  int64_t depth_ = 0;
  std::string key_;  // the last at the top
  std::unordered_set<std::string> top_, names_;
};

// The weight_map, in the index's order.
std::vector<Place> parse_index(const InputFile& index) {
  const std::string& path = index.path();
  check_input(index.size() <= kMaxIndex, Fault::kBadInput, path, ": an index of ", index.size(),
              " bytes, expected at most ", kMaxIndex);
  const std::string text = index.read(0, index.size());
  IndexReader reader;
  const bool whole = Json::sax_parse(text, &reader);
  check_input(whole, Fault::kBadInput, path, ": ", reader.problem, "; expected an index of sharded weights");
  check_input(reader.has_map && !reader.places.empty(), Fault::kBadInput, path,
              ": no \"weight_map\" of names to files, expected an index of sharded weights");
  for (const auto& [name, file] : reader.places)
    check_input(!file.empty() && file.find('/') == std::string::npos && file.find('\0') == std::string::npos &&
                    file != "." && file != "..",
                Fault::kBadInput, path, ": key ", in_quotes(name), " names the file ", in_quotes(file),
                ", expected one beside the index");
  return std::move(reader.places);
}

}  // namespace

WeightsFile read_sharded(const InputFile& index, WeightsFile (*read)(const InputFile&)) {
  const std::string& path = index.path();
  const std::vector<Place> places = parse_index(index);
  std::map<std::string, std::map<std::string, SourceTensor>> shards;
  WeightsFile file;
  file.path = path;
  file.kind = "sharded";
  for (const Place& place : places) shards.try_emplace(place.file);
  for (auto& [name, tensors] : shards) {
    const std::filesystem::path shard_path = std::filesystem::path(path).parent_path() / name;
    WeightsFile shard = read(InputFile(shard_path.string()));
    check_input(shard.leaves.empty(), Fault::kBadInput, shard.path, ": holds ",
                in_quotes(shard.leaves.empty() ? "" : shard.leaves[0].name),
                " beside tensors, expected a shard of tensors only");
    for (SourceTensor& tensor : shard.tensors) tensors.emplace(tensor.name, std::move(tensor));
    for (const std::string& warning : shard.warnings) file.warnings.push_back(name + ": " + warning);
    file.facts.push_back("shard " + in_quotes(name));
  }
  for (const Place& place : places) {
    std::map<std::string, SourceTensor>& tensors = shards[place.file];
    const auto found = tensors.find(place.name);
    check_input(found != tensors.end(), Fault::kBadInput, path, ": tensor ", in_quotes(place.name), " is not in ",
                in_quotes(place.file), ", where the index has it");
    file.tensors.push_back(std::move(found->second));
    tensors.erase(found);
  }
  for (const auto& [name, tensors] : shards)
    check_input(tensors.empty(), Fault::kBadInput, path, ": tensor ",
                in_quotes(tensors.empty() ? "" : tensors.begin()->first), " of ", in_quotes(name),
                " is not in the index");
  return file;
}

}  // namespace echodiff
