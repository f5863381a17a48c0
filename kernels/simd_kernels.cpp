#include "kernels/simd_kernels.h"

#include <cstdlib>
#include <string>

#include "kernels/error.h"

namespace echodiff {
namespace simd {
namespace baseline {
extern const SimdKernels kernels;
}
namespace avx2 {
extern const SimdKernels kernels;
}
namespace avx512 {
extern const SimdKernels kernels;
}
}  // namespace simd

namespace {

const SimdKernels& choose() {
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  const char* wanted = std::getenv("ECHODIFF_ISA");
  const std::string isa = wanted != nullptr ? wanted : has_avx512 ? "avx512" : has_avx2 ? "avx2" : "baseline";
  check_input(isa == "baseline" || (isa == "avx2" && has_avx2) || (isa == "avx512" && has_avx512), Fault::kUsage,
              "ECHODIFF_ISA=", isa, ": expected baseline, avx2 or avx512, and one this machine can run");
  return isa == "avx512" ? simd::avx512::kernels : isa == "avx2" ? simd::avx2::kernels : simd::baseline::kernels;
}

}  // namespace

const SimdKernels& simd_kernels() {
  static const SimdKernels& chosen = choose();
  return chosen;
}

}  // namespace echodiff
