// What the benchmarks share: medians, and what this machine can do at most.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace echodiff {

// Seconds of one call, the median of `repeats` after one call that warms pages, pools and packed tables.
double median_seconds(int64_t repeats, const std::function<void()>& work);

// GFLOP/s of all threads together, each multiplying one register tile again and again in its first-level cache.
double peak_gflops();

// GB/s of all threads together, reading two arrays far larger than the caches and writing a third.
double memory_gigabytes_per_second();

// "AMD EPYC, avx2, 2 threads"
std::string machine();

}  // namespace echodiff
