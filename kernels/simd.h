// The SIMD layer: GCC vector extensions, one source for every instruction set. This file and the *_simd.h, which hold
// the loops, are included by table_simd.cpp alone: it is compiled once per instruction set, with ECHODIFF_ISA =
// baseline, avx2 or avx512. Keep inline functions of the standard library out of them, or the linker may keep an
// AVX-512 copy of one for every machine.
#pragma once

#include <stdint.h>

#include <utility>

namespace echodiff::simd::ECHODIFF_ISA {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef float UnalignedVec __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef int32_t IntVec __attribute__((vector_size(kLanes * 4)));

static inline Vec load(const float* p) { return *reinterpret_cast<const UnalignedVec*>(p); }
static inline void store(float* p, Vec v) { *reinterpret_cast<UnalignedVec*>(p) = v; }
static inline Vec broadcast(float x) { return x - Vec{}; }  // x - 0 is x for every x; 0 + x is not, for -0
static inline Vec select(IntVec mask, Vec a, Vec b) { return mask ? a : b; }

// The first n < kLanes elements; the others are 0.
static inline Vec load_part(const float* p, int64_t n) {
  Vec v{};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
static inline void store_part(float* p, Vec v, int64_t n) {
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}

// One integer per lane, made at compile time from the lane's number.
template <int... lane, class F>
__attribute__((always_inline)) static inline IntVec lanes_of(std::integer_sequence<int, lane...>, F f) {
  return IntVec{f(lane)...};
}
using AllLanes = std::make_integer_sequence<int, kLanes>;

// Halves are folded onto each other until all lanes hold the result.
template <int distance> __attribute__((always_inline)) static inline Vec exchange(Vec v) {
  return __builtin_shuffle(v, lanes_of(AllLanes{}, [](int lane) { return lane ^ distance; }));
}
template <int distance = kLanes / 2> __attribute__((always_inline)) static inline Vec fold_sum(Vec v) {
  if constexpr (distance == 0)
    return v;
  else
    return fold_sum<distance / 2>(v + exchange<distance>(v));
}
template <int distance = kLanes / 2> __attribute__((always_inline)) static inline Vec fold_max(Vec v) {
  if constexpr (distance == 0)
    return v;
  else
    return fold_max<distance / 2>(select(exchange<distance>(v) > v, exchange<distance>(v), v));
}
static inline float horizontal_sum(Vec v) { return fold_sum(v)[0]; }
static inline float horizontal_max(Vec v) { return fold_max(v)[0]; }

// kLanes rows become kLanes columns: at distance 1, 2, 4, .. pairs of rows exchange the halves they owe each other.
template <int distance = 1> __attribute__((always_inline)) static inline void transpose(Vec* rows) {
  if constexpr (distance < kLanes) {
    const IntVec upper =
        lanes_of(AllLanes{}, [](int lane) { return (lane & distance) != 0 ? kLanes + lane - distance : lane; });
    const IntVec lower =
        lanes_of(AllLanes{}, [](int lane) { return (lane & distance) != 0 ? kLanes + lane : lane + distance; });
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      if ((i & distance) != 0) continue;
      const Vec a = rows[i], b = rows[i + distance];
      rows[i] = __builtin_shuffle(a, b, upper);
      rows[i + distance] = __builtin_shuffle(a, b, lower);
    }
    transpose<2 * distance>(rows);
  }
}

// exp(x) to 1 ulp or so, x clamped to [-87, 88], where 2^n is a normal number: x = n ln 2 + r, a degree-6 polynomial in
// r (Cephes expf), times 2^n. NaN stays NaN.
static inline Vec exp(Vec x) {
  const Vec magic = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const Vec low = broadcast(-87.0f), high = broadcast(88.0f);
  const Vec above = select(x < low, low, x), clamped = select(above > high, high, above);
  const Vec n = (clamped * 1.44269504088896341f + magic) - magic;
  const Vec r = clamped - n * 0.693359375f - n * -2.12194440e-4f;
  Vec p = broadcast(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * reinterpret_cast<Vec>((__builtin_convertvector(n, IntVec) + 127) << 23);
}

// x sigmoid(x); 0 where the sigmoid is below every normal number.
static inline Vec silu(Vec x) { return select(x < broadcast(-87.0f), Vec{}, x / (1.0f + exp(-x))); }

// d silu = s (1 + x (1 - s)) with s = sigmoid(x); for large |x| the product x (1 - s) must not meet infinity.
static inline Vec silu_slope(Vec x) {
  const Vec s = 1.0f / (1.0f + exp(-x));
  const Vec slope = s * (1.0f + x * (1.0f - s));
  return select(x < broadcast(-87.0f), Vec{}, slope);
}

// body(load, store) for each vector of n elements, the last perhaps partial: load(p) reads p[i..], store(p, v) writes.
template <class Body> __attribute__((always_inline)) static inline void for_vectors(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    body([i](const float* p) { return load(p + i); }, [i](float* p, Vec v) { store(p + i, v); });
  if (i < n)
    body([i, n](const float* p) { return load_part(p + i, n - i); },
         [i, n](float* p, Vec v) { store_part(p + i, v, n - i); });
}

}  // namespace echodiff::simd::ECHODIFF_ISA
