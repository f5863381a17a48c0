// Elements as files store them, and tensors made from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace echodiff {

enum class StoredType : uint8_t { f32, f64, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, boolean };

int64_t size_of(StoredType type);               // bytes of one element
DType value_type(StoredType type);              // f16 and bf16: f32; bool and the integers: i64
const char* torch_name(StoredType type);        // "bfloat16"
const char* safetensors_name(StoredType type);  // "BF16"
std::optional<StoredType> stored_type_of_torch(std::string_view name);
std::optional<StoredType> stored_type_of_safetensors(std::string_view name);
StoredType stored_as(DType dtype);  // f32, f64, i64

// sizes[0] * sizes[1] * ... * element, and never more on the way, zero sizes left out; none when that exceeds 2^63 - 1
// or a size is negative. The second form is 0 when a size is.
std::optional<int64_t> bytes_before_zeros(const Shape& shape, int64_t element);
std::optional<int64_t> bytes_of(const Shape& shape, int64_t element);

// A tensor's elements in a sequence of stored ones, in PyTorch's terms: element (i, j, ..) is number
// offset + i * strides[0] + j * strides[1] + ...
struct StoredView {
  Shape shape;
  std::vector<int64_t> strides;
  int64_t offset = 0;

  bool operator==(const StoredView&) const = default;
};
StoredView row_major_view(Shape shape);
// One past the last element's number; none when it exceeds 2^63 - 1, or an offset, size or stride is negative, or there
// is not one stride per size. 0 for a view without elements.
std::optional<int64_t> extent_of(const StoredView& view);

// The view never steps back in the sequence; it has an extent.
bool is_in_order(const StoredView& view);

// Makes the tensor of a view from stored elements that arrive in order, block by block.
class ViewReader {
 public:
  ViewReader(StoredType type, const StoredView& view);  // allocates the tensor; the view has an extent

  // Elements first .. first + count - 1 of the sequence. A view that is not in order needs all in one block.
  void take(const char* bytes, int64_t first, int64_t count);
  bool complete() const { return remaining_ == 0; }
  // The tensor. Throws Error(kBadInput), starting with `where`, for a uint64 above 2^63 - 1, which has no i64.
  Tensor finish(const std::string& where);

 private:
  struct Axis {
    int64_t size, source, target;  // steps in the sequence and in the tensor's memory
    int64_t index = 0;
  };
  template <class Element> void take_as(const char* bytes, int64_t first, int64_t count);

  StoredType type_;
  Tensor tensor_;
  std::vector<Axis> axes_;  // the longest source step first; never empty
  bool in_order_ = true;
  int64_t source_ = 0, target_ = 0;  // where the next element is, and where it goes
  int64_t remaining_ = 0;
};

// An f32 tensor with each element at the nearest value that f16 or bf16 holds, ties to even. Throws Error(kBadInput),
// starting with `where`, for one beyond f16's range.
Tensor nearest_stored(const Tensor& tensor, StoredType type, const std::string& where);

// Appends the elements, row-major, as `type`. Throws Error(kInternal) for a value that `type` does not hold exactly.
void append_stored(const Tensor& tensor, StoredType type, std::string* out);

}  // namespace echodiff
