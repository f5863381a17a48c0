#include "tensor/io/stored.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

static_assert(std::endian::native == std::endian::little,
              "files of tensors are little-endian; so must this machine be");

namespace echodiff {
namespace {

struct TypeFacts {
  const char *torch, *safetensors;
  int64_t bytes;
  DType value;
};
constexpr TypeFacts kFacts[] = {
    // in the order of StoredType
    {"float32", "F32", 4, DType::f32},   {"float64", "F64", 8, DType::f64}, {"float16", "F16", 2, DType::f32},
    {"bfloat16", "BF16", 2, DType::f32}, {"int64", "I64", 8, DType::i64},   {"int32", "I32", 4, DType::i64},
    {"int16", "I16", 2, DType::i64},     {"int8", "I8", 1, DType::i64},     {"uint64", "U64", 8, DType::i64},
    {"uint32", "U32", 4, DType::i64},    {"uint16", "U16", 2, DType::i64},  {"uint8", "U8", 1, DType::i64},
    {"bool", "BOOL", 1, DType::i64},
};
const TypeFacts& facts(StoredType type) { return kFacts[size_t(type)]; }

template <class Name> std::optional<StoredType> find_type(std::string_view name, Name&& name_of) {
  for (size_t i = 0; i < std::size(kFacts); ++i)
    if (name == name_of(kFacts[i])) return StoredType(i);
  return std::nullopt;
}

float nearest_half(float value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const float unit = std::ldexp(1.0F, std::max(std::ilogb(value), -14) - 10);  // between neighbouring halves
  return std::nearbyint(value / unit) * unit;
}

float nearest_bfloat(float value) {
  if (!std::isfinite(value)) return value;
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000U);
}

template <class T> bool same_bits(T a, T b) { return std::memcmp(&a, &b, sizeof a) == 0; }

// How an element is stored, and what it becomes in a tensor.
template <class S, class V = int64_t> struct Plain {
  using Stored = S;
  using Value = V;
  static V widen(S x) { return V(x); }
  static S narrow(V x) { return S(x); }
};
struct Boolean : Plain<uint8_t> {
  static int64_t widen(uint8_t x) { return x != 0; }
};
struct Bfloat : Plain<uint16_t, float> {
  static float widen(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }
  static uint16_t narrow(float value) { return uint16_t(std::bit_cast<uint32_t>(value) >> 16); }
};
struct Half : Plain<uint16_t, float> {
  static float widen(uint16_t bits) {
    const uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
      const float magnitude = float(fraction) * 0x1p-24F;
      return sign ? -magnitude : magnitude;
    }
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | fraction << 13);
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  }
  // Exact for every value that a half can hold; others come out as some half that differs.
  static uint16_t narrow(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value), sign = bits >> 16 & 0x8000, exponent = bits >> 23 & 255;
    if (exponent == 255) return uint16_t(sign | 0x7C00 | (bits >> 13 & 1023));
    if (exponent >= 113) return uint16_t(sign | std::min<uint32_t>(exponent - 112, 30) << 10 | (bits >> 13 & 1023));
    if (exponent < 103) return uint16_t(sign);
    return uint16_t(sign | (0x800000 | (bits & 0x7FFFFF)) >> (126 - exponent));
  }
};

// Calls fn with the element of the type.
template <class Fn> void with_element(StoredType type, const Fn& fn) {
  switch (type) {
    case StoredType::f32: return fn(Plain<float, float>());
    case StoredType::f64: return fn(Plain<double, double>());
    case StoredType::f16: return fn(Half());
    case StoredType::bf16: return fn(Bfloat());
    case StoredType::i64: return fn(Plain<int64_t>());
    case StoredType::i32: return fn(Plain<int32_t>());
    case StoredType::i16: return fn(Plain<int16_t>());
    case StoredType::i8: return fn(Plain<int8_t>());
    case StoredType::u64: return fn(Plain<uint64_t>());
    case StoredType::u32: return fn(Plain<uint32_t>());
    case StoredType::u16: return fn(Plain<uint16_t>());
    case StoredType::u8: return fn(Plain<uint8_t>());
    case StoredType::boolean: return fn(Boolean());
  }
}

