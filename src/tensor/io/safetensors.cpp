// Nothing in a header is trusted: it is read by a state machine that accepts exactly the documented structure (json.h
// would first hold all of 100 MB as a tree), and every size is checked against the bytes there before memory is asked
// for.
#include "tensor/io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "tensor/io/file.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;
constexpr size_t kMaxRank = 64;
constexpr const char* kReserved = "__metadata__";
constexpr int64_t kBlock = 256 * 1024;  // bytes: stays in the cache between reading and placing

// What a header may ask for: each tensor and each line of metadata costs memory whatever it holds, and a name is kept
// a few times over (fields, entries, the tensor's, a program's listing).
constexpr int64_t kTensorCost = 1536, kMetadataCost = 256, kNameCost = 6;  // bytes; bytes a letter
int64_t header_budget(int64_t file_size) { return 2 * file_size + (64LL << 20); }

struct StoredEntry {
  std::string name;
  StoredType type;
  Shape shape;
  int64_t begin, end;  // bytes of the data, which follow the header
};

struct Fields {
  std::string name, dtype;
  std::vector<uint64_t> shape, offsets;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

// SAX events of {"NAME": {"dtype": "..", "shape": [..], "data_offsets": [..]}, "__metadata__": {"..": ".."}}.
// Each returns false, with `problem` set, at the first thing that does not belong there.
class HeaderReader {
 public:
  explicit HeaderReader(int64_t budget) : budget_(budget) {}

  std::vector<Fields> entries;
  std::map<std::string, std::string> metadata;
  std::string problem;

  bool start_object(size_t) {
    if (place_ == Place::kOutside) return enter(Place::kTop);
    if (place_ != Place::kTop) return unexpected("an object");
    if (key_ == kReserved) return enter(Place::kMetadata);
    if (!spend(kTensorCost)) return false;
    entries.push_back({.name = key_, .dtype = {}, .shape = {}, .offsets = {}});
    return enter(Place::kTensor);
  }
  bool end_object() {
    if (place_ == Place::kTensor) {
      const Fields& entry = entries.back();
      const char* missing = !entry.has_dtype     ? "dtype"
                            : !entry.has_shape   ? "shape"
                            : !entry.has_offsets ? "data_offsets"
                                                 : nullptr;
      if (missing) return fail("tensor " + in_quotes(entry.name) + " has no " + missing);
    }
    return enter(place_ == Place::kTop ? Place::kOutside : Place::kTop);
  }
  bool key(std::string& key) {
    key_ = key;
    if (!spend(kNameCost * int64_t(key.size()))) return false;
    if (place_ == Place::kTop && !names_.insert(key).second) return fail("the key " + in_quotes(key) + " occurs twice");
    if (place_ == Place::kMetadata && metadata.contains(key))
      return fail("the metadata key " + in_quotes(key) + " occurs twice");
    if (place_ != Place::kTensor) return true;
    Fields& entry = entries.back();
    bool* seen = key == "dtype"          ? &entry.has_dtype
                 : key == "shape"        ? &entry.has_shape
                 : key == "data_offsets" ? &entry.has_offsets
                                         : nullptr;
    if (!seen) return fail("tensor " + in_quotes(entry.name) + " has an unknown field " + in_quotes(key));
    if (*seen) return fail("tensor " + in_quotes(entry.name) + " has " + key + " twice");
    return *seen = true;
  }
  bool start_array(size_t) {
    if (place_ != Place::kTensor || key_ == "dtype") return unexpected("an array");
    return enter(key_ == "shape" ? Place::kShape : Place::kOffsets);
  }
  bool end_array() { return enter(Place::kTensor); }
  bool string(std::string& value) {
    if (place_ == Place::kMetadata) {
      if (!spend(kMetadataCost + 2 * int64_t(value.size()))) return false;
      metadata.emplace(key_, value);
    } else if (place_ == Place::kTensor && key_ == "dtype") {
      entries.back().dtype = value;
    } else {
      return unexpected("a string");
    }
    return true;
  }
  bool number_unsigned(uint64_t value) {
    if (place_ != Place::kShape && place_ != Place::kOffsets) return unexpected("a number");
    Fields& entry = entries.back();
    if (value > uint64_t(std::numeric_limits<int64_t>::max())) return unexpected("a number above 2^63 - 1");
    std::vector<uint64_t>& list = place_ == Place::kShape ? entry.shape : entry.offsets;
    list.push_back(value);
    if (list.size() > kMaxRank) return unexpected("more than " + std::to_string(kMaxRank) + " numbers");
    return true;
  }
  bool number_integer(int64_t) { return unexpected("a negative number"); }
  bool number_float(double, const std::string&) { return unexpected("a number that is not an integer"); }
  bool boolean(bool) { return unexpected("a boolean"); }
  bool null() { return unexpected("null"); }
  bool binary(Json::binary_t&) { return unexpected("binary data"); }
  bool parse_error(size_t position, const std::string&, const Json::exception&) {
    return fail("the header is not valid JSON at byte " + std::to_string(8 + position));
  }

