#include "bench/timing.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <vector>

#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff {
namespace {

double seconds_of(const std::function<void()>& work) {
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return elapsed.count();
}

double least_seconds(int attempts, const std::function<void()>& work) {
  double best = seconds_of(work);
  for (int i = 1; i < attempts; ++i) best = std::min(best, seconds_of(work));
  return best;
}

}  // namespace

double median_seconds(int64_t repeats, const std::function<void()>& work) {
  work();
  std::vector<double> seconds;
  for (int64_t i = 0; i < repeats; ++i) seconds.push_back(seconds_of(work));
  std::nth_element(seconds.begin(), seconds.begin() + repeats / 2, seconds.end());
  return seconds[size_t(repeats / 2)];
}

double peak_gflops() {
  const SimdKernels& simd = simd_kernels();
  constexpr int64_t kDepth = 128, kCalls = 20000;
  const int64_t threads = thread_count();
  const double best = least_seconds(5, [&] {
    parallel_for(threads, [&](int64_t) {
      std::vector<float> a(size_t(simd.tile_rows * kDepth), 1e-3f), b(size_t(simd.tile_columns * kDepth), 1e-3f),
          c(size_t(simd.tile_rows * simd.tile_columns));
      std::vector<const float*> rows;
      for (int64_t i = 0; i < simd.tile_rows; ++i) rows.push_back(a.data() + i * kDepth);
      for (int64_t call = 0; call < kCalls; ++call)
        simd.gemm_rows(1, kDepth, rows.data(), b.data(), nullptr, false, c.data(), simd.tile_columns);
    });
  });
  return 2.0 * double(threads * kCalls * kDepth * simd.tile_rows * simd.tile_columns) / best * 1e-9;
}

double memory_gigabytes_per_second() {
  constexpr int64_t kCount = 16 << 20, kPiece = 1 << 16;
  const std::vector<float> a(size_t(kCount), 1.0f), b(size_t(kCount), 2.0f);
  std::vector<float> c(static_cast<size_t>(kCount));
  const std::vector<float> one(size_t(kPiece), 1.0f), zero(size_t(kPiece), 0.0f);
  const double best = least_seconds(5, [&] {
    parallel_for(kCount / kPiece, [&](int64_t piece) {
      const int64_t at = piece * kPiece;
      simd_kernels().column_combine(1, kPiece, a.data() + at, b.data() + at, one.data(), one.data(), zero.data(),
                                    c.data() + at);
    });
  });
  return 3.0 * double(kCount) * sizeof(float) / best * 1e-9;
}

std::string machine() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string model = "unknown";
  for (std::string line; std::getline(cpuinfo, line);)
    if (line.starts_with("model name")) model = line.substr(line.find(':') + 2);
  return model + ", " + simd_kernels().name + ", " + std::to_string(thread_count()) + " threads";
}

}  // namespace echodiff
