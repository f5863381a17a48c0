// The noise of trajectories, numbered: the same numbers whatever else is sampled beside them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace echodiff {

// The `draw`-th noise of trajectory `index`: 0 is x_T, i + 1 is drawn by step i.
struct NoiseSource {
  std::function<void(int64_t index, int64_t draw, float* out, int64_t count)> fill;
  // Where fill is fill_normal(seed, index, draw): a device draws the same numbers itself.
  std::optional<uint64_t> seed = std::nullopt;
  void operator()(int64_t index, int64_t draw, float* out, int64_t count) const { fill(index, draw, out, count); }
};

// fill_normal(seed, index, draw).
NoiseSource default_noise(uint64_t seed);

}  // namespace echodiff
