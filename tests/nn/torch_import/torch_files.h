// Builders of the files that torch.save writes, and of files that it would never write.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace echodiff {

// Writes opcodes; the order is the caller's business.
class PickleWriter {
 public:
  explicit PickleWriter(int protocol = 2) : bytes_{char(0x80), char(protocol)} {}

  PickleWriter& raw(std::string_view bytes);
  PickleWriter& text(std::string_view text);
  PickleWriter& integer(int64_t value);  // any of 64 bits
  PickleWriter& real(double value);
  PickleWriter& global(std::string_view module, std::string_view name);
  PickleWriter& integers(const std::vector<int64_t>& values);  // a tuple
  // ("storage", torch.KIND, KEY, location, count) as a persistent id
  PickleWriter& storage(std::string_view kind, std::string_view key, int64_t count, std::string_view location = "cpu");
  // torch._utils._rebuild_tensor_v2 of a storage
  PickleWriter& tensor(std::string_view kind, std::string_view key, int64_t count, int64_t offset,
                       const std::vector<int64_t>& shape, const std::vector<int64_t>& strides);
  PickleWriter& dict() { return raw("}"); }
  PickleWriter& ordered_dict() { return global("collections", "OrderedDict").raw(")R"); }
  PickleWriter& set_item() { return raw("s"); }
  std::string stop() const { return bytes_ + "."; }

 private:
  std::string bytes_;
};

struct ZipEntry {
  std::string name, bytes;
  int method = 0, flags = 0;
  int64_t crc = -1;             // -1: the right one
  int64_t local_offset = -1;    // -1: where it is
  std::string local_name = "";  // "": the same
};
std::string zip_of(const std::vector<ZipEntry>& entries);

// The zip of torch.save: data.pkl, byteorder, data/0, data/1, ...
std::string torch_zip(const std::string& pickle, const std::vector<std::string>& storages,
                      const std::string& byteorder = "little");
// The legacy file: the object's pickle, then storages by key.
struct LegacyStorage {
  std::string key;
  int64_t count;
  std::string bytes;
};
std::string torch_legacy(const std::string& pickle, const std::vector<LegacyStorage>& storages);

template <class T> std::string bytes_of_values(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// {"w": 2 x 3 of 1..6, "step": 12}, as a zip.
std::string small_checkpoint();

}  // namespace echodiff
