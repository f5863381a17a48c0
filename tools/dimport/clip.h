// Frames of one DICOM file or volume, and all that is kept of what was beside them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/io/gray_image.h"

namespace echodiff {

struct Clip {
  std::vector<GrayImage> frames;        // of one size
  std::array<double, 2> spacing{0, 0};  // mm of a pixel, across and down; 0: not known
  std::string patient;                  // decides the group, and is written nowhere
  bool said_clean = false;              // the file says that no text is burned in
  bool lossy = false;                   // compressed with loss: around what is bright nothing is quite black
};

// The least, the largest and the mean grey of each pixel over the frames. moving: of five frames or more, enough to
// tell what never varies.
struct Extremes {
  GrayImage low, high, mean;
  bool moving = false;
};
Extremes extremes_of(const std::vector<GrayImage>& frames);

// As bytes, from the child that decodes to the parent. Throws Error(kBadInput) for bytes that are no clip.
std::string to_bytes(const Clip& clip);
Clip clip_of(const std::string& bytes);

}  // namespace echodiff
