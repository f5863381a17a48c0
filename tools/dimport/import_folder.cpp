#include "dimport/import_folder.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "dimport/letters.h"
#include "dimport/review_page.h"
#include "kernels/error.h"
#include "quality/recordings/sample_progress.h"
#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "tensor/io/text.h"
#include "train/checkpoint.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostPictures = 1'000'000;

GrayImage within(GrayImage picture, const GrayImage& mask) {
  for (size_t i = 0; i < picture.pixels.size(); ++i)
    if (mask.pixels[i] == 0) picture.pixels[i] = 0;
  return picture;
}

GrayImage small(const GrayImage& picture) { return resize_area(picture, 32, 32); }

double change(const GrayImage& a, const GrayImage& b) {
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(int(a.pixels[i]) - int(b.pixels[i]));
  return sum / double(a.pixels.size());
}

void check_masks(const Clip& clip, const std::optional<Clip>& masks) {
  if (!masks) return;
  const GrayImage &mask = masks->frames[0], &frame = clip.frames[0];
  check_input(masks->frames.size() == 1 || masks->frames.size() == clip.frames.size(), Fault::kBadInput, "has ",
              clip.frames.size(), " frames, and its mask ", masks->frames.size());
  check_input(mask.width == frame.width && mask.height == frame.height, Fault::kBadInput, "has ", frame.width, "x",
              frame.height, " pixels, and its mask ", mask.width, "x", mask.height);
}

// Letters that touch the sector would be taken for a part of it, so it is looked for without them too. Where a bright
// layer of tissue was taken for letters, it fits no better without.
Sector sector_of(const Clip& clip, const Extremes& greys, bool whole_picture) {
  constexpr double kBetter = 0.01;
  const double width = double(clip.frames[0].width), height = double(clip.frames[0].height);
  if (whole_picture) return {false, {0, height, 0, 0, width, width}, 0};
  const std::vector<TextLine> lines = lines_of_text(greys, clip.lossy);
  const bool look_without = !lines.empty() || !greys.moving;  // in a clip letters are told by standing still
  std::optional<Sector> without;
  try {
    if (look_without) without = fit_sector_shape(tissue_of(without_letters(greys, lines, clip.lossy), clip.lossy));
    const Sector with = fit_sector_shape(tissue_of(greys, clip.lossy));
    return without && without->misfit < with.misfit - kBetter ? *without : with;
  } catch (const Error&) {
    if (!without) throw;
    return *without;
  }
}

}  // namespace

ImportFolder::ImportFolder(const std::string& path, double least_change) : path_(path), least_change_(least_change) {
  check_input(!fs::exists(fs::path(path) / "images"), Fault::kCannotCreate, path,
              ": holds pictures already; choose another --out");
  for (const char* part : {"images", "sector"}) make_directories((fs::path(path) / part).string());
  write_description({}, false);  // an import that is broken off is unreviewed
  index_ = "file,group,clip,frame,spacing_x_mm,spacing_y_mm,letters\n";
}

void ImportFolder::write(const std::string& part, const std::string& name, const GrayImage& picture) const {
  write_png((fs::path(path_) / part / name).string(), picture);
}

void ImportFolder::add(const Clip& clip, const std::string& group, const std::optional<Clip>& masks,
                       bool whole_picture) {
  check_masks(clip, masks);
  check_input(clip.frames[0].width >= 16 && clip.frames[0].height >= 16, Fault::kBadInput, "has ", clip.frames[0].width,
              "x", clip.frames[0].height, " pixels, expected 16 a side at least");
  const Extremes greys = extremes_of(clip.frames);
  const Sector sector = sector_of(clip, greys, whole_picture);
  const GrayImage mask = mask_of(sector, clip.frames[0].width, clip.frames[0].height);
  const bool letters = !lines_of_text(greys, clip.lossy, &mask).empty();
  if (masks && !has_masks_) make_directories((fs::path(path_) / "masks").string());
  has_masks_ = has_masks_ || masks;
  GrayImage kept;
  for (size_t i = 0; i < clip.frames.size(); ++i) {
    const GrayImage picture = within(clip.frames[i], mask), now = small(picture);
    if (i > 0 && change(now, kept) < least_change_) continue;
    kept = now;
    check_input(counts_.pictures < kMostPictures, Fault::kBadInput, "is beyond a million pictures");
    const std::string name = picture_name(counts_.pictures++);
    write("images", name, picture);
    write("sector", name, mask);
    if (masks) {
      const GrayImage& classes = masks->frames[masks->frames.size() == 1 ? 0 : i];
      for (const uint8_t value : classes.pixels) values_[value] = true;
      write("masks", name, classes);
    }
    index_ += concat_message(name, ",", group, ",", counts_.clips, ",", i, ",", number_text(clip.spacing[0]), ",",
                             number_text(clip.spacing[1]), ",", letters ? "yes" : "no", "\n");
    (letters ? looked_at_first_ : others_).push_back(name);
    counts_.written += letters ? 1 : 0;
  }
  all_said_clean_ = all_said_clean_ && clip.said_clean && !letters;
  counts_.frames += int64_t(clip.frames.size());
  ++counts_.clips;
}

void ImportFolder::finish(std::vector<Plane> planes) {
  if (planes.empty() && has_masks_)
    for (int value = 1; value < 256; ++value)
      if (values_[size_t(value)]) planes.push_back({"class_" + std::to_string(value), value});
  write_file_atomic((fs::path(path_) / "review.html").string(),
                    import_review_page(bytes_hash(index_), looked_at_first_, others_));
  write_file_atomic((fs::path(path_) / "index.csv").string(), index_);
  write_description(planes, all_said_clean_);
}

void ImportFolder::write_description(const std::vector<Plane>& planes, bool reviewed) const {
  nlohmann::ordered_json json{{"planes", nlohmann::json::array()}, {"sector", true}, {"reviewed", reviewed}};
  for (const Plane& plane : planes) json["planes"].push_back({{"name", plane.name}, {"value", plane.value}});
  write_file_atomic((fs::path(path_) / "dataset.json").string(), json.dump(2) + "\n");
}

void mark_reviewed(const std::string& path) {
  const std::string file = (fs::path(path) / "dataset.json").string();
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(read_file(file), nullptr, false);
  check_input(json.is_object() && json.contains("reviewed"), Fault::kBadInput, file,
              ": expected the dataset.json of an import, with \"reviewed\"");
  json["reviewed"] = true;
  write_file_atomic(file, json.dump(2) + "\n");
}

}  // namespace echodiff
