// A data-set folder in memory: grey pictures, class masks as 0/1 planes, the sector, and a split by groups.
//
//   DIR/images/*.png   8-bit grey, any size         DIR/masks/*.png   8-bit class index, the same names and sizes
//   DIR/sector/*.png   0/255, optional: one per picture, or a single file for all; absent: the whole picture
//   DIR/dataset.json   {"planes": [{"name": "liver", "value": 1}, ...], "sector": true}      optional
//   DIR/index.csv      columns by name: file, split {train, val, test}, group; others ignored   optional
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/io/png.h"

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
  uint64_t seed = 0;        // of the validation split
  bool need_images = true;  // false: images/ is not read (sampling needs masks only)
  bool need_masks = true;   // false: masks/ is not read, the sector is the only plane
};

struct Example {
  std::string file;               // name within images/ and masks/
  std::string split;              // "train", "val" or "test"
  std::string group;              // pictures that belong together (a patient); the file's own name if none is given
  GrayImage image;                // (image_size, image_size), resized by area; empty without need_images
  std::vector<GrayImage> planes;  // one a plane name, values 0 and 1, resized by nearest
};

struct Dataset {
  std::vector<std::string> plane_names;  // the sector last, always there: all ones where the data has none
  std::vector<Example> examples;         // by file name
  int64_t image_size = 0;
};

// Reads the folder. A group never crosses a split; without any "val" a tenth of the train groups, drawn by the seed,
// becomes it. Without dataset.json and planes every non-zero mask value V becomes plane class_V, said on stderr.
// Throws Error: kUsage (image_size, planes), kMissingInput (the folder, images/, masks/, a file of them), kBadInput
// (no pictures, damaged PNG, image and mask of different size, unknown mask value, dataset.json, index.csv).
Dataset load_dataset(const DatasetOptions& options);

// "nerve=1,vessel=2" as planes. Throws Error kUsage.
std::vector<Plane> parse_planes(const std::string& text);

}  // namespace echodiff
