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
// strokes, with little above and below, and of one grey. Of 67 names in 35 typefaces of 11 to 26 pixels on phantoms 66
// were found, and none where there was none; of frames of real ultrasound without any, one in six or so has a place
// that looks like it. Where `mask` is given, only what is inside of it (255) is looked at.
std::vector<TextLine> lines_of_text(const Extremes& greys, bool lossy, const GrayImage* mask = nullptr);

// The same greys, black where the lines have letters, where marks as low as letters have black above and below, and
// around these where a lossy compression lit it.
Extremes without_letters(Extremes greys, const std::vector<TextLine>& lines, bool lossy);

}  // namespace echodiff
