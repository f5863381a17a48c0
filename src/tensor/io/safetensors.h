// The safetensors container: an 8-byte header length, a JSON header, then the tensors' bytes, little-endian and
// row-major (https://github.com/huggingface/safetensors). Reading is stricter than the reference reader.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/stored.h"
#include "tensor/tensor.h"

namespace echodiff {

class InputFile;  // file.h

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

struct SafetensorsFile {
  std::vector<NamedTensor> tensors;             // in the header's order
  std::vector<StoredType> stored_types;         // of each tensor, in the file
  std::map<std::string, std::string> metadata;  // the header's __metadata__
  std::string path;                             // where it was read from, for messages

  bool contains(const std::string& name) const;
  // Throws Error(kBadInput) when there is none of that name.
  const Tensor& at(const std::string& name) const;
};

// Reads every tensor. F32, F64 and I64 come as they are, F16 and BF16 as f32, BOOL and the other integers as i64
// (a U64 above 2^63 - 1 is refused). Rank-4 tensors are channels-last in memory, as everywhere.
// Throws Error: kMissingInput without the file; kBadInput, naming the file and the key or offset, when the header is
// longer than 100 MB or than the file, is not the expected JSON, names a tensor twice, or when sizes, types and offsets
// disagree, overlap, leave a hole or leave bytes over.
// Memory: the tensors, the header and a small block.
SafetensorsFile read_safetensors(const std::string& path);
SafetensorsFile read_safetensors(const InputFile& input);

// The same from bytes in memory; `path` is for messages.
SafetensorsFile parse_safetensors(std::string_view bytes, const std::string& path);

// The file's bytes: a function of the arguments alone, so its hash is reproducible. The header keeps the order given;
// wider elements are stored before narrower ones so that every tensor lies aligned to its element. The second form
// stores tensor i as types[i]. Throws Error(kInternal) for a name used twice, reserved or not UTF-8, and for a value
// that its type does not hold exactly.
std::string encode_safetensors(const std::vector<NamedTensor>& tensors,
                               const std::map<std::string, std::string>& metadata);
std::string encode_safetensors(const std::vector<NamedTensor>& tensors, const std::vector<StoredType>& types,
                               const std::map<std::string, std::string>& metadata);

// Writes it whole or not at all. Throws Error kCannotCreate or kIo.
void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);
void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::vector<StoredType>& types, const std::map<std::string, std::string>& metadata);

}  // namespace echodiff
