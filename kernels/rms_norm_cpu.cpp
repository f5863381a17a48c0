#include <algorithm>
#include <cmath>

#include "kernels/rms_norm.h"
#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/sum_chunks.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {
namespace {

constexpr int64_t kChunk = 128;  // pixels

// The affine map that follows x / ||x||, per sample: scale = gain sqrt(C) (1 + s) and offset = shift.
void modulate(const ChannelGeometry& g, const float* gain, const float* modulation, float* scale, float* offset) {
  const float root = std::sqrt(float(g.C));
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t c = 0; c < g.C; ++c) {
      const float* row = modulation + n * 2 * g.C;
      scale[n * g.C + c] = gain[c] * root * (modulation != nullptr ? 1 + row[c] : 1);
      offset[n * g.C + c] = modulation != nullptr ? row[g.C + c] : 0;
    }
}

}  // namespace

void rms_norm_forward(int64_t pixels, int64_t C, const float* x, const float* gain, float* y, float* inverse_norm) {
  const SimdKernels& simd = simd_kernels();
  const float root = std::sqrt(float(C));
  parallel_ranges(pixels, kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      inverse_norm[p] = 1 / std::max(std::sqrt(simd.dot(C, x + p * C, x + p * C)), 1e-12f);
      simd.scaled_product(C, x + p * C, gain, inverse_norm[p] * root, y + p * C);
    }
  });
}

void rms_norm_backward(int64_t pixels, int64_t C, const float* x, const float* gain, const float* inverse_norm,
                       const float* dy, float* dx, float* dgain) {
  const SimdKernels& simd = simd_kernels();
  const float root = std::sqrt(float(C));
  double* totals = reinterpret_cast<double*>(scratch(Scratch::packed_a, 2 * C));
  sum_chunks(pixels, kChunk, C, totals, [&](int64_t first, int64_t count, float* sums) {
    float* weighted = scratch(Scratch::rows, C);  // dy gain
    for (int64_t p = first; p < first + count; ++p) {
      const float u = inverse_norm[p];
      simd.scaled_product(C, dy + p * C, gain, 1.0f, weighted);
      const float product = simd.dot(C, weighted, x + p * C) * u;  // one u early: u^3 alone may overflow
      const float along = u >= 1e12f ? 0.0f : -product * u * u * root;
      simd.rms_pixel_backward(C, x + p * C, dy + p * C, gain, u * root, along, u * root, dx + p * C, sums);
    }
  });
  for (int64_t c = 0; c < C; ++c) dgain[c] = float(totals[c]);
}

void rms_norm_silu_forward(const ChannelGeometry& g, const float* x, const float* gain, const float* modulation,
                           float* y, float* inverse_norm) {
  const int64_t C = g.C, chunks = (g.pixels + kChunk - 1) / kChunk;
  float *scale = scratch(Scratch::rows, 2 * g.N * C), *offset = scale + g.N * C;
  modulate(g, gain, modulation, scale, offset);
  parallel_for(g.N * chunks, [&](int64_t piece) {
    const int64_t n = piece / chunks, first = piece % chunks * kChunk;
    for (int64_t p = n * g.pixels + first; p < n * g.pixels + std::min(g.pixels, first + kChunk); ++p)
      inverse_norm[p] = simd_kernels().rms_silu(C, x + p * C, scale + n * C, offset + n * C, y + p * C);
  });
}

// With dz, the gradient before SiLU, and xhat = x / ||x||:  dshift = sum dz,  dscale = gain sqrt(C) sum dz xhat,
// dgain = sqrt(C) sum over samples of (1 + scale) sum dz xhat.
void rms_norm_silu_backward(const ChannelGeometry& g, const float* x, const float* gain, const float* modulation,
                            const float* inverse_norm, const float* dy, float* dx, float* dgain, float* dmodulation) {
  const int64_t C = g.C, chunks = (g.pixels + kChunk - 1) / kChunk;
  float *scale = scratch(Scratch::rows, 2 * g.N * C), *offset = scale + g.N * C;
  modulate(g, gain, modulation, scale, offset);
  float* sums = scratch(Scratch::sums, g.N * chunks * 2 * C);  // per chunk: of dz, of dz xhat
  parallel_for(g.N * chunks, [&](int64_t piece) {
    const int64_t n = piece / chunks, first = piece % chunks * kChunk;
    float* row = sums + piece * 2 * C;
    std::fill_n(row, 2 * C, 0.0f);
    for (int64_t p = n * g.pixels + first; p < n * g.pixels + std::min(g.pixels, first + kChunk); ++p)
      simd_kernels().rms_silu_backward(C, x + p * C, dy + p * C, scale + n * C, offset + n * C, inverse_norm[p],
                                       dx + p * C, row, row + C);
  });
  const double root = std::sqrt(double(C));
  for (int64_t c = 0; c < C; ++c) {
    double total = 0;
    for (int64_t n = 0; n < g.N; ++n) {
      double dz = 0, dz_xhat = 0;
      for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        const float* row = sums + (n * chunks + chunk) * 2 * C;
        dz += double(row[c]);
        dz_xhat += double(row[C + c]);
      }
      total += root * dz_xhat * (modulation != nullptr ? 1 + double(modulation[n * 2 * C + c]) : 1);
      if (dmodulation == nullptr) continue;
      dmodulation[n * 2 * C + c] = float(double(gain[c]) * root * dz_xhat);
      dmodulation[n * 2 * C + C + c] = float(dz);
    }
    dgain[c] = float(total);
  }
}

}  // namespace echodiff::cpu
