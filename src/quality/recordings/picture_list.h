// The pictures of a folder, and what belongs to each: its sector and its group.
#pragma once

#include <string>
#include <vector>

#include "tensor/io/png.h"
#include "train/folder/fit.h"

namespace echodiff {

// What an output of dsample says of the network that drew it, in its config.toml.
struct SamplesOrigin {
  std::string model;      // the run it was drawn with; "" where nothing says it
  Fit fit = Fit::squash;  // how the masks became square; squash where nothing says it
};
SamplesOrigin origin_of_samples(const std::string& directory);

struct ListedPicture {
  std::string path;         // of the picture
  std::string group;        // of index.csv or the mask of samples.jsonl; "" where neither says
  std::string sector_path;  // "" where there is none
  std::string mask_path;    // of a sample, where its mask is there
  bool sampled = false;     // drawn from a mask: it is square already, by `fit`
  Fit fit = Fit::squash;
};

// `directory` is a data-set folder (images/, perhaps sector/ and index.csv), an output of dsample (images/ and
// samples.jsonl) or a plain folder of pictures; in name order. `masks` is the data-set folder that pictures of dsample
// were drawn from: their sectors are found there by mask name; "" where it isn't known. Throws Error: kMissingInput
// when the folder isn't there, kBadInput when it holds no picture, or one of its text files can't be read.
std::vector<ListedPicture> list_pictures(const std::string& directory, const std::string& masks = "");

// The sector of a picture of `width` x `height` pixels, as a region of the square of `size` that `fit` brings it into;
// with size 0, of the picture as it is. A sample is in its square already. Throws Error: kMissingInput when the picture
// has no sector.
GrayImage read_sector(const ListedPicture& picture, int64_t width, int64_t height, int64_t size, Fit fit);

}  // namespace echodiff
