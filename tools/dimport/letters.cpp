#include "dimport/letters.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

namespace echodiff {
namespace {

constexpr int kDimmest = 96, kBrightest = 240, kStep = 12;  // grey levels that ink is told from ground by
constexpr int kPlateau = 24;                                // ink is brighter than that level by so much, mostly
constexpr int kSteady = 14, kLossySteady = 24;              // of a moving clip: ink varies by no more
constexpr int64_t kLowest = 6, kHighest = 35;               // pixels of a letter
constexpr double kWidths[] = {4, 7};                        // of a window, in its heights: a short name, a long one
constexpr int64_t kMargin = 3;                              // rows around it that are looked at
constexpr double kLeastInk = 0.06, kMostInk = 0.62;         // shares of the window
// Of stills speckle reaches 3.4 in a narrow window and 4.3 in a wide one; of a clip hardly anything stands still.
// Without a person to look, narrow windows alone decide.
constexpr double kSureScores[] = {3.7, 1e9}, kStillScores[] = {3.5, 4.6}, kClipScore = 2;

// Sums over rectangles of what is 1: (height + 1, width + 1).
class Counts {
 public:
  template <class Is>
  Counts(int64_t width, int64_t height, Is is) : stride_(width + 1), sums_(size_t(stride_ * (height + 1)), 0) {
    for (int64_t y = 0; y < height; ++y) {
      int32_t row = 0;
      for (int64_t x = 0; x < width; ++x) {
        row += is(y, x) ? 1 : 0;
        sums_[size_t((y + 1) * stride_ + x + 1)] = sums_[size_t(y * stride_ + x + 1)] + row;
      }
    }
  }
  // Rows [top, bottom), columns [left, right).
  double in(int64_t top, int64_t bottom, int64_t left, int64_t right) const {
    return sums_[size_t(bottom * stride_ + right)] - sums_[size_t(top * stride_ + right)] -
           sums_[size_t(bottom * stride_ + left)] + sums_[size_t(top * stride_ + left)];
  }

