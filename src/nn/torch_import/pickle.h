// A pickle read as data: a machine of the opcodes that PyTorch's files use (protocols 2 to 5). Values are plain
// records; no class is looked up and nothing is called. What other opcodes, classes or shapes of arguments there are
// is refused with the byte where it stands.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "nn/torch_import/pickle_globals.h"
#include "tensor/io/file.h"

namespace echodiff {

// The bytes of a pickle, whole or read from a file as far as they are asked for. Offsets count from the first.
class PickleBytes {
 public:
  explicit PickleBytes(std::string bytes) : bytes_(std::move(bytes)), size_(int64_t(bytes_.size())) {}
  explicit PickleBytes(const InputFile& file) : file_(&file), size_(file.size()) {}

  int64_t size() const { return size_; }
  // Valid until the next call. The bytes must lie within the size.
  std::string_view at(int64_t offset, int64_t length);

 private:
  const InputFile* file_ = nullptr;
  std::string bytes_;
  int64_t size_ = 0;
};

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kBoolean,
    kInteger,
    kReal,
    kLong,  // an integer beyond 64 bits; its little-endian bytes
    kText,  // UTF-8, unchecked
    kBytes,
    kList,
    kTuple,
    kDict,
    kSet,
    kObject,   // an inert object: items are what it was built from
    kGlobal,   // index into nothing: the global itself
    kStorage,  // index: storage_uses
    kTensor,   // index: tensors
  };
  Kind kind = Kind::kNone;
  uint32_t index = 0;  // kText, kBytes, kLong: length; containers: number; kStorage, kTensor: number
  union {
    int64_t integer = 0;  // kInteger, kBoolean; kText, kBytes, kLong: offset
    double real;
    const KnownGlobal* global;
  };

  bool is_container() const { return kind >= Kind::kList && kind <= Kind::kObject; }
};

// "a list", for messages.
const char* kind_name(PickleValue::Kind kind);

// A storage that the pickle names: `count` elements under the key in the container (data/KEY in a zip).
struct PickleStorage {
  std::string key, location;  // location: "cpu", "cuda:0"
  StoredType type = StoredType::f32;
  bool untyped = false;  // type is u8 and counts bytes, whatever its tensors are
  int64_t count = 0;
};

struct PickleTensor {
  uint32_t storage = 0;
  StoredType type = StoredType::f32;
  StoredView view;  // lies within the storage
};

struct Pickle {
  PickleValue root;
  std::vector<std::vector<PickleValue>> containers;  // of a dict: key, value, key, value, ...
  std::vector<PickleStorage> storages;
  std::vector<PickleTensor> tensors;
  int64_t protocol = 0;
  int64_t end = 0;  // the offset after STOP
};

// Reads the pickle that starts at byte `begin`; `where` starts every message ("F: data.pkl"). Memory beyond the bytes
// themselves: at most 24 MiB plus their size. Throws Error(kBadInput).
Pickle read_pickle(PickleBytes& bytes, int64_t begin, const std::string& where);

}  // namespace echodiff
