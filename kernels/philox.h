// Philox4x32-10, a counter-based generator: the i-th number of (seed, stream, step) is a pure function of those four,
// so what a sample becomes never depends on its neighbours, the batch, the thread or where a run was resumed.
// Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3". Header only: both backends share it.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "kernels/cuda/host_device.h"
#include "kernels/cuda/stream.h"

namespace echodiff {

using PhiloxBlock = std::array<uint32_t, 4>;

// Ten rounds on `counter` with `key`: four independent 32-bit words.
ECHODIFF_HOST_DEVICE constexpr PhiloxBlock philox4x32(PhiloxBlock counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0], b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {uint32_t(b >> 32) ^ counter[1] ^ key[0], uint32_t(b), uint32_t(a >> 32) ^ counter[3] ^ key[1],
               uint32_t(a)};
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return counter;
}

// Block number `index` of (seed, stream, step). index and step are below 2^32; a stream may have 64 bits (a hash).
ECHODIFF_HOST_DEVICE constexpr PhiloxBlock philox_block(uint64_t seed, uint64_t stream, uint64_t step, uint64_t index) {
  return philox4x32({uint32_t(index), uint32_t(index >> 32) ^ uint32_t(stream >> 32), uint32_t(stream), uint32_t(step)},
                    {uint32_t(seed), uint32_t(seed >> 32)});
}

// Two standard normal numbers from two 32-bit words (Box and Muller 1958). u is in (0, 1].
ECHODIFF_HOST_DEVICE inline std::array<double, 2> normal_pair(uint32_t a, uint32_t b) {
  const double u = (double(a) + 1.0) * 0x1p-32, angle = double(b) * (6.283185307179586476925 * 0x1p-32);
  const double radius = std::sqrt(-2.0 * std::log(u));
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

// out[i] = the i-th standard normal number of (seed, stream, step). The same whatever n is.
inline void fill_normal(float* out, int64_t n, uint64_t seed, uint64_t stream, uint64_t step) {
  for (int64_t i = 0; i < n; i += 4) {
    const PhiloxBlock block = philox_block(seed, stream, step, uint64_t(i / 4));
    for (int64_t pair = 0; pair < 2; ++pair) {
      const std::array<double, 2> z = normal_pair(block[size_t(2 * pair)], block[size_t(2 * pair + 1)]);
      for (int64_t j = 0; j < 2; ++j)
        if (i + 2 * pair + j < n) out[i + 2 * pair + j] = float(z[size_t(j)]);
    }
  }
}

// A sequential view of one (seed, stream, step).
class Random {
 public:
  explicit Random(uint64_t seed, uint64_t stream = 0, uint64_t step = 0) : seed_(seed), stream_(stream), step_(step) {}

  uint32_t bits() {
    if (used_ == 4) {
      block_ = philox_block(seed_, stream_, step_, index_++);
      used_ = 0;
    }
    return block_[used_++];
  }
  double uniform() { return double(bits()) * 0x1p-32; }  // [0, 1)
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double normal() {
    const uint32_t a = bits();
    return normal_pair(a, bits())[0];
  }
  int64_t below(int64_t n) { return int64_t((uint64_t(bits()) * uint64_t(n)) >> 32); }  // {0, .., n-1}, n < 2^31

 private:
  uint64_t seed_, stream_, step_, index_ = 0;
  PhiloxBlock block_{};
  size_t used_ = 4;
};

namespace cuda {
// Row n of out (rows, count) is fill_normal of (seed, streams[n], steps[n]); streams and steps are on the device.
void fill_normal(int64_t rows, int64_t count, uint64_t seed, const int64_t* streams, const int64_t* steps, float* out,
                 Stream);
}  // namespace cuda
}  // namespace echodiff
