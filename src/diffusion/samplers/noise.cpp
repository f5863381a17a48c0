#include "diffusion/samplers/noise.h"

#include "kernels/philox.h"

namespace echodiff {

NoiseSource default_noise(uint64_t seed) {
  const auto fill = [seed](int64_t index, int64_t draw, float* out, int64_t count) {
    fill_normal(out, count, seed, uint64_t(index), uint64_t(draw));
  };
  return {fill, seed};
}

}  // namespace echodiff
