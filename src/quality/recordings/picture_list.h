// The pictures of a folder, and what belongs to each: its sector and its group.
#pragma once

#include <string>
#include <vector>

#include "tensor/io/png.h"

namespace echodiff {

struct ListedPicture {
  std::string path;         // of the PNG
  std::string group;        // of index.csv or the mask of samples.jsonl; "" where neither says
  std::string sector_path;  // "" where there is none
};

// `directory` is a data-set folder (images/, perhaps sector/ and index.csv), an output of dsample (images/ and
// samples.jsonl) or a plain folder of PNGs; in name order. `masks` is the data-set folder that pictures of dsample were
// drawn from: their sectors are found there by mask name; "" where it isn't known. Throws Error: kMissingInput when the
// folder isn't there, kBadInput when it holds no PNG, or index.csv or samples.jsonl can't be read.
std::vector<ListedPicture> list_pictures(const std::string& directory, const std::string& masks = "");

// The sector as a region of `width` x `height` pixels. Throws Error: kMissingInput when the picture has none.
GrayImage read_sector(const ListedPicture& picture, int64_t width, int64_t height);

}  // namespace echodiff
