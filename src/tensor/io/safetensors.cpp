// Nothing in a file is trusted: the header is read by a state machine that accepts exactly the documented structure,
// and every size is checked against the bytes there before memory is asked for.
#include "tensor/io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "tensor/io/file.h"

static_assert(std::endian::native == std::endian::little,
              "safetensors files are little-endian; so must this machine be");

namespace echodiff {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;
constexpr size_t kMaxRank = 64;
constexpr const char* kReserved = "__metadata__";

struct Entry {
  std::string name, dtype;
  std::vector<uint64_t> shape, offsets;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

// One line whatever the name holds.
std::string in_quotes(const std::string& name) {
  constexpr size_t kLongest = 120;
  return Json(name.size() > kLongest ? name.substr(0, kLongest) + "..." : name)
      .dump(-1, ' ', true, Json::error_handler_t::replace);
}

// SAX events of {"NAME": {"dtype": "..", "shape": [..], "data_offsets": [..]}, "__metadata__": {"..": ".."}}.
// Each returns false, with `problem` set, at the first thing that does not belong there.
class HeaderReader {
 public:
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
  std::string problem;

  bool start_object(size_t) {
    if (place_ == Place::kOutside) return enter(Place::kTop);
    if (place_ != Place::kTop) return unexpected("an object");
    if (key_ == kReserved) return enter(Place::kMetadata);
    entries.push_back({.name = key_, .dtype = {}, .shape = {}, .offsets = {}});
    return enter(Place::kTensor);
  }
  bool end_object() {
    if (place_ == Place::kTensor) {
      const Entry& entry = entries.back();
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
    if (place_ == Place::kTop && !names_.insert(key).second) return fail("the key " + in_quotes(key) + " occurs twice");
    if (place_ == Place::kMetadata && metadata.contains(key))
      return fail("the metadata key " + in_quotes(key) + " occurs twice");
    if (place_ != Place::kTensor) return true;
    Entry& entry = entries.back();
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
    Entry& entry = entries.back();
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

  Place place_ = Place::kOutside;
  std::string key_;
  std::unordered_set<std::string> names_;
};

float from_half(uint16_t bits) {
  const uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = float(fraction) * 0x1p-24F;
    return sign ? -magnitude : magnitude;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | fraction << 13);
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

float from_bfloat(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

// Calls f(logical, memory) for each element: its place in row-major order and in the tensor's own order.
template <class F>
void for_each_element(const Shape& shape, F&& f) {
  const int64_t count = shape.count();
  if (shape.rank() != 4) {
    for (int64_t i = 0; i < count; ++i) f(i, i);
    return;
  }
  const int64_t C = shape[1], HW = shape[2] * shape[3];
  int64_t logical = 0;
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t c = 0; c < C; ++c)
      for (int64_t pixel = 0; pixel < HW; ++pixel) f(logical++, (n * HW + pixel) * C + c);
}

template <class Stored, class Value, class Convert>
Tensor decode(const Shape& shape, const char* bytes, Convert convert) {
  Tensor tensor = Tensor::make(shape, dtype_of<Value>());
  Value* out = tensor.mutable_data<Value>();
  for_each_element(shape, [&](int64_t logical, int64_t memory) {
    Stored stored;
    std::memcpy(&stored, bytes + size_t(logical) * sizeof(Stored), sizeof(Stored));
    out[memory] = convert(stored);
  });
  return tensor;
}

template <class Stored, class Value>
Tensor decode_as(const Shape& shape, const char* bytes) {
  return decode<Stored, Value>(shape, bytes, [](Stored x) { return Value(x); });
}

struct StoredType {
  const char* name;
  const char* torch_name;
  uint64_t bytes;
  Tensor (*decode)(const Shape&, const char* bytes);
};

constexpr StoredType kStoredTypes[] = {
    {"F32", "float32", 4, decode_as<float, float>},
    {"F64", "float64", 8, decode_as<double, double>},
    {"I64", "int64", 8, decode_as<int64_t, int64_t>},
    {"I32", "int32", 4, decode_as<int32_t, int64_t>},
    {"I16", "int16", 2, decode_as<int16_t, int64_t>},
    {"I8", "int8", 1, decode_as<int8_t, int64_t>},
    {"U64", "uint64", 8, decode_as<uint64_t, int64_t>},  // above 2^63 - 1: seen as negative and refused by the caller
    {"U32", "uint32", 4, decode_as<uint32_t, int64_t>},
    {"U16", "uint16", 2, decode_as<uint16_t, int64_t>},
    {"U8", "uint8", 1, decode_as<uint8_t, int64_t>},
    {"BOOL", "bool", 1,
     [](const Shape& s, const char* b) { return decode<uint8_t, int64_t>(s, b, [](uint8_t x) { return x != 0; }); }},
    {"F16", "float16", 2, [](const Shape& s, const char* b) { return decode<uint16_t, float>(s, b, from_half); }},
    {"BF16", "bfloat16", 2, [](const Shape& s, const char* b) { return decode<uint16_t, float>(s, b, from_bfloat); }},
};

// The bytes a tensor of these sizes needs; false when that does not fit 63 bits, zero sizes or not.
bool bytes_of(const std::vector<uint64_t>& shape, uint64_t element, uint64_t* bytes) {
  constexpr uint64_t kLimit = uint64_t(std::numeric_limits<int64_t>::max());
  uint64_t product = element;
  bool empty = false;
  for (const uint64_t size : shape) {
    if (size == 0) {
      empty = true;
      continue;
    }
    if (product > kLimit / size) return false;
    product *= size;
  }
  *bytes = empty ? 0 : product;
  return true;
}

Tensor read_entry(const Entry& entry, std::string_view data, const std::string& path, std::string* stored_type) {
  const std::string where = path + ": tensor " + in_quotes(entry.name);
  const StoredType* type = std::find_if(std::begin(kStoredTypes), std::end(kStoredTypes),
                                        [&](const StoredType& t) { return entry.dtype == t.name; });
  check_input(type != std::end(kStoredTypes), Fault::kBadInput, where, " has dtype ", in_quotes(entry.dtype),
              ", expected F32, F64, F16, BF16, BOOL or an integer type; convert it first");
  uint64_t needed = 0;
  check_input(bytes_of(entry.shape, type->bytes, &needed), Fault::kBadInput, where,
              " has a shape whose size in bytes overflows; the file is damaged");
  check_input(entry.offsets.size() == 2, Fault::kBadInput, where, " has ", entry.offsets.size(),
              " data_offsets, expected 2; the file is damaged");
  const uint64_t begin = entry.offsets[0], end = entry.offsets[1];
  check_input(begin <= end && end <= data.size(), Fault::kBadInput, where, " has data_offsets [", begin, ", ", end,
              "], expected an ordered pair up to ", data.size(), "; the file is damaged or cut off");
  const Shape shape(std::vector<int64_t>(entry.shape.begin(), entry.shape.end()));
  check_input(end - begin == needed, Fault::kBadInput, where, " has ", end - begin, " bytes, expected ", needed,
              " for ", entry.dtype, " ", shape, "; the file is damaged");
  *stored_type = type->torch_name;
  Tensor tensor = type->decode(shape, data.data() + begin);
  if (entry.dtype == "U64") {
    const int64_t* values = tensor.data<int64_t>();
    check_input(std::all_of(values, values + tensor.count(), [](int64_t x) { return x >= 0; }), Fault::kBadInput, where,
                " holds a U64 above 2^63 - 1, which has no i64; convert it first");
  }
  return tensor;
}

// Every byte of the data belongs to exactly one tensor.
void check_cover(const std::vector<Entry>& entries, uint64_t size, const std::string& path) {
  std::vector<const Entry*> sorted;
  for (const Entry& entry : entries) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](const Entry* a, const Entry* b) { return a->offsets < b->offsets; });
  uint64_t covered = 0;
  for (const Entry* entry : sorted) {
    check_input(entry->offsets[0] == covered, Fault::kBadInput, path, ": tensor ", in_quotes(entry->name),
                " begins at data offset ", entry->offsets[0], ", expected ", covered,
                entry->offsets[0] < covered ? ": it overlaps another" : ": bytes before it belong to no tensor",
                "; the file is damaged");
    covered = entry->offsets[1];
  }
  check_input(covered == size, Fault::kBadInput, path, ": ", size - covered,
              " bytes follow the last tensor, expected none; the file is damaged");
}

template <class T>
void append_elements(const Tensor& tensor, std::string* out) {
  const T* data = tensor.data<T>();
  const size_t start = out->size();
  out->resize(start + size_t(tensor.count()) * sizeof(T));
  char* bytes = out->data() + start;
  for_each_element(tensor.shape(), [&](int64_t logical, int64_t memory) {
    std::memcpy(bytes + size_t(logical) * sizeof(T), data + memory, sizeof(T));
  });
}

std::string json_string(const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    throw Error(Fault::kInternal, "encode_safetensors: " + in_quotes(text) + " is not UTF-8");
  }
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
  check_input(bytes.size() >= 8, Fault::kBadInput, path, ": ", bytes.size(),
              " bytes, expected a safetensors file of at least 8; the file is cut off or of another kind");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  check_input(length <= kMaxHeader && length <= bytes.size() - 8, Fault::kBadInput, path, ": header length ", length,
              ", expected at most ", std::min<uint64_t>(kMaxHeader, bytes.size() - 8),
              "; the file is cut off or is not a safetensors file");
  const std::string_view header = bytes.substr(8, length), data = bytes.substr(8 + length);
  check_input(header.starts_with('{'), Fault::kBadInput, path,
              ": the header does not start with '{'; it is not a safetensors file");
  HeaderReader reader;
  const bool whole = Json::sax_parse(header.begin(), header.end(), &reader);
  check_input(whole, Fault::kBadInput, path, ": ", reader.problem, "; the file is damaged");

