// A data-set folder in memory: grey pictures, class masks as 0/1 planes, the sector, and a split by groups.
//
//   DIR/images/*       grey PNG, JPEG or TIFF, any size; 16 bits through the window of dataset.json
//   DIR/masks/*        class index of each pixel, PNG or TIFF, the same names (but for the ending) and sizes; of a
//                      coloured palette its entries' numbers, else the grey values
//   DIR/sector/*       0/255, optional: one per picture, or a single file for all; absent: the whole picture
//   DIR/dataset.json   {"planes": [{"name": "liver", "value": 1}], "sector": true, "window": [0, 65535]}   optional
//                      with "planes": [] there need be no masks/
//   DIR/index.csv      columns by name: file, split {train, val, test}, group; others ignored   optional
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tensor/io/png.h"
#include "train/folder/fit.h"

namespace echodiff {

// A class of the mask pictures: the pixels of this value become a plane of this name.
struct Plane {
  std::string name;
  int value;  // 1..255; 0 is the background
};

struct DatasetOptions {
  std::string directory = {};
  int64_t image_size = 64;  // pixels, both sides, 16..1024
  std::string planes = {};  // "nerve=1,vessel=2": replaces the planes of dataset.json; "": as dataset.json says
  Fit fit = Fit::squash;    // of pictures that aren't square
  bool need_images = true;  // false: images/ is not read (sampling needs masks only)
  bool need_masks = true;   // false: masks/ is not read, the sector is the only plane
};

// The 16-bit pictures of a folder, all seen through one window.
struct WidePictures {
  int64_t count = 0, low = 65535, high = 0;  // their smallest and largest grey
  Window window;
};

struct Example {
  std::string file;               // name within images/ and masks/
  std::string split;              // "train", "val" or "test"
  std::string group;              // pictures that belong together (a patient); the file's own name if none is given
  GrayImage image;                // (image_size, image_size), fitted by area; empty without need_images
  std::vector<GrayImage> planes;  // one a plane name, values 0 and 1, fitted by nearest
};

struct Dataset {
  std::vector<std::string> plane_names;  // the sector last, always there: all ones where the data has none
  std::vector<Example> examples;         // by file name
  int64_t image_size = 0;
  Fit fit = Fit::squash;
  int64_t not_square = 0;                        // pictures that the fit changes
  bool guessed_planes = false;                   // class_V, from the masks' values
  std::map<std::string, int64_t> left_out = {};  // what of images/ isn't read, by kind
  WidePictures wide = {};
  std::vector<std::string> notes = {};  // what a person should know, one line each
  bool reviewed = true;                 // false: an import that nobody has looked through for names
};

// Reads the folder. A group never crosses a split; without any "val" about a tenth of the train groups becomes it, by
// their names alone (train/folder/split.h). Without dataset.json and planes every non-zero mask value V becomes plane
// class_V, which a note says; values that no class indices have are refused. Another note warns of a plane that is
// empty at this size. Neither need: names and shapes alone, the sector is the only plane.
// Throws Error: kUsage (image_size, planes), kMissingInput (the folder, images/, masks/, a file of them), kBadInput
// (no pictures, a damaged one, image and mask of different size, unknown mask value, dataset.json, index.csv).
Dataset load_dataset(const DatasetOptions& options);

// "data: 6 pictures in 6 groups: 5 train, 1 val, 0 test; planes: liver in 100 %, vein in 83 %; left out: 3 .bmp"
std::string summary_of(const Dataset& data, const std::string& directory);

// Throws Error(kBadInput) where pictures that aren't square were made so otherwise than those of `whose`.
void require_fit(const Dataset& data, Fit fit, const std::string& whose, const std::string& directory);

// "nerve=1,vessel=2" as planes. Throws Error kUsage.
std::vector<Plane> parse_planes(const std::string& text);

}  // namespace echodiff
