#include "diffusion/samplers/unipc.h"

#include <algorithm>
#include <cmath>

#include "diffusion/samplers/dpmpp.h"

namespace echodiff {
namespace {

// Factors of x0_hat, of the one before it and of the one before that.
struct Shares {
  double now = 0, before = 0, earlier = 0;
};

int64_t order_of(int64_t i, int64_t K) { return std::min({int64_t{2}, i + 1, K - i}); }

// What the corrector adds to the state at level i, which a step of `order` predicted.
Shares correction(const std::vector<LogSnr>& levels, size_t i, int64_t order) {
  const double h = levels[i].lambda - levels[i - 1].lambda, phi = std::expm1(-h), scale = -levels[i].alpha * phi;
  if (order == 1) return {scale * 0.5, -scale * 0.5, 0};
  // rho_0 + rho_1 = b_0 and r rho_0 + rho_1 = b_1: the two moments that the corrector matches.
  const double r = (levels[i - 2].lambda - levels[i - 1].lambda) / h;
  const double phi_2 = phi / -h - 1, phi_3 = phi_2 / -h - 0.5, b_0 = phi_2 / phi, b_1 = 2 * phi_3 / phi;
  const double rho_0 = (b_0 - b_1) / (1 - r), rho_1 = b_0 - rho_0;
  const double slope = (rho_0 - 0.5) / r;  // the predictor had a half of this difference
  return {scale * rho_1, scale * (-rho_1 - slope), scale * slope};
}

// What the predictor adds to the scaled state on the way from level i to the next.
Shares prediction(const std::vector<LogSnr>& levels, size_t i, int64_t order) {
  const double h = levels[i + 1].lambda - levels[i].lambda, scale = -levels[i + 1].alpha * std::expm1(-h);
  if (order == 1) return {scale, 0, 0};
  const double slope = 0.5 * h / (levels[i - 1].lambda - levels[i].lambda);
  return {scale * (1 - slope), scale * slope, 0};
}

}  // namespace

std::vector<PlanStep> unipc_steps(const Schedule& schedule, int64_t, int64_t K, const SamplerOptions& options) {
  return solver_steps(schedule, K, options, [K](const std::vector<LogSnr>& levels, size_t i, PlanStep& row) {
    const double ratio = levels[i + 1].sigma / levels[i].sigma;
    const Shares corrected = i == 0 ? Shares() : correction(levels, i, order_of(int64_t(i) - 1, K)),
                 predicted = prediction(levels, i, order_of(int64_t(i), K));
    row.from_x_start = float(ratio * corrected.now + predicted.now);
    row.from_previous = float(ratio * corrected.before + predicted.before);
    row.from_earlier = float(ratio * corrected.earlier);
  });
}

}  // namespace echodiff
