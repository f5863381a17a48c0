// The values of masks: which of them are classes, whose classes they are, and what becomes of a class at another size.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/data/dataset.h"

namespace echodiff {

// Looks at one mask after the other, and knows in the end which values there are.
class MaskValues {
 public:
  MaskValues(int64_t image_size, Fit fit) : size_(image_size), fit_(fit) {}

  // `fitted` is the mask at the image size. Throws Error kBadInput, beginning with `path`, for a value that no plane
  // has (where `planes` are known), and for a palette whose colours disagree with those of a mask before.
  void take(const DecodedPicture& decoded, const GrayImage& mask, const GrayImage& fitted, const std::string& path,
            const std::optional<std::vector<Plane>>& planes);

  // A plane for each value. Throws Error kBadInput, beginning with `directory`, for values that can't be class indices:
  // more than 32 of them, or one above 32 beside others. The message names the likely cause.
  std::vector<Plane> guessed_planes(const std::string& directory) const;

  // Of each plane that is empty in some picture only because of the size: one line.
  std::vector<std::string> warnings(const std::vector<Plane>& planes) const;

 private:
  // A class in one mask that few pixels or none are left of.
  struct Faint {
    int64_t width, height;  // of the mask
    bool lost;
    std::vector<std::pair<int64_t, int64_t>> pixels;  // row, column
  };
  struct Class {
    int64_t masks = 0;  // that show it
    std::vector<Faint> faint;
    std::optional<Colour> colour;  // in the palettes
    std::string file;              // that has it first
  };

  bool survives(const Faint& faint, int64_t size) const;
  int64_t smallest_size(const std::vector<Faint>& faint) const;

  int64_t size_;
  Fit fit_;
  std::array<Class, 256> classes_;
};

}  // namespace echodiff
