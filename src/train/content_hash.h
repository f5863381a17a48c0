// What training looks at, as one number: a run goes on with the same data or says that it is another.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tensor/io/png.h"
#include "tensor/tensor.h"

namespace echodiff {

struct Dataset;

// Of parts in their order; the XXH3-64 of theirs.
class ContentHash {
 public:
  void add(std::string_view bytes);
  void add(const GrayImage& image);
  void add(int64_t number);
  void add(const Tensor& tensor);  // f32, on the CPU
  std::string text() const;        // hexadecimal

 private:
  std::string hashes_;
};

// Of the pictures, their masks and the split they are in, as they were loaded: whatever the folder is called.
std::string content_hash(const Dataset& data);

}  // namespace echodiff
