#include "diffusion/respace.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"

namespace echodiff {
namespace {

void check_steps(int64_t K, int64_t most) {
  check_input(K >= 1 && K <= most, Fault::kUsage, "sample steps: expected 1 to ", most,
              " for this sampler and number of time steps, found ", K);
}

}  // namespace

std::vector<int64_t> ddpm_times(int64_t T, int64_t K) {
  check_steps(K, T);
  if (K == 1) return {T - 1};
  const double stride = double(T - 1) / double(K - 1);
  std::vector<int64_t> times;
  double position = 0;
  for (int64_t k = 0; k < K; ++k, position += stride) times.push_back(int64_t(std::nearbyint(position)));
  std::reverse(times.begin(), times.end());
  return times;
}

std::vector<int64_t> ddim_times(int64_t last, int64_t K) {
  check_steps(K, last + 1);
  const float start = -1, end = float(last), step = (end - start) / float(K);
  std::vector<int64_t> times;
  for (int64_t i = K; i >= 0; --i) {  // torch.linspace counts from the nearer end
    const float value = 2 * i < K + 1 ? start + step * float(i) : end - step * float(K - i);
    times.push_back(int64_t(value));
  }
  return times;
}

std::vector<int64_t> dpmpp_times(int64_t T, int64_t K) {
  check_steps(K, T - 1);
  const double stride = double(T - 1) / double(K);
  std::vector<int64_t> times;
  for (int64_t i = K; i >= 1; --i) times.push_back(i == K ? T - 1 : int64_t(std::nearbyint(double(i) * stride)));
  return times;
}

Schedule respace(const Schedule& schedule, const std::vector<int64_t>& times) {
  if (int64_t(times.size()) == schedule.T) return schedule;
  std::vector<double> betas;
  double before = 1;
  for (size_t i = times.size(); i-- > 0;) {
    const double alpha_bar = schedule.alphas_cumprod[size_t(times[i])];
    betas.push_back(1 - alpha_bar / before);
    before = alpha_bar;
  }
  return schedule_from_betas(betas);
}

}  // namespace echodiff
