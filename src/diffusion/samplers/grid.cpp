#include "diffusion/samplers/grid.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr double kStart = 0.95, kEnd = 0.04, kRho = 7;

// What the grid is even in, rising with t.
double measure(const Schedule& schedule, GridKind kind, int64_t t) {
  if (kind == GridKind::even) return double(t);
  const double noise = schedule.sqrt_one_minus_alphas_cumprod[size_t(t)] / schedule.sqrt_alphas_cumprod[size_t(t)];
  return kind == GridKind::logsnr ? std::log(noise) : std::pow(noise, 1 / kRho);
}

int64_t time_at(const Schedule& schedule, double share) {
  return std::clamp<int64_t>(int64_t(std::nearbyint(share * double(schedule.T))), 0, schedule.T - 1);
}

// The time whose measure is nearest.
int64_t nearest(const Schedule& schedule, GridKind kind, double wanted) {
  int64_t low = 0, high = schedule.T - 1;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (measure(schedule, kind, middle) < wanted)
      low = middle + 1;
    else
      high = middle;
  }
  const bool below = low > 0 && wanted - measure(schedule, kind, low - 1) < measure(schedule, kind, low) - wanted;
  return below ? low - 1 : low;
}

void check_given(const Schedule& schedule, const std::vector<int64_t>& times, int64_t K) {
  check_input(int64_t(times.size()) == K, Fault::kUsage, "grid: has ", times.size(), " times, expected ", K,
              ", one for each step; leave the number of steps out");
  for (size_t i = 0; i < times.size(); ++i)
    check_input(times[i] >= 0 && times[i] < schedule.T && (i == 0 || times[i] < times[i - 1]), Fault::kUsage,
                "grid: time ", times[i], " at place ", i, ": expected descending times in 0..", schedule.T - 1);
}

}  // namespace

GridKind parse_grid_kind(const std::string& name) {
  if (name == "even") return GridKind::even;
  if (name == "logsnr") return GridKind::logsnr;
  check_input(name == "rho", Fault::kUsage, "grid: expected even, logsnr or rho, found '", name, "'");
  return GridKind::rho;
}

std::vector<int64_t> grid_times(const Schedule& schedule, const Grid& grid, int64_t K) {
  check_input(K >= 1 && K <= schedule.T, Fault::kUsage, "grid: expected 1 to ", schedule.T, " steps, found ", K);
  if (grid.kind == GridKind::given) {
    check_given(schedule, grid.times, K);
    return grid.times;
  }
  const bool even = grid.kind == GridKind::even;
  const double start = grid.start.value_or(even ? 1 : kStart), end = grid.end.value_or(even ? 0 : kEnd);
  check_input(0 <= end && end < start && start <= 1, Fault::kUsage, "grid: expected shares of T with start above end, ",
              "found start ", start, " and end ", end);
  const double first = measure(schedule, grid.kind, time_at(schedule, start)),
               last = measure(schedule, grid.kind, time_at(schedule, end));
  std::vector<int64_t> times;
  for (int64_t i = 0; i < K; ++i) {
    const double share = K == 1 ? 0 : double(i) / double(K - 1);
    times.push_back(nearest(schedule, grid.kind, first + share * (last - first)));
    check_input(i == 0 || times[size_t(i)] < times[size_t(i - 1)], Fault::kUsage, "grid: ", K,
                " steps don't fit between ", start, " T and ", end, " T; take fewer, or other ends");
  }
  return times;
}

}  // namespace echodiff