template <class Element> void append_as(const Tensor& tensor, StoredType type, std::string* out) {
  using Stored = typename Element::Stored;
  using Value = typename Element::Value;
  check(tensor.dtype() == dtype_of<Value>(), "append_stored: a tensor of ", name_of(tensor.dtype()),
        " cannot be stored as ", torch_name(type));
  const Value* data = tensor.data<Value>();
  const size_t start = out->size();
  out->resize(start + size_t(tensor.count()) * sizeof(Stored));
  char* to = out->data() + start;
  const auto append = [&](Value value) {
    const Stored stored = Element::narrow(value);
    check(same_bits(Element::widen(stored), value), "append_stored: ", torch_name(type), " does not hold ", value,
          " exactly");
    std::memcpy(to, &stored, sizeof stored);
    to += sizeof stored;
  };
  const Shape& shape = tensor.shape();
  if (shape.rank() != 4) {
    for (int64_t i = 0; i < tensor.count(); ++i) append(data[i]);
    return;
  }
  const int64_t C = shape[1], HW = shape[2] * shape[3];
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t c = 0; c < C; ++c)
      for (int64_t pixel = 0; pixel < HW; ++pixel) append(data[(n * HW + pixel) * C + c]);
}

}  // namespace

int64_t size_of(StoredType type) { return facts(type).bytes; }
DType value_type(StoredType type) { return facts(type).value; }
const char* torch_name(StoredType type) { return facts(type).torch; }
const char* safetensors_name(StoredType type) { return facts(type).safetensors; }
std::optional<StoredType> stored_type_of_torch(std::string_view name) {
  return find_type(name, [](const TypeFacts& type) { return type.torch; });
}
std::optional<StoredType> stored_type_of_safetensors(std::string_view name) {
  return find_type(name, [](const TypeFacts& type) { return type.safetensors; });
}
StoredType stored_as(DType dtype) {
  return dtype == DType::f32 ? StoredType::f32 : dtype == DType::f64 ? StoredType::f64 : StoredType::i64;
}

std::optional<int64_t> bytes_before_zeros(const Shape& shape, int64_t element) {
  int64_t product = element;
  for (const int64_t size : shape.sizes()) {
    if (size < 0 || (size > 0 && product > std::numeric_limits<int64_t>::max() / size)) return std::nullopt;
    if (size > 0) product *= size;
  }
  return product;
}

std::optional<int64_t> bytes_of(const Shape& shape, int64_t element) {
  const std::optional<int64_t> product = bytes_before_zeros(shape, element);
  const bool empty = std::find(shape.sizes().begin(), shape.sizes().end(), 0) != shape.sizes().end();
  return product && empty ? 0 : product;
}

StoredView row_major_view(Shape shape) {
  StoredView view{std::move(shape), {}, 0};
  view.strides.resize(size_t(view.shape.rank()));
  int64_t step = 1;
  for (size_t i = view.strides.size(); i-- > 0;) {
    view.strides[i] = step;
    step *= std::max<int64_t>(view.shape[int64_t(i)], 1);
  }
  return view;
}

std::optional<int64_t> extent_of(const StoredView& view) {
  const PoolVector<int64_t>& sizes = view.shape.sizes();
  if (view.strides.size() != sizes.size() || view.offset < 0) return std::nullopt;
  if (std::any_of(view.strides.begin(), view.strides.end(), [](int64_t step) { return step < 0; })) return std::nullopt;
  const std::optional<int64_t> count = bytes_of(view.shape, 1);
  if (!count || *count == 0) return count;
  int64_t last = view.offset;
  for (size_t i = 0; i < sizes.size(); ++i) {
    int64_t reach = 0;
    if (__builtin_mul_overflow(sizes[i] - 1, view.strides[i], &reach) || __builtin_add_overflow(last, reach, &last))
      return std::nullopt;
  }
  if (last == std::numeric_limits<int64_t>::max()) return std::nullopt;
  return last + 1;
}

bool is_in_order(const StoredView& view) {
  std::vector<std::pair<int64_t, int64_t>> axes;  // stride, size
  for (size_t i = 0; i < view.strides.size(); ++i)
    if (view.shape[int64_t(i)] > 1) axes.push_back({view.strides[i], view.shape[int64_t(i)]});
  std::sort(axes.begin(), axes.end());
  int64_t reach = 0;  // of the axes with shorter strides
  for (const auto& [stride, size] : axes) {
    if (stride < reach) return false;
    reach += (size - 1) * stride;
  }
  return true;
}

