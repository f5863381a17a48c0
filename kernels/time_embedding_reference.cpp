#include "kernels/time_embedding.h"

#include <cmath>

namespace echodiff::reference {
namespace {

// exp, sin and cos are taken in double and rounded once: the float nearest to the function of a float.
float frequency(TimeEmbeddingGeometry geo, int64_t i) {
  const double log_period = -std::log(geo.max_period), steps = double(geo.dim / 2) - geo.freq_shift;
  const float exponent =
      geo.divide_last ? float(log_period) * float(i) / float(steps) : float(i) * float(log_period / steps);
  return float(std::exp(double(exponent)));
}

}  // namespace

void time_embedding(TimeEmbeddingGeometry geo, const int64_t* t, float* y) {
  const int64_t half = geo.dim / 2, sin_at = geo.cos_first ? half : 0, cos_at = geo.cos_first ? 0 : half;
  for (int64_t i = 0; i < half; ++i) {
    const float f = frequency(geo, i);
    for (int64_t n = 0; n < geo.N; ++n) {
      const float argument = float(t[n]) * f;
      y[n * geo.dim + sin_at + i] = float(std::sin(double(argument)));
      y[n * geo.dim + cos_at + i] = float(std::cos(double(argument)));
    }
  }
  if (geo.dim % 2 == 1)
    for (int64_t n = 0; n < geo.N; ++n) y[n * geo.dim + geo.dim - 1] = 0;
}

}  // namespace echodiff::reference
