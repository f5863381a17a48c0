// Element types. Networks hold f32; bf16 is what activations may be on a device (nn/denoiser.h); f64 exists for
// gradcheck; i64 for time steps and class indices.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/cuda/stream.h"
#include "kernels/error.h"

namespace echodiff {

enum class DType { f32, f64, i64, bf16 };  // bf16: on cuda alone, the CPU has no arithmetic for it

inline int64_t size_of(DType dtype) { return dtype == DType::f32 ? 4 : dtype == DType::bf16 ? 2 : 8; }
inline const char* name_of(DType dtype) {
  return dtype == DType::f32 ? "f32" : dtype == DType::f64 ? "f64" : dtype == DType::i64 ? "i64" : "bf16";
}

template <class T> constexpr DType dtype_of() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, int64_t> ||
                std::is_same_v<T, Bfloat16>);
  return std::is_same_v<T, float>     ? DType::f32
         : std::is_same_v<T, double>  ? DType::f64
         : std::is_same_v<T, int64_t> ? DType::i64
                                      : DType::bf16;
}

// p + n, also for Bfloat16, which is declared above kernels/ and not defined.
template <class T> T* element(T* p, int64_t n) {
  using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
  return reinterpret_cast<T*>(reinterpret_cast<Byte*>(p) + n * size_of(dtype_of<std::remove_const_t<T>>()));
}

// dispatch(x.dtype(), "op", [&]<class T>(T) { ...T is float or double... });
template <class F> void dispatch(DType dtype, const char* op, F&& f) {
  check(dtype == DType::f32 || dtype == DType::f64, op, ": expected f32 or f64 tensors, got ", name_of(dtype));
  if (dtype == DType::f32)
    f(float{});
  else
    f(double{});
}

}  // namespace echodiff