ViewReader::ViewReader(StoredType type, const StoredView& view)
    : type_(type), tensor_(empty(view.shape, value_type(type))), source_(view.offset) {
  remaining_ = view.shape.count();
  if (remaining_ == 0) return;
  const PoolVector<int64_t> targets = view.shape.strides();
  std::vector<Axis> axes;
  for (size_t i = 0; i < targets.size(); ++i)
    if (view.shape[int64_t(i)] > 1) axes.push_back({view.shape[int64_t(i)], view.strides[i], targets[i]});
  std::stable_sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) { return a.source > b.source; });
  for (const Axis& axis : axes) {  // neighbours that are one axis in both become one
    Axis* outer = axes_.empty() ? nullptr : &axes_.back();
    if (outer && outer->source == axis.source * axis.size && outer->target == axis.target * axis.size)
      *outer = {outer->size * axis.size, axis.source, axis.target};
    else
      axes_.push_back(axis);
  }
  if (axes_.empty()) axes_.push_back({1, 1, 1});
  in_order_ = is_in_order(view);
}

template <class Element> void ViewReader::take_as(const char* bytes, int64_t first, int64_t count) {
  using Stored = typename Element::Stored;
  using Value = typename Element::Value;
  Value* out = tensor_.mutable_data<Value>();
  Axis& inner = axes_.back();
  const int64_t end = first + count, source_step = inner.source, target_step = inner.target;
  while (remaining_ > 0 && source_ < end) {
    int64_t run = inner.size - inner.index;
    if (source_step > 0) run = std::min(run, (end - source_ + source_step - 1) / source_step);
    const char* from = bytes + (source_ - first) * int64_t(sizeof(Stored));
    Value* to = out + target_;
    if (std::is_same_v<Stored, Value> && source_step == 1 && target_step == 1) {
      std::memcpy(to, from, size_t(run) * sizeof(Value));
    } else {
      for (int64_t i = 0; i < run; ++i) {
        Stored stored;
        std::memcpy(&stored, from + i * source_step * int64_t(sizeof(Stored)), sizeof stored);
        to[i * target_step] = Element::widen(stored);
      }
    }
    remaining_ -= run;
    inner.index += run;
    source_ += run * source_step;
    target_ += run * target_step;
    for (size_t i = axes_.size(); i-- > 0 && axes_[i].index == axes_[i].size;) {
      source_ -= axes_[i].size * axes_[i].source;
      target_ -= axes_[i].size * axes_[i].target;
      axes_[i].index = 0;
      if (i == 0) break;
      ++axes_[i - 1].index;
      source_ += axes_[i - 1].source;
      target_ += axes_[i - 1].target;
    }
  }
}

void ViewReader::take(const char* bytes, int64_t first, int64_t count) {
  if (remaining_ == 0) return;
  check(source_ >= first && (in_order_ || first == 0), "ViewReader: blocks must come in order");
  with_element(type_, [&]<class Element>(Element) { take_as<Element>(bytes, first, count); });
}

Tensor ViewReader::finish(const std::string& where) {
  check(complete(), "ViewReader: ", where, " lacks ", remaining_, " elements");
  if (type_ == StoredType::u64) {
    const int64_t* values = tensor_.data<int64_t>();
    check_input(std::all_of(values, values + tensor_.count(), [](int64_t x) { return x >= 0; }), Fault::kBadInput,
                where, " holds a uint64 above 2^63 - 1, which has no i64; convert it first");
  }
  return tensor_;
}

Tensor nearest_stored(const Tensor& tensor, StoredType type, const std::string& where) {
  check(type == StoredType::f16 || type == StoredType::bf16, "nearest_stored: ", torch_name(type), " is no half");
  constexpr float kLargestHalf = 65504;
  Tensor rounded = empty_like(tensor);
  const float* from = tensor.data<float>();
  float* to = rounded.mutable_data<float>();
  for (int64_t i = 0; i < tensor.count(); ++i) {
    to[i] = type == StoredType::f16 ? nearest_half(from[i]) : nearest_bfloat(from[i]);
    check_input(type != StoredType::f16 || std::abs(to[i]) <= kLargestHalf, Fault::kBadInput, where, ": holds ",
                from[i], ", beyond the range of float16; use bf16");
  }
  return rounded;
}

void append_stored(const Tensor& tensor, StoredType type, std::string* out) {
  with_element(type, [&]<class Element>(Element) { append_as<Element>(tensor, type, out); });
}

}  // namespace echodiff
