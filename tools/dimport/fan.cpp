#include "dimport/fan.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "kernels/error.h"

namespace echodiff {
namespace {

using Shape = std::array<double, 6>;

constexpr int64_t kCoarse = 96, kFine = 320;        // pixels of the longer side that a fit looks at
constexpr int kLit = 3, kLossyLit = 12, kDim = 80;  // grey levels
constexpr int64_t kBlock = 8;                       // pixels: a side of what a lossy compression treats as one
constexpr float kDense = 0.12f;                     // share of lit pixels around one that belongs to the tissue
// Of a pixel that is dark, faint or lit: tissue may be too dark to be seen, and nothing shines outside of the sector
// but what a lossy compression leaves beside its rim.
constexpr double kCostInside[3] = {0.35, 0.1, 0}, kCostOutside[3] = {0, 0.05, 3}, kWorst = 0.15;
constexpr double kLopsided = 0.01;  // how much better a fan whose sides differ must fit to be believed

// Sums over rectangles: (height + 1, width + 1).
std::vector<int64_t> integral_of(const GrayImage& image) {
  const int64_t w = image.width + 1;
  std::vector<int64_t> sums(static_cast<size_t>(w * (image.height + 1)), 0);
  for (int64_t y = 0; y < image.height; ++y) {
    int64_t row = 0;
    for (int64_t x = 0; x < image.width; ++x) {
      row += image.at(y, x);
      sums[size_t((y + 1) * w + x + 1)] = sums[size_t(y * w + x + 1)] + row;
    }
  }
  return sums;
}

// The share of ones in a square of 2 r + 1 around each pixel, of what lies in the picture.
std::vector<float> density_of(const GrayImage& ones, int64_t r) {
  const std::vector<int64_t> sums = integral_of(ones);
  const int64_t W = ones.width, H = ones.height, w = W + 1;
  std::vector<float> density(static_cast<size_t>(W * H));
  for (int64_t y = 0; y < H; ++y)
    for (int64_t x = 0; x < W; ++x) {
      const int64_t t = std::max<int64_t>(0, y - r), b = std::min(H, y + r + 1), l = std::max<int64_t>(0, x - r),
                    e = std::min(W, x + r + 1);
      const int64_t sum =
          sums[size_t(b * w + e)] - sums[size_t(t * w + e)] - sums[size_t(b * w + l)] + sums[size_t(t * w + l)];
      density[size_t(y * W + x)] = float(sum) / float((b - t) * (e - l));
    }
  return density;
}

// The pixels that a walk over neighbours of the same value reaches from `start`; they become `to`.
std::vector<int64_t> flood(GrayImage& image, int64_t start, uint8_t to) {
  const uint8_t from = image.pixels[size_t(start)];
  std::vector<int64_t> reached{start};
  image.pixels[size_t(start)] = to;
  for (size_t i = 0; i < reached.size(); ++i) {
    const int64_t x = reached[i] % image.width, y = reached[i] / image.width;
    for (const auto& [dx, dy] : {std::pair<int64_t, int64_t>{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
      const int64_t nx = x + dx, ny = y + dy;
      if (nx < 0 || ny < 0 || nx >= image.width || ny >= image.height || image.at(ny, nx) != from) continue;
      image.at(ny, nx) = to;
      reached.push_back(ny * image.width + nx);
    }
  }
  return reached;
}

// The largest piece of ones, its holes filled.
GrayImage largest_piece(GrayImage ones) {
  std::vector<int64_t> largest;
  for (int64_t i = 0; i < ones.width * ones.height; ++i)
    if (ones.pixels[size_t(i)] == 1)
      if (std::vector<int64_t> piece = flood(ones, i, 2); piece.size() > largest.size()) largest = std::move(piece);
  GrayImage piece{ones.width + 2, ones.height + 2,
                  std::vector<uint8_t>(size_t((ones.width + 2) * (ones.height + 2)), 0)};
  for (const int64_t i : largest) piece.at(i / ones.width + 1, i % ones.width + 1) = 1;
  flood(piece, 0, 3);  // from the rim: what is not reached is inside
  for (int64_t y = 0; y < ones.height; ++y)
    for (int64_t x = 0; x < ones.width; ++x) ones.at(y, x) = piece.at(y + 1, x + 1) != 3;
  return ones;
}

// From the first to the last lit one of each column: a fan has no gap there, not even where its inner arc dips.
void fill_columns(GrayImage& levels) {
  for (int64_t x = 0; x < levels.width; ++x) {
    int64_t first = 0, last = levels.height - 1;
    while (first < levels.height && levels.at(first, x) != 2) ++first;
    while (last > first && levels.at(last, x) != 2) --last;
    for (int64_t y = first; y < last; ++y) levels.at(y, x) = 2;
  }
}

GrayImage shrunk(const GrayImage& ones, int64_t side, double* scale) {
  *scale = std::max(1.0, double(std::max(ones.width, ones.height)) / double(side));
  GrayImage small{int64_t(double(ones.width) / *scale), int64_t(double(ones.height) / *scale), {}};
  for (int64_t y = 0; y < small.height; ++y)
    for (int64_t x = 0; x < small.width; ++x)
      small.pixels.push_back(ones.at(int64_t((double(y) + 0.5) * *scale), int64_t((double(x) + 0.5) * *scale)));
  return small;
}

double misfit_of(const Sector& sector, const GrayImage& tissue, double scale) {
  double wrong = 0, inside = 1;
  for (int64_t y = 0; y < tissue.height; ++y)
    for (int64_t x = 0; x < tissue.width; ++x) {
      const bool in = sector.holds((double(x) + 0.5) * scale, (double(y) + 0.5) * scale);
      inside += in ? 1 : 0;
      wrong += in ? kCostInside[tissue.at(y, x)] : kCostOutside[tissue.at(y, x)];
    }
  return wrong / inside;
}

// Nelder & Mead 1965, "A simplex method for function minimization", from `start` with first steps of `step`.
Shape descend(const Shape& start, const Shape& step, int rounds, const std::function<double(const Shape&)>& cost) {
  struct Corner {
    Shape at;
    double cost;
  };
  std::vector<Corner> corners{{start, cost(start)}};
  for (size_t i = 0; i < start.size(); ++i) {
    Shape moved = start;
    moved[i] += step[i];
    corners.push_back({moved, cost(moved)});
  }
  for (int round = 0; round < rounds; ++round) {
    std::sort(corners.begin(), corners.end(), [](const Corner& a, const Corner& b) { return a.cost < b.cost; });
    Corner& worst = corners.back();
    Shape centre{};
    for (size_t c = 0; c + 1 < corners.size(); ++c)
      for (size_t i = 0; i < centre.size(); ++i) centre[i] += corners[c].at[i] / double(corners.size() - 1);
    const auto along = [&](double t) {
      Corner made{};
      for (size_t i = 0; i < centre.size(); ++i) made.at[i] = centre[i] + t * (worst.at[i] - centre[i]);
      made.cost = cost(made.at);
      return made;
    };
    const Corner mirrored = along(-1);
    if (mirrored.cost < corners[0].cost) {
      const Corner further = along(-2);
      worst = further.cost < mirrored.cost ? further : mirrored;
    } else if (mirrored.cost < corners[corners.size() - 2].cost) {
      worst = mirrored;
    } else if (const Corner nearer = along(mirrored.cost < worst.cost ? -0.5 : 0.5); nearer.cost < worst.cost) {
      worst = nearer;
    } else {
      for (size_t c = 1; c < corners.size(); ++c) {
        for (size_t i = 0; i < centre.size(); ++i) corners[c].at[i] = (corners[c].at[i] + corners[0].at[i]) / 2;
        corners[c].cost = cost(corners[c].at);
      }
    }
  }
  return std::min_element(corners.begin(), corners.end(),
                          [](const Corner& a, const Corner& b) { return a.cost < b.cost; })
      ->at;
}

struct Box {
  double left, top, right, bottom;
};
Box box_of(const GrayImage& ones) {
  Box box{double(ones.width), double(ones.height), 0, 0};
  for (int64_t y = 0; y < ones.height; ++y)
    for (int64_t x = 0; x < ones.width; ++x)
      if (ones.at(y, x) == 2)
        box = {std::min(box.left, double(x)), std::min(box.top, double(y)), std::max(box.right, double(x + 1)),
               std::max(box.bottom, double(y + 1))};
  return box;
}

// What a fit moves: each number moves one part of the outline, so that a descent is not lost in a narrow valley.
// centre and half the width at the box's top, half the width at its bottom, the middle of the inner arc, of the outer
// arc, and how far the centre moves from the box's top to its bottom.
Sector sector_of(bool fan, const Shape& outline, const Box& box) {
  const auto& [centre, upper, lower, top, bottom, lean] = outline;
  const double height = box.bottom - box.top;
  if (!fan) {
    const auto at = [&](double y) { return (y - box.top) / height; };
    const auto middle = [&](double y) { return centre + at(y) * lean; };
    const auto half = [&](double y) { return upper + at(y) * (lower - upper); };
    return {false,
            {top, bottom, middle(top) - half(top), middle(bottom) - half(bottom), middle(top) + half(top),
             middle(bottom) + half(bottom)}};
  }
  const double left = (lean - lower + upper) / height, right = (lean + lower - upper) / height;
  if (right - left < 1e-3) return {true, {centre, 0, 0, 0, 1, 0}};  // holds nothing
  const double above = 2 * upper / (right - left), y = box.top - above, x = centre - upper - left * above;
  return {true, {x, y, left, right, top - y, bottom - y}};
}

struct Fit {
  bool fan;
  Shape outline;
  double misfit = 1e9;
};

// even: the centre does not move.
Fit refined(Fit fit, const GrayImage& tissue, const Box& box, double step, double scale, bool even) {
  const auto shaped = [&](Shape outline) {
    if (even) outline[5] = 0;
    return outline;
  };
  const auto cost = [&](const Shape& outline) {
    return misfit_of(sector_of(fit.fan, shaped(outline), box), tissue, scale);
  };
  Shape steps;
  steps.fill(step);
  fit.outline = shaped(descend(fit.outline, steps, 110, cost));
  fit.misfit = cost(fit.outline);
  return fit;
}

}  // namespace

bool Sector::holds(double x, double y) const {
  if (fan) {
    const double dx = x - shape[0], dy = y - shape[1], square = dx * dx + dy * dy;
    return dy > 0 && dx >= shape[2] * dy && dx <= shape[3] * dy && shape[4] >= 0 && square >= shape[4] * shape[4] &&
           square <= shape[5] * shape[5];
  }
  if (y < shape[0] || y > shape[1] || shape[1] <= shape[0]) return false;
  const double down = (y - shape[0]) / (shape[1] - shape[0]);
  return x >= shape[2] + down * (shape[3] - shape[2]) && x <= shape[4] + down * (shape[5] - shape[4]);
}

GrayImage mask_of(const Sector& sector, int64_t width, int64_t height) {
  GrayImage mask{width, height, {}};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) mask.pixels.push_back(sector.holds(double(x) + 0.5, double(y) + 0.5) ? 255 : 0);
  return mask;
}

GrayImage tissue_of(const Extremes& greys, bool lossy) {
  const int lit = lossy ? kLossyLit : kLit;
  // What a lossy compression leaves beside the rim is another thing in each frame, tissue is there in all.
  const GrayImage &high = greys.high, &seen = lossy && greys.moving ? greys.mean : greys.high;
  const GrayImage blank{high.width, high.height, std::vector<uint8_t>(high.pixels.size(), 0)};
  GrayImage still = blank, letters = blank, ones = blank, levels = blank;  // levels: 0 dark, 1 faint, 2 lit
  for (size_t i = 0; i < blank.pixels.size(); ++i) {
    // Of a clip letters and rulers are what is bright and stands still, and so does what a compression put around them.
    still.pixels[i] = greys.moving && high.pixels[i] - greys.low.pixels[i] <= lit;
    letters.pixels[i] = still.pixels[i] != 0 && high.pixels[i] > kDim;
  }
  const std::vector<float> near_letters = density_of(letters, kBlock);
  for (size_t i = 0; i < blank.pixels.size(); ++i) {
    const bool left_out = still.pixels[i] != 0 && near_letters[i] > 0;
    ones.pixels[i] = high.pixels[i] > kLit && !left_out;
    levels.pixels[i] = uint8_t(ones.pixels[i] + (ones.pixels[i] != 0 && seen.pixels[i] > lit ? 1 : 0));
  }
  // Dark tissue has a lit pixel here and there. Letters are as dense, but pieces of their own.
  const int64_t radius = std::max<int64_t>(3, std::max(ones.width, ones.height) / 60);
  const std::vector<float> density = density_of(ones, radius);
  GrayImage dense = ones;
  for (size_t i = 0; i < density.size(); ++i) dense.pixels[i] = density[i] > kDense;
  check_input(std::count(dense.pixels.begin(), dense.pixels.end(), 1) > 64, Fault::kBadInput,
              "shows nothing: no pixel varies or is lit");
  const GrayImage piece = largest_piece(std::move(dense));
  for (size_t i = 0; i < levels.pixels.size(); ++i) levels.pixels[i] = uint8_t(levels.pixels[i] * piece.pixels[i]);
  fill_columns(levels);
  return levels;
}

Sector fit_sector_shape(const GrayImage& tissue) {
  double scale = 1;
  const GrayImage coarse = shrunk(tissue, kCoarse, &scale);
  const Box box = box_of(tissue);
  const double side = double(std::max(tissue.width, tissue.height)), middle = (box.left + box.right) / 2,
               half = (box.right - box.left) / 2, dip = 0.05 * (box.bottom - box.top);
  Fit best{.fan = true, .outline = {}};
  for (const Fit& beginning : {Fit{true, {middle, 0.15 * half, half, box.top + dip, box.bottom, 0}},
                               Fit{true, {middle, 0.5 * half, half, box.top + dip, box.bottom, 0}},
                               Fit{false, {middle, half, half, box.top, box.bottom, 0}}})
    if (const Fit fit = refined(beginning, coarse, box, 0.05 * side, scale, true); fit.misfit < best.misfit) best = fit;
  bool even = true;
  if (const Fit free = refined(best, coarse, box, 0.05 * side, scale, false); free.misfit < best.misfit - kLopsided)
    best = free, even = false;
  const GrayImage fine = shrunk(tissue, kFine, &scale);
  for (const double step : {0.02, 0.008, 0.003}) best = refined(best, fine, box, step * side, scale, even);
  check_input(best.misfit < kWorst, Fault::kBadInput, "shows no sector: the nearest fan or trapezoid is off by ",
              int(100 * best.misfit), " % of its pixels");
  Sector sector = sector_of(best.fan, best.outline, box);
  sector.misfit = best.misfit;
  return sector;
}

}  // namespace echodiff
