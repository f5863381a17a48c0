// An index of sharded weights, as transformers and diffusers write it.
#include <filesystem>
#include <map>

#include "nn/torch_import/containers.h"
#include "tensor/io/json.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

constexpr int64_t kMaxIndex = 8'000'000;  // bytes

struct Place {
  std::string name, file;
};

// The weight_map, in the index's order.
std::vector<Place> parse_index(const InputFile& index) {
  const std::string& path = index.path();
  check_input(index.size() <= kMaxIndex, Fault::kBadInput, path, ": an index of ", index.size(),
              " bytes, expected at most ", kMaxIndex);
  const JsonNode json = parse_json(index.read(0, index.size()), path);
  const JsonNode* map = json.find("weight_map");
  check_input(map != nullptr && !map->fields.empty(), Fault::kBadInput, path,
              ": no \"weight_map\" of names to files, expected an index of sharded weights");
  std::vector<Place> places;
  for (const auto& [name, node] : map->fields) {
    check_input(node.kind == JsonNode::Kind::kText, Fault::kBadInput, map->where, ": key ", in_quotes(name),
                ": unexpected ", node.kind_name(), ", expected the name of a file");
    const std::string& file = node.string;
    check_input(!file.empty() && file.find('/') == std::string::npos && file.find('\0') == std::string::npos &&
                    file != "." && file != "..",
                Fault::kBadInput, path, ": key ", in_quotes(name), " names the file ", in_quotes(file),
                ", expected one beside the index");
    places.push_back({name, file});
  }
  return places;
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
