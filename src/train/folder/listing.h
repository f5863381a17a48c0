// What lies in a folder of pictures: those that are read, and how many of what kind are not.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tensor/io/gray_image.h"

namespace echodiff {

struct FolderListing {
  std::vector<std::string> pictures;        // file names, sorted
  std::map<std::string, int64_t> left_out;  // ".bmp" -> 3, "in subfolders" -> 2; hidden files don't count
};

// Throws Error: kMissingInput without the folder; kBadInput where two pictures differ in their ending alone: they would
// share a mask, and might be one picture twice.
FolderListing list_folder(const std::string& directory);

// "3 .bmp, 2 in subfolders"; "" for nothing.
std::string left_out_text(const std::map<std::string, int64_t>& left_out);

// The name without its ending: what a picture, its mask and its sector share.
std::string stem_of(const std::string& file);
bool same_picture(const std::string& a, const std::string& b);

// Of sorted file names the one that belongs to picture `file`: its own name, else its stem's. "" without one.
std::string partner_of(const std::vector<std::string>& names, const std::string& file);

// The path of what belongs to picture `file` in the folder; "" without one.
std::string partner_in(const std::string& directory, const std::string& file);

// A grey picture of any data-set folder: one of 16 bits through the window of the dataset.json beside images/, else
// through all 65536 greys. Throws Error: kMissingInput, kBadInput.
GrayImage read_picture(const std::string& path);

}  // namespace echodiff
