// Ultrasound files as five makers lay them out, written by DCMTK from phantoms, with names burned in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/io/gray_image.h"

namespace echodiff {

struct Screen {
  std::vector<GrayImage> frames;                     // of one size
  int64_t left = 0, top = 0, right = 0, bottom = 0;  // the tissue region, inclusive
};

enum class Layout { monochrome, rgb, ybr, palette, coloured };
enum class Packing { raw, rle, jpeg };

struct MadeDicom {
  Layout layout = Layout::monochrome;
  Packing packing = Packing::raw;
  std::string patient = "DOE^JANE", burned_in = {};  // burned_in: of the tag; "" leaves it out
  int regions = 1, region_type = 1;
  bool ultrasound = true, leaves_picture = false;
};

void write_dicom(const std::string& path, const Screen& screen, const MadeDicom& how);

// Digits as a scanner's segments, `height` pixels high, their top left corner at (x, y).
void burn_in(GrayImage& picture, const std::string& digits, int64_t x, int64_t y, int64_t height, uint8_t grey);

// Capital letters of 5 x 7 dots, each `scale` pixels wide and high, with soft edges; 6 dots to the next letter. Knows
// A D E J M N O S and the space.
void write_text(GrayImage& picture, const std::string& text, int64_t x, int64_t y, int64_t scale, uint8_t grey);

}  // namespace echodiff
