#include "train/content_hash.h"

#include "train/checkpoint.h"
#include "train/data/dataset.h"

namespace echodiff {

void ContentHash::add(std::string_view bytes) { hashes_ += bytes_hash(bytes); }

void ContentHash::add(const GrayImage& image) {
  add(image.width);
  add({reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()});
}

void ContentHash::add(int64_t number) { hashes_ += std::to_string(number) + ","; }

void ContentHash::add(const Tensor& tensor) {
  add({reinterpret_cast<const char*>(tensor.data<float>()), size_t(tensor.count()) * sizeof(float)});
}

std::string ContentHash::text() const { return bytes_hash(hashes_); }

std::string content_hash(const Dataset& data) {
  ContentHash hash;
  for (const std::string& name : data.plane_names) hash.add(name);
  for (const Example& example : data.examples) {
    hash.add(example.file);
    hash.add(example.split);
    hash.add(example.image);
    for (const GrayImage& plane : example.planes) hash.add(plane);
  }
  return hash.text();
}

}  // namespace echodiff
