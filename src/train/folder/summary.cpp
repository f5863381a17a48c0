#include <algorithm>
#include <cmath>
#include <set>

#include "kernels/error.h"
#include "tensor/io/text.h"
#include "train/data/dataset.h"
#include "train/folder/listing.h"

namespace echodiff {
namespace {

int64_t pictures_in(const Dataset& data, const std::string& split) {
  return std::count_if(data.examples.begin(), data.examples.end(), [&](const Example& e) { return e.split == split; });
}

// "liver in 100 %, sector in 100 %": of the pictures, as the network sees them.
std::string shares_of(const Dataset& data) {
  std::string text;
  for (size_t p = 0; p < data.plane_names.size(); ++p) {
    const int64_t shown = std::count_if(data.examples.begin(), data.examples.end(), [&](const Example& example) {
      const std::vector<uint8_t>& plane = example.planes[p].pixels;
      return std::any_of(plane.begin(), plane.end(), [](uint8_t pixel) { return pixel != 0; });
    });
    text += concat_message(text.empty() ? "" : ", ", data.plane_names[p], " in ",
                           std::lround(100 * double(shown) / double(data.examples.size())), " %");
  }
  return text;
}

}  // namespace

std::string summary_of(const Dataset& data, const std::string& directory) {
  std::set<std::string> groups;
  for (const Example& example : data.examples) groups.insert(example.group);
  const auto counted = [](size_t count, const char* what) {
    return concat_message(count, " ", what, count == 1 ? "" : "s");
  };
  std::string text = concat_message(directory, ": ", counted(data.examples.size(), "picture"), " in ",
                                    counted(groups.size(), "group"));
  for (const char* split : {"train", "val", "test"})
    text += concat_message(split == std::string("train") ? ": " : ", ", pictures_in(data, split), " ", split);
  text += "; planes: " + shares_of(data);
  if (const WidePictures& wide = data.wide; wide.count > 0) {
    text += concat_message("; ", wide.count, " of 16 bits, greys ", wide.low, " to ", wide.high, ", seen through ",
                           wide.window.low, " (black) to ", wide.window.high, " (white)");
  }
  if (data.not_square > 0)
    text += concat_message("; ", data.not_square, " aren't square, made so by ", name_of(data.fit));
  return text + "; left out: " + (data.left_out.empty() ? "nothing" : left_out_text(data.left_out));
}

void require_fit(const Dataset& data, Fit fit, const std::string& whose, const std::string& directory) {
  check_input(data.not_square == 0 || data.fit == fit, Fault::kBadInput, directory, ": ", data.not_square,
              " of its pictures aren't square and were made so by ", name_of(data.fit), ", those of ", whose, " by ",
              name_of(fit), "; take the same fit for both");
}

}  // namespace echodiff
