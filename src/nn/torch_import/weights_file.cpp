#include "nn/torch_import/weights_file.h"

#include "tensor/io/safetensors.h"

namespace echodiff {

const SourceTensor* WeightsFile::find(const std::string& name) const {
  for (const SourceTensor& tensor : tensors)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

const SourceLeaf* WeightsFile::find_leaf(const std::string& name) const {
  for (const SourceLeaf& leaf : leaves)
    if (leaf.name == name) return &leaf;
  return nullptr;
}

WeightsFile read_weights_file(const std::string& path) {
  SafetensorsFile read = read_safetensors(path);
  WeightsFile file;
  file.path = path;
  file.kind = "safetensors";
  file.metadata = std::move(read.metadata);
  for (size_t i = 0; i < read.tensors.size(); ++i)
    file.tensors.push_back({std::move(read.tensors[i].name), read.stored_types[i], std::move(read.tensors[i].tensor)});
  return file;
}

}  // namespace echodiff
