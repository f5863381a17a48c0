#include "quality/evaluate/grid_choice.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr double kGreyLevels = 2;

bool covers_less(const Proportion& a, const Proportion& b) {
  const auto variance = [](const Proportion& p) { return p.fraction * (1 - p.fraction) / double(p.n); };
  return b.fraction - a.fraction > 1.96 * std::sqrt(variance(a) + variance(b));
}

}  // namespace

bool is_grey_enough(const MeasuredGrid& grid) {
  return std::abs(grid.grey - grid.real_grey) <= std::max(kGreyLevels, grid.grey_by_chance);
}

namespace {

std::vector<const MeasuredGrid*> grey_ones(const std::vector<MeasuredGrid>& grids) {
  check(!grids.empty(), "choose_grid: no grids");
  const bool any = std::any_of(grids.begin(), grids.end(), is_grey_enough);
  std::vector<const MeasuredGrid*> left;
  for (const MeasuredGrid& grid : grids)
    if (!any || is_grey_enough(grid)) left.push_back(&grid);
  return left;
}

}  // namespace

size_t best_grid(const std::vector<MeasuredGrid>& grids) {
  const std::vector<const MeasuredGrid*> left = grey_ones(grids);
  const auto nearer = [](const MeasuredGrid* a, const MeasuredGrid* b) { return a->kid.value < b->kid.value; };
  return size_t(*std::min_element(left.begin(), left.end(), nearer) - grids.data());
}

size_t choose_grid(const std::vector<MeasuredGrid>& grids) {
  const MeasuredGrid& best = grids[best_grid(grids)];
  std::vector<const MeasuredGrid*> left = grey_ones(grids);
  std::erase_if(left, [&](const MeasuredGrid* grid) {
    return grid != &best && (grid->kid_minus_best.low > 0 || covers_less(grid->coverage, best.coverage));
  });
  const auto cheaper = [](const MeasuredGrid* a, const MeasuredGrid* b) {
    return a->calls != b->calls ? a->calls < b->calls : a->kid.value < b->kid.value;
  };
  return size_t(*std::min_element(left.begin(), left.end(), cheaper) - grids.data());
}

}  // namespace echodiff
