#include "train/folder/planes.h"

#include <algorithm>

#include "kernels/error.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

int64_t number_of(const std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? -1 : found - names.begin();
}

}  // namespace

bool nameless(const std::vector<std::string>& planes) {
  for (size_t p = 0; p + 1 < planes.size(); ++p)
    if (planes[p] != "plane_" + std::to_string(p + 1)) return false;
  return planes.size() > 1;
}

void order_planes(Dataset& data, const std::vector<std::string>& wanted, const std::string& whose,
                  const std::string& directory) {
  const std::vector<std::string> names = data.plane_names;
  if (names == wanted) return;
  if (nameless(wanted) && names.size() == wanted.size()) {
    data.notes.push_back(concat_message("the planes of ", whose, " have no names: taken for them are, in this order, ",
                                        join(names, ", ")));
    return;
  }
  std::vector<int64_t> from;
  bool known =
      std::all_of(names.begin(), names.end(), [&](const std::string& name) { return number_of(wanted, name) >= 0; });
  for (const std::string& name : wanted) {
    from.push_back(number_of(names, name));
    known = known && (from.back() >= 0 || (data.guessed_planes && name.starts_with("class_")));
  }
  check_input(known, Fault::kBadInput, directory, ": its planes are ", join(names, ", "), ", expected those of ", whose,
              ": ", join(wanted, ", "), "; name them so in dataset.json, or give planes of these names");
  data.plane_names = wanted;
  for (Example& example : data.examples) {
    std::vector<GrayImage> ordered;
    for (const int64_t plane : from) {
      ordered.push_back(plane >= 0 ? example.planes[size_t(plane)] : example.planes.back());
      if (plane < 0) std::fill(ordered.back().pixels.begin(), ordered.back().pixels.end(), uint8_t(0));
    }
    example.planes = std::move(ordered);
  }
}

}  // namespace echodiff
