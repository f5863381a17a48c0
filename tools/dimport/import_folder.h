// The data-set folder that an import writes: pictures under numbers, sectors, masks, index.csv, dataset.json and a page
// to look at them. Nothing of what names a patient or a file enters it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dimport/clip.h"
#include "dimport/fan.h"
#include "train/data/dataset.h"

namespace echodiff {

struct ImportCounts {
  int64_t clips = 0, frames = 0, pictures = 0, written = 0;  // written: that seem to hold letters
};

class ImportFolder {
 public:
  // `least_change`: frames of a clip that differ less from the one kept before are left out, in mean grey levels of
  // 32 x 32 means. Throws Error(kCannotCreate) where DATA holds pictures already.
  ImportFolder(const std::string& path, double least_change);

  // `group` is written as it is. `masks`: of the same frames, or a single one. Throws Error(kBadInput) where no sector
  // fits, or a mask has another size; then nothing of the clip is written.
  void add(const Clip& clip, const std::string& group, const std::optional<Clip>& masks, bool whole_picture);
  // index.csv, dataset.json with these planes (none: class_V for each value seen), review.html.
  void finish(std::vector<Plane> planes);

  const ImportCounts& counts() const { return counts_; }

 private:
  void write_description(const std::vector<Plane>& planes, bool reviewed) const;
  void write(const std::string& part, const std::string& name, const GrayImage& picture) const;

  std::string path_;
  double least_change_;
  ImportCounts counts_;
  std::string index_;
  std::vector<std::string> looked_at_first_, others_;  // pictures, for the page
  std::array<bool, 256> values_{};                     // of masks
  bool has_masks_ = false, all_said_clean_ = true;
};

// The pictures of DATA have been looked at: dataset.json says so from now on.
void mark_reviewed(const std::string& path);

}  // namespace echodiff
