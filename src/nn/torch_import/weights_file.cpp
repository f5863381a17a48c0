#include "nn/torch_import/weights_file.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>

#include "nn/torch_import/storage_plan.h"
#include "tensor/io/json.h"
#include "tensor/io/safetensors.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxIndex = 8'000'000;  // bytes

enum class Content { kZip, kPickle, kIndex, kOther };

Content content_of(std::string_view start) {
  if (start.starts_with("PK\x03\x04") || start.starts_with("PK\x05\x06")) return Content::kZip;
  // A header's length, then JSON; the length may begin as a pickle does.
  if (start.size() > 8 && start[8] == '{' && start[7] == '\0') return Content::kOther;
  if (start.starts_with("\x80")) return Content::kPickle;
  return start.starts_with("{") ? Content::kIndex : Content::kOther;
}

// Things that people take for checkpoints, by their first bytes.
void refuse_familiar(std::string_view start, const InputFile& input) {
  struct Familiar {
    std::string_view start;
    const char* advice;
  };
  constexpr Familiar kFamiliar[] = {
      {"version https://git-lfs", "a Git LFS pointer, not the file itself; fetch it with git lfs pull"},
      {"<", "an HTML or XML page, not weights; download the file itself"},
      {"\x1F\x8B", "gzip; unpack it first"},
      {"\x89HDF", "HDF5; export the weights with the program that wrote it, as safetensors"},
      {"BZh", "bzip2; unpack it first"},
      {"\xFD"
       "7zXZ",
       "xz; unpack it first"},
      {"GGUF", "GGUF, which holds quantised weights; take the original"},
      {"\x93NUMPY", "a numpy array; save a dictionary of tensors as safetensors"},
  };
  check_input(input.size() > 0, Fault::kBadInput, input.path(),
              ": is empty (0 bytes), expected a file of weights; download or copy it again");
  for (const Familiar& familiar : kFamiliar)
    check_input(!start.starts_with(familiar.start), Fault::kBadInput, input.path(), ": byte 0: ", familiar.advice);
  const bool text = start.size() >= 8 && std::all_of(start.begin(), start.end(), [](char c) {
                      return (c >= ' ' && c <= '~') || c == '\n' || c == '\r' || c == '\t';
                    });
  check_input(!text, Fault::kBadInput, input.path(), ": byte 0: text (", in_quotes(start.substr(0, 24)),
              "), expected a PyTorch or safetensors file");
}

WeightsFile read_plain_safetensors(const InputFile& input) {
  SafetensorsFile read = read_safetensors(input);
  WeightsFile file;
  file.path = input.path();
  file.kind = "safetensors";
  file.metadata = std::move(read.metadata);
  for (size_t i = 0; i < read.tensors.size(); ++i)
    file.tensors.push_back(
        {std::move(read.tensors[i].name), torch_name(read.stored_types[i]), std::move(read.tensors[i].tensor)});
  return file;
}

std::string start_of(const InputFile& input) { return input.read(0, std::min<int64_t>(32, input.size())); }

WeightsFile read_one_file(const InputFile& input) {
  const std::string start = start_of(input);
  switch (content_of(start)) {
    case Content::kZip: return read_torch_zip(input);
    case Content::kPickle: return read_torch_legacy(input);
    default: refuse_familiar(start, input); return read_plain_safetensors(input);
  }
}

// The weight_map, in the index's order.
std::vector<std::pair<std::string, std::string>> parse_index(const InputFile& index) {
  const std::string& path = index.path();
  check_input(index.size() <= kMaxIndex, Fault::kBadInput, path, ": an index of ", index.size(),
              " bytes, expected at most ", kMaxIndex);
  const JsonNode json = parse_json(index.read(0, index.size()), path);
  const JsonNode* map = json.find("weight_map");
  check_input(map != nullptr && !map->fields.empty(), Fault::kBadInput, path,
              ": no \"weight_map\" of names to files, expected an index of sharded weights");
  std::vector<std::pair<std::string, std::string>> places;
  for (const auto& [name, node] : map->fields) {
    check_input(node.kind == JsonNode::Kind::kText, Fault::kBadInput, map->where, ": key ", in_quotes(name),
                ": unexpected ", node.kind_name(), ", expected the name of a file");
    const std::string& file = node.string;
    check_input(!file.empty() && file.find('/') == std::string::npos && file.find('\0') == std::string::npos &&
                    file != "." && file != "..",
                Fault::kBadInput, path, ": key ", in_quotes(name), " names the file ", in_quotes(file),
                ", expected one beside the index");
    places.emplace_back(name, file);
  }
  return places;
}

// Each tensor from a file beside the index, as transformers and diffusers write it.
WeightsFile read_sharded(const InputFile& index) {
  const std::string& path = index.path();
  const std::vector<std::pair<std::string, std::string>> places = parse_index(index);  // name, file
  std::map<std::string, std::map<std::string, SourceTensor>> shards;
  WeightsFile file;
  file.path = path;
  file.kind = "sharded";
  for (const auto& [name, shard] : places) shards.try_emplace(shard);
  for (auto& [name, tensors] : shards) {
    const std::filesystem::path shard_path = std::filesystem::path(path).parent_path() / name;
    WeightsFile shard = read_one_file(InputFile(shard_path.string()));
    check_input(shard.leaves.empty(), Fault::kBadInput, shard.path, ": holds ",
                in_quotes(shard.leaves.empty() ? "" : shard.leaves[0].name),
                " beside tensors, expected a shard of tensors only");
    for (SourceTensor& tensor : shard.tensors) tensors.emplace(tensor.name, std::move(tensor));
    for (const std::string& warning : shard.warnings) file.warnings.push_back(name + ": " + warning);
    file.facts.push_back("shard " + in_quotes(name));
  }
  for (const auto& [name, shard] : places) {
    std::map<std::string, SourceTensor>& tensors = shards[shard];
    const auto found = tensors.find(name);
    check_input(found != tensors.end(), Fault::kBadInput, path, ": tensor ", in_quotes(name), " is not in ",
                in_quotes(shard), ", where the index has it");
    file.tensors.push_back(std::move(found->second));
    tensors.erase(found);
  }
  for (const auto& [name, tensors] : shards)
    check_input(tensors.empty(), Fault::kBadInput, path, ": tensor ",
                in_quotes(tensors.empty() ? "" : tensors.begin()->first), " of ", in_quotes(name),
                " is not in the index");
  return file;
}

// The one index of sharded safetensors in a folder.
std::string index_in(const std::string& folder) {
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().ends_with(".safetensors.index.json")) found.push_back(entry.path().string());
  check_input(found.size() == 1, found.empty() ? Fault::kMissingInput : Fault::kBadInput, folder, ": a folder with ",
              found.size(), " files *.safetensors.index.json, expected one; name the file of weights itself");
  return found[0];
}

}  // namespace

const SourceTensor* WeightsFile::find(const std::string& name) const {
  for (const SourceTensor& tensor : tensors)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

WeightsFile read_weights_file(const std::string& path) {
  std::error_code ignored;
  const InputFile input(fs::is_directory(path, ignored) ? index_in(path) : path);
  if (content_of(start_of(input)) == Content::kIndex) return read_sharded(input);
  return read_one_file(input);
}

}  // namespace echodiff