  SafetensorsFile file;
  file.path = path;
  file.metadata = std::move(reader.metadata);
  for (const Entry& entry : reader.entries) {
    std::string stored_type;
    file.tensors.push_back({entry.name, read_entry(entry, data, path, &stored_type)});
    file.stored_types.push_back(std::move(stored_type));
  }
  check_cover(reader.entries, data.size(), path);
  return file;
}

SafetensorsFile read_safetensors(const std::string& path) { return parse_safetensors(read_file(path), path); }

std::string encode_safetensors(const std::vector<NamedTensor>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  std::vector<size_t> order(tensors.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return size_of(tensors[a].tensor.dtype()) > size_of(tensors[b].tensor.dtype());
  });
  std::vector<int64_t> begins(tensors.size());
  int64_t size = 0;
  for (const size_t i : order) {
    begins[i] = size;
    size += tensors[i].tensor.count() * size_of(tensors[i].tensor.dtype());
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
    const DType dtype = tensor.dtype();
    header += json_string(name) + ":{\"dtype\":\"" +
              (dtype == DType::f32   ? "F32"
               : dtype == DType::f64 ? "F64"
                                     : "I64") +
              "\",\"shape\":[";
    for (int64_t d = 0; d < tensor.rank(); ++d) header += (d ? "," : "") + std::to_string(tensor.dim(d));
    header += "],\"data_offsets\":[" + std::to_string(begins[i]) + "," +
              std::to_string(begins[i] + tensor.count() * size_of(dtype)) + "]}";
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');  // so that the data starts aligned, as the reference writer does

  const uint64_t length = header.size();
  std::string out(8, '\0');
  out.reserve(8 + length + size_t(size));
  std::memcpy(out.data(), &length, sizeof length);
  out += header;
  for (const size_t i : order) {
    const Tensor& tensor = tensors[i].tensor;
    if (tensor.dtype() == DType::f32)
      append_elements<float>(tensor, &out);
    else if (tensor.dtype() == DType::f64)
      append_elements<double>(tensor, &out);
    else
      append_elements<int64_t>(tensor, &out);
  }
  return out;
}

void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  write_file_atomic(path, encode_safetensors(tensors, metadata));
}

}  // namespace echodiff
