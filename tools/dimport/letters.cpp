#include "dimport/letters.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace echodiff {
namespace {

// Grey levels. A still has speckle as bright as letters, but hardly in flat pieces.
struct Levels {
  int bright, same;
};
constexpr Levels kOfClips{110, 14}, kOfStills{180, 1};
constexpr int64_t kLowest = 5, kHighest = 64, kLeastPixels = 6;

struct Piece {
  int64_t left, top, right, bottom, pixels;
};

// Bright pixels that are the same in all frames and, from one to the next, of about one grey.
std::vector<Piece> pieces_of(const GrayImage& frame, std::vector<bool> usable, int same) {
  std::vector<Piece> pieces;
  std::vector<int64_t> reached;
  for (int64_t start = 0; start < frame.width * frame.height; ++start) {
    if (!usable[size_t(start)]) continue;
    reached.assign(1, start);
    usable[size_t(start)] = false;
    Piece piece{frame.width, frame.height, 0, 0, 0};
    for (size_t i = 0; i < reached.size(); ++i) {
      const int64_t x = reached[i] % frame.width, y = reached[i] / frame.width;
      piece = {std::min(piece.left, x), std::min(piece.top, y), std::max(piece.right, x), std::max(piece.bottom, y),
               piece.pixels + 1};
      for (int64_t ny = std::max<int64_t>(0, y - 1); ny <= std::min(frame.height - 1, y + 1); ++ny)
        for (int64_t nx = std::max<int64_t>(0, x - 1); nx <= std::min(frame.width - 1, x + 1); ++nx) {
          const int64_t next = ny * frame.width + nx;
          if (!usable[size_t(next)] || std::abs(int(frame.pixels[size_t(next)]) - int(frame.at(y, x))) > same) continue;
          usable[size_t(next)] = false;
          reached.push_back(next);
        }
    }
    const int64_t height = piece.bottom - piece.top + 1, width = piece.right - piece.left + 1;
    if (height >= kLowest && height <= kHighest && width <= 2 * kHighest && piece.pixels >= kLeastPixels)
      pieces.push_back(piece);
  }
  return pieces;
}

// Two letters of one line: as high, on one base, and near.
bool neighbours(const Piece& a, const Piece& b) {
  const int64_t height = a.bottom - a.top + 1, other = b.bottom - b.top + 1;
  const int64_t gap = std::max(a.left, b.left) - std::min(a.right, b.right);
  return std::abs(height - other) <= 1 + height / 6 && std::abs(a.bottom - b.bottom) <= 1 + height / 8 &&
         gap <= 2 * height;
}

}  // namespace

bool looks_written(const GrayImage& first, const Extremes& greys, const GrayImage& mask) {
  const Levels levels = greys.moving ? kOfClips : kOfStills;
  std::vector<bool> usable(first.pixels.size());
  for (size_t i = 0; i < usable.size(); ++i) {
    const int low = greys.low.pixels[i], high = greys.high.pixels[i];
    usable[i] = mask.pixels[i] != 0 && low >= levels.bright && high - low <= levels.same;
  }
  const std::vector<Piece> pieces = pieces_of(first, usable, levels.same);
  for (const Piece& one : pieces) {
    const int64_t near =
        std::count_if(pieces.begin(), pieces.end(), [&](const Piece& other) { return neighbours(one, other); });
    if (near >= 3) return true;  // itself among them
  }
  return false;
}

}  // namespace echodiff
