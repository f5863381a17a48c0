#include "tensor/io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "tensor/io/file.h"
#include "tensor/io/safetensors_header.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

using Json = nlohmann::json;

constexpr const char* kReserved = "__metadata__";
constexpr int64_t kBlock = 256 * 1024;  // bytes: stays in the cache between reading and placing

std::string json_string(const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    throw Error(Fault::kInternal, "encode_safetensors: " + in_quotes(text) + " is not UTF-8");
  }
}

// The file whose header this is; read(entry, reader) hands the reader the entry's bytes.
template <class Read> SafetensorsFile read_entries(SafetensorsHeader header, const std::string& path, Read&& read) {
  SafetensorsFile file;
  file.path = path;
  file.metadata = std::move(header.metadata);
  for (const StoredEntry& entry : header.entries) {
    ViewReader reader(entry.type, row_major_view(entry.shape));
    read(entry, reader);
    file.tensors.push_back({entry.name, reader.finish(path + ": tensor " + in_quotes(entry.name))});
    file.stored_types.push_back(entry.type);
  }
  return file;
}

}  // namespace

bool SafetensorsFile::contains(const std::string& name) const {
  return std::any_of(tensors.begin(), tensors.end(), [&](const NamedTensor& entry) { return entry.name == name; });
}

const Tensor& SafetensorsFile::at(const std::string& name) const {
  for (const NamedTensor& entry : tensors)
    if (entry.name == name) return entry.tensor;
  throw Error(Fault::kBadInput, concat_message(path, ": there is no tensor ", in_quotes(name), " among its ",
                                               tensors.size(), " tensors; check that it is the right file"));
}

SafetensorsFile parse_safetensors(std::string_view bytes, const std::string& path) {
  const int64_t length = safetensors_header_length(bytes, int64_t(bytes.size()), path);
  const std::string_view header = bytes.substr(8, size_t(length)), data = bytes.substr(8 + size_t(length));
  return read_entries(parse_safetensors_header(header, int64_t(data.size()), path), path,
                      [&](const StoredEntry& entry, ViewReader& reader) {
                        reader.take(data.data() + entry.begin, 0, entry.shape.count());
                      });
}

SafetensorsFile read_safetensors(const std::string& path) { return read_safetensors(InputFile(path)); }

SafetensorsFile read_safetensors(const InputFile& input) {
  const std::string first = input.read(0, std::min<int64_t>(8, input.size()));
  const int64_t length = safetensors_header_length(first, input.size(), input.path()), data = 8 + length;
  SafetensorsHeader header = parse_safetensors_header(input.read(8, length), input.size() - data, input.path());
  std::string block;
  return read_entries(std::move(header), input.path(), [&](const StoredEntry& entry, ViewReader& reader) {
    const int64_t element = size_of(entry.type);
    for (int64_t at = entry.begin; at < entry.end;) {
      const int64_t bytes = std::min(kBlock, entry.end - at);
      block.resize(size_t(bytes));
      input.read_at(data + at, block.data(), bytes);
      reader.take(block.data(), (at - entry.begin) / element, bytes / element);
      at += bytes;
    }
  });
}

std::string encode_safetensors(const std::vector<NamedTensor>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  std::vector<StoredType> types;
  for (const NamedTensor& entry : tensors) types.push_back(stored_as(entry.tensor.dtype()));
  return encode_safetensors(tensors, types, metadata);
}

std::string encode_safetensors(const std::vector<NamedTensor>& tensors, const std::vector<StoredType>& types,
                               const std::map<std::string, std::string>& metadata) {
  check(types.size() == tensors.size(), "encode_safetensors: ", types.size(), " types for ", tensors.size(),
        " tensors");
  std::vector<size_t> order(tensors.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return size_of(types[a]) > size_of(types[b]); });
  std::vector<int64_t> begins(tensors.size());
  int64_t size = 0;
  for (const size_t i : order) {
    begins[i] = size;
    size += tensors[i].tensor.count() * size_of(types[i]);
  }

  std::string header = "{";
  const auto separate = [&] {
    if (header.size() > 1) header += ',';
  };
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    bool first = true;
    for (const auto& [key, value] : metadata) {
      header += (first ? "" : ",") + json_string(key) + ":" + json_string(value);
      first = false;
    }
    header += "}";
  }
  std::unordered_set<std::string> names{kReserved};
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor] = tensors[i];
    check(names.insert(name).second, "encode_safetensors: the name ", in_quotes(name), " is reserved or used twice");
    separate();
    header += json_string(name) + ":{\"dtype\":\"" + safetensors_name(types[i]) + "\",\"shape\":[";
    for (int64_t d = 0; d < tensor.rank(); ++d) header += (d ? "," : "") + std::to_string(tensor.dim(d));
    header += "],\"data_offsets\":[" + std::to_string(begins[i]) + "," +
              std::to_string(begins[i] + tensor.count() * size_of(types[i])) + "]}";
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');  // so that the data starts aligned, as the reference writer does

  const uint64_t length = header.size();
  std::string out(8, '\0');
  out.reserve(8 + length + size_t(size));
  std::memcpy(out.data(), &length, sizeof length);
  out += header;
  for (const size_t i : order) append_stored(tensors[i].tensor, types[i], &out);
  return out;
}

void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  write_file_atomic(path, encode_safetensors(tensors, metadata));
}

void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::vector<StoredType>& types, const std::map<std::string, std::string>& metadata) {
  write_file_atomic(path, encode_safetensors(tensors, types, metadata));
}

}  // namespace echodiff
