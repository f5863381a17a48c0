// Letters burned into a picture: where lines of text are, for the sector to be found without them and for a person to
// be told of those within it.
#pragma once

#include <cstdint>
#include <vector>

#include "dimport/clip.h"

namespace echodiff {

// A part of a line of text: as high as its letters, and four times as wide. Inclusive.
struct TextLine {
  int64_t left, top, right, bottom;
  int level;  // the grey from which its letters stand out
};

// Places where bright marks that vary in no frame begin and end on common rows, as letters of one line do, in many
// strokes, and of one grey. What they find and miss: docs/importing.md. Without `mask` they
// are surer of it; with it only what is inside (255) is looked at, and more is told of: a person looks at it.
std::vector<TextLine> lines_of_text(const Extremes& greys, bool lossy, const GrayImage* mask = nullptr);

// The same greys, black where the lines have letters, where marks as low as letters have black above and below, and
// around these where a lossy compression lit it.
Extremes without_letters(Extremes greys, const std::vector<TextLine>& lines, bool lossy);

}  // namespace echodiff
