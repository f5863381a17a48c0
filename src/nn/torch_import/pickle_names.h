// A pickle's nested containers as flat lists of named tensors and other values.
#pragma once

#include <string>
#include <vector>

#include "nn/torch_import/pickle.h"
#include "nn/torch_import/weights_file.h"

namespace echodiff {

struct FlatPickle {
  struct Entry {
    std::string name;
    uint32_t tensor;  // Pickle::tensors
  };
  std::vector<Entry> tensors;  // in the pickle's order; names are unique
  std::vector<SourceLeaf> leaves;
};

// Keys and positions are joined by '.'; a bare tensor is called "tensor". A list of more than a thousand plain values
// becomes one leaf. Throws Error(kBadInput), starting with `where`, for containers that hold themselves or nest deeper
// than 256, two tensors of one name, names that are not UTF-8, lists that grow beyond what the pickle's size allows by
// sharing, and a root without any tensor.
FlatPickle flatten_pickle(const Pickle& pickle, PickleBytes& bytes, const std::string& where);

}  // namespace echodiff