 private:
  enum class Place { kOutside, kTop, kMetadata, kTensor, kShape, kOffsets };

  bool enter(Place place) {
    place_ = place;
    return true;
  }
  bool spend(int64_t bytes) {
    budget_ -= bytes;
    return budget_ >= 0 || fail(
                               "the header asks for more memory than 2 x the file + 64 MiB: too many tensors or names "
                               "too long, such as " +
                               in_quotes(key_));
  }
  bool fail(std::string what) {
    problem = std::move(what);
    return false;
  }
  bool unexpected(const std::string& what) {
    const bool in_tensor = place_ == Place::kTensor || place_ == Place::kShape || place_ == Place::kOffsets;
    return fail("unexpected " + what + " in the header" +
                (place_ == Place::kOutside ? "" : " at key " + in_quotes(key_)) +
                (in_tensor ? " of tensor " + in_quotes(entries.back().name) : ""));
  }

  int64_t budget_;
  Place place_ = Place::kOutside;
  std::string key_;
  std::unordered_set<std::string> names_;
};

StoredEntry checked(const Fields& fields, int64_t size, const std::string& path) {
  const std::string where = path + ": tensor " + in_quotes(fields.name);
  const std::optional<StoredType> type = stored_type_of_safetensors(fields.dtype);
  check_input(type.has_value(), Fault::kBadInput, where, " has dtype ", in_quotes(fields.dtype),
              ", expected F32, F64, F16, BF16, BOOL or an integer type; convert it first");
  const Shape shape(PoolVector<int64_t>(fields.shape.begin(), fields.shape.end()));
  const std::optional<int64_t> needed = bytes_of(shape, size_of(*type));
  check_input(needed && bytes_before_zeros(shape, 8), Fault::kBadInput, where,
              " has a shape whose size in bytes overflows; the file is damaged");
  check_input(fields.offsets.size() == 2, Fault::kBadInput, where, " has ", fields.offsets.size(),
              " data_offsets, expected 2; the file is damaged");
  const int64_t begin = int64_t(fields.offsets[0]), end = int64_t(fields.offsets[1]);
  check_input(begin <= end && end <= size, Fault::kBadInput, where, " has data_offsets [", begin, ", ", end,
              "], expected an ordered pair up to ", size, "; the file is damaged or cut off");
  check_input(end - begin == *needed, Fault::kBadInput, where, " has ", end - begin, " bytes, expected ", *needed,
              " for ", fields.dtype, " ", shape, "; the file is damaged");
  return {fields.name, *type, shape, begin, end};
}

// Every byte of the data belongs to exactly one tensor.
void check_cover(const std::vector<StoredEntry>& entries, int64_t size, const std::string& path) {
  std::vector<const StoredEntry*> sorted;
  for (const StoredEntry& entry : entries) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](const StoredEntry* a, const StoredEntry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  int64_t covered = 0;
  for (const StoredEntry* entry : sorted) {
    check_input(entry->begin == covered, Fault::kBadInput, path, ": tensor ", in_quotes(entry->name),
                " begins at data offset ", entry->begin, ", expected ", covered,
                entry->begin < covered ? ": it overlaps another" : ": bytes before it belong to no tensor",
                "; the file is damaged");
    covered = entry->end;
  }
  check_input(covered == size, Fault::kBadInput, path, ": ", size - covered,
              " bytes follow the last tensor, expected none; the file is damaged");
}

// Its length, from the first 8 bytes of the file.
int64_t header_length(std::string_view first, int64_t file_size, const std::string& path) {
  check_input(file_size >= 8 && first.size() >= 8, Fault::kBadInput, path, ": ", file_size,
              " bytes, expected a safetensors file of at least 8; the file is cut off or of another kind");
  uint64_t length = 0;
  std::memcpy(&length, first.data(), sizeof length);
  const uint64_t most = std::min<uint64_t>(kMaxHeader, uint64_t(file_size) - 8);
  check_input(length <= most, Fault::kBadInput, path, ": header length ", length, ", expected at most ", most,
              "; the file is cut off or is not a safetensors file");
  return int64_t(length);
}

// Its entries, in its order; together they cover the data once.
std::vector<StoredEntry> parse_header(std::string_view header, int64_t data_size, SafetensorsFile* file) {
  const std::string& path = file->path;
  check_input(header.starts_with('{'), Fault::kBadInput, path,
              ": the header does not start with '{'; it is not a safetensors file");
  check_input(header.find('\0') == std::string_view::npos, Fault::kBadInput, path, ": the header holds a NUL at byte ",
              8 + header.find('\0'), "; the file is damaged");  // the JSON library would take it for the end
  HeaderReader reader(header_budget(8 + int64_t(header.size()) + data_size));
  const bool whole = Json::sax_parse(header.begin(), header.end(), &reader);
  check_input(whole, Fault::kBadInput, path, ": ", reader.problem, "; the file is damaged");
  file->metadata = std::move(reader.metadata);
  std::vector<StoredEntry> entries;
  for (const Fields& fields : reader.entries) entries.push_back(checked(fields, data_size, path));
  check_cover(entries, data_size, path);
  return entries;
}

std::string json_string(const std::string& text) {
  check(is_utf8(text), "encode_safetensors: ", in_quotes(text), " is not UTF-8");
  return Json(text).dump();
}

// The file whose header this is; read(entry, reader) hands the reader the entry's bytes.
template <class Read>
SafetensorsFile read_entries(std::string_view header, int64_t data_size, const std::string& path, Read&& read) {
  SafetensorsFile file;
  file.path = path;
  for (const StoredEntry& entry : parse_header(header, data_size, &file)) {
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
  const int64_t length = header_length(bytes, int64_t(bytes.size()), path);
  const std::string_view header = bytes.substr(8, size_t(length)), data = bytes.substr(8 + size_t(length));
  return read_entries(header, int64_t(data.size()), path, [&](const StoredEntry& entry, ViewReader& reader) {
    reader.take(data.data() + entry.begin, 0, entry.shape.count());
  });
}

SafetensorsFile read_safetensors(const std::string& path) { return read_safetensors(InputFile(path)); }

SafetensorsFile read_safetensors(const InputFile& input) {
  const std::string first = input.read(0, std::min<int64_t>(8, input.size()));
  const int64_t length = header_length(first, input.size(), input.path()), data = 8 + length;
  const std::string header = input.read(8, length);
  std::string block;
  return read_entries(header, input.size() - data, input.path(), [&](const StoredEntry& entry, ViewReader& reader) {
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
  for (const auto& [key, value] : metadata)
    header += (header.size() > 1 ? "," : "\"__metadata__\":{") + json_string(key) + ":" + json_string(value);
  if (!metadata.empty()) header += "}";
  std::unordered_set<std::string> names{kReserved};
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor] = tensors[i];
    check(names.insert(name).second, "encode_safetensors: the name ", in_quotes(name), " is reserved or used twice");
    header += (header.size() > 1 ? "," : "") + json_string(name) + ":{\"dtype\":\"" + safetensors_name(types[i]) +
              "\",\"shape\":[";
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