 private:
  int64_t stride_;
  std::vector<int32_t> sums_;
};

// What a window is judged by, at one level: ink, where it ends downwards and upwards, where a stroke begins, and what
// of it is clearly brighter.
struct Marks {
  Counts ink, ends_below, ends_above, strokes, plateau;
};

Marks marks_of(const GrayImage& grey, const std::vector<bool>& usable, int level) {
  const int64_t W = grey.width, H = grey.height;
  const auto ink = [&](int64_t y, int64_t x) {
    return x >= 0 && y >= 0 && x < W && y < H && usable[size_t(y * W + x)] && grey.at(y, x) >= level;
  };
  return {Counts(W, H, ink),
          Counts(W, H, [&](int64_t y, int64_t x) { return ink(y, x) && !ink(y + 1, x) && !ink(y + 2, x); }),
          Counts(W, H, [&](int64_t y, int64_t x) { return ink(y, x) && !ink(y - 1, x) && !ink(y - 2, x); }),
          Counts(W, H, [&](int64_t y, int64_t x) { return ink(y, x) && !ink(y, x - 1); }),
          Counts(W, H, [&](int64_t y, int64_t x) { return ink(y, x) && grey.at(y, x) >= level + kPlateau; })};
}

// How much the window's rows look like a line of text. Rows of speckle end anywhere; those of letters at their common
// base and height: by how many deviations more than elsewhere.
double score_of(const Marks& marks, int64_t top, int64_t bottom, int64_t left, int64_t right) {
  const double height = double(bottom - top), width = double(right - left);
  const double ink = marks.ink.in(top, bottom, left, right) / height;  // a row
  if (ink < kLeastInk * width || ink > kMostInk * width) return 0;
  const double strokes = marks.strokes.in(top + 1, bottom - 1, left, right) / (height - 2);
  if (strokes < 0.5) return 0;
  const double inner =
      (marks.ends_below.in(top, bottom - 1, left, right) + marks.ends_above.in(top + 1, bottom, left, right)) /
      (2 * (height - 1));
  const auto stands_out = [&](double edges) { return (edges - 2 * inner) / std::sqrt(2 * inner + 1); };
  const double base = stands_out(marks.ends_below.in(bottom - 1, bottom + 1, left, right));
  const double head = stands_out(marks.ends_above.in(top - 1, top + 1, left, right));
  if (std::min(base, 1.5 * head) < kClipScore) return 0;
  const double below = marks.ink.in(bottom + 1, bottom + 3, left, right) / 2;
  const double above = marks.ink.in(top - 3, top - 1, left, right) / 2;
  const double clean = 1 - std::max(below, 0.8 * above) / std::max(ink, 1.0);
  const double plateau = marks.plateau.in(top, bottom, left, right) / height / std::max(ink, 0.5);
  const auto share = [](double value) { return std::clamp(value, 0.0, 1.0); };
  return std::min(base, 1.5 * head) * share(clean) * share(strokes / 4) * share((plateau - 0.35) / 0.4);
}

// Pixels of one grey level or more that touch each other.
struct Piece {
  std::vector<int64_t> pixels;
  int64_t left, top, right, bottom;
};

Piece piece_at(const GrayImage& grey, int64_t start, int level, std::vector<bool>& seen) {
  Piece piece{{start}, grey.width, grey.height, 0, 0};
  seen[size_t(start)] = true;
  for (size_t i = 0; i < piece.pixels.size(); ++i) {
    const int64_t x = piece.pixels[i] % grey.width, y = piece.pixels[i] / grey.width;
    piece.left = std::min(piece.left, x), piece.right = std::max(piece.right, x);
    piece.top = std::min(piece.top, y), piece.bottom = std::max(piece.bottom, y);
    for (int64_t ny = std::max<int64_t>(0, y - 1); ny <= std::min(grey.height - 1, y + 1); ++ny)
      for (int64_t nx = std::max<int64_t>(0, x - 1); nx <= std::min(grey.width - 1, x + 1); ++nx) {
        const int64_t next = ny * grey.width + nx;
        if (seen[size_t(next)] || grey.pixels[size_t(next)] < level) continue;
        seen[size_t(next)] = true;
        piece.pixels.push_back(next);
      }
  }
  return piece;
}

// A letter, or a word whose letters touch: within the rows of the line, where tissue would go on.
bool is_of(const Piece& piece, const TextLine& line) {
  return piece.top >= line.top - 3 && piece.bottom <= line.bottom + 3 && piece.right >= line.left &&
         piece.left <= line.right;
}

// As low as a letter, and mostly black above and below: beside the sector, where it may touch it, or in its darkest
// parts.
bool is_on_black(const Piece& piece, const GrayImage& grey) {
  constexpr int kBlack = 24;
  constexpr double kMostLit = 0.3;
  if (piece.bottom - piece.top + 1 > kHighest + 5) return false;
  int64_t lit = 0;
  for (const int64_t y : {piece.top - 3, piece.top - 2, piece.bottom + 2, piece.bottom + 3})
    for (int64_t x = piece.left; y >= 0 && y < grey.height && x <= piece.right; ++x) lit += grey.at(y, x) >= kBlack;
  return double(lit) <= kMostLit * 4 * double(piece.right - piece.left + 1);
}

}  // namespace

std::vector<TextLine> lines_of_text(const Extremes& greys, bool lossy, const GrayImage* mask) {
  const GrayImage& grey = greys.low;
  const int steady = lossy ? kLossySteady : kSteady;
  std::vector<bool> usable(grey.pixels.size());
  for (size_t i = 0; i < usable.size(); ++i)
    usable[i] =
        (mask == nullptr || mask->pixels[i] != 0) && (!greys.moving || greys.high.pixels[i] - grey.pixels[i] <= steady);
  std::vector<TextLine> lines;
  for (int level = kDimmest; level < kBrightest; level += kStep) {
    const Marks marks = marks_of(grey, usable, level);
    for (int64_t height = kLowest; height <= kHighest; height += height < 16 ? 1 : 2) {
      for (size_t i = 0; i < std::size(kWidths); ++i) {
        const int64_t width = int64_t(kWidths[i] * double(height));
        const double least = mask == nullptr ? kSureScores[i] : greys.moving ? kClipScore : kStillScores[i];
        for (int64_t top = kMargin; top + height + kMargin <= grey.height; ++top)
          for (int64_t left = 0; left + width <= grey.width; left += height / 3)
            if (score_of(marks, top, top + height, left, left + width) >= least)
              lines.push_back({left, top, left + width - 1, top + height - 1, level});
      }
    }
  }
  return lines;
}

Extremes without_letters(Extremes greys, const std::vector<TextLine>& lines, bool lossy) {
  const GrayImage& high = greys.high;
  std::map<int, std::vector<TextLine>> by_level{{kDimmest, {}}};
  for (const TextLine& line : lines) by_level[line.level].push_back(line);
  std::vector<int64_t> letters;
  for (const auto& [level, of_level] : by_level) {
    std::vector<bool> seen(high.pixels.size(), false);
    for (int64_t start = 0; start < int64_t(seen.size()); ++start) {
      if (seen[size_t(start)] || high.pixels[size_t(start)] < level) continue;
      const Piece piece = piece_at(high, start, level, seen);
      const bool of_line =
          std::any_of(of_level.begin(), of_level.end(), [&](const TextLine& line) { return is_of(piece, line); });
      if (of_line || is_on_black(piece, high)) letters.insert(letters.end(), piece.pixels.begin(), piece.pixels.end());
    }
  }
  const int64_t around = lossy ? 8 : 2;  // a block of JPEG; a soft edge
  for (const int64_t at : letters) {
    const int64_t column = at % high.width, row = at / high.width;
    for (int64_t y = std::max<int64_t>(0, row - around); y <= std::min(high.height - 1, row + around); ++y)
      for (int64_t x = std::max<int64_t>(0, column - around); x <= std::min(high.width - 1, column + around); ++x)
        greys.low.at(y, x) = greys.mean.at(y, x) = greys.high.at(y, x) = 0;
  }
  return greys;
}

}  // namespace echodiff
