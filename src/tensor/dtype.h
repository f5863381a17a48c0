// Element types. Networks run in f32; f64 exists for gradcheck; i64 for time steps and class indices.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/error.h"

namespace echodiff {

enum class DType { f32, f64, i64 };

inline int64_t size_of(DType dtype) { return dtype == DType::f32 ? 4 : 8; }
inline const char* name_of(DType dtype) { return dtype == DType::f32 ? "f32" : dtype == DType::f64 ? "f64" : "i64"; }

template <class T>
constexpr DType dtype_of() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, int64_t>);
  return std::is_same_v<T, float> ? DType::f32 : std::is_same_v<T, double> ? DType::f64 : DType::i64;
}

// dispatch(x.dtype(), "op", [&]<class T>(T) { ...T is float or double... });
template <class F>
void dispatch(DType dtype, const char* op, F&& f) {
  check(dtype != DType::i64, op, ": expected floating-point tensors, got i64");
  if (dtype == DType::f32) f(float{});
  else f(double{});
}

}  // namespace echodiff
