#include "quality/recordings/picture_list.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "kernels/error.h"
#include "quality/recordings/sample_folder.h"
#include "train/data/dataset_index.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> pngs_of(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code))
    if (entry->path().extension() == ".png") paths.push_back(entry->path());
  check_input(!code, Fault::kMissingInput, folder.string(), ": cannot be listed: ", code.message());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// The sector of one picture: its own file, or the folder's only one.
std::string sector_of(const fs::path& folder, const std::vector<fs::path>& sectors, const std::string& name) {
  if (sectors.size() == 1) return sectors[0].string();
  return fs::exists(folder / name) ? (folder / name).string() : "";
}

}  // namespace

std::vector<ListedPicture> list_pictures(const std::string& directory, const std::string& masks) {
  const fs::path root(directory);
  check_input(fs::is_directory(root), Fault::kMissingInput, directory, ": no such folder");
  const bool has_images = fs::is_directory(root / "images");
  const std::vector<fs::path> paths = pngs_of(has_images ? root / "images" : root);
  check_input(!paths.empty(), Fault::kBadInput, directory, ": no PNG pictures in it, nor in images/");
  std::map<std::string, IndexRow> index;
  if (fs::exists(root / "index.csv")) index = read_index((root / "index.csv").string());
  // images/ itself may have been named, too: the samples' list lies beside it.
  const std::map<std::string, std::string> sampled = read_sampled_masks((has_images ? root : root / "..").string());
  const fs::path sector_folder = masks.empty() ? root / "sector" : fs::path(masks) / "sector";
  std::vector<fs::path> sectors;
  if (fs::is_directory(sector_folder)) sectors = pngs_of(sector_folder);
  std::vector<ListedPicture> pictures;
  for (const fs::path& path : paths) {
    const std::string name = path.filename().string();
    ListedPicture picture;
    picture.path = path.string();
    const auto row = index.find(name);
    const auto mask = sampled.find(name);
    if (row != index.end()) picture.group = row->second.group;
    if (mask != sampled.end()) picture.group = mask->second;
    picture.sector_path = sector_of(sector_folder, sectors, mask != sampled.end() ? mask->second : name);
    pictures.push_back(picture);
  }
  return pictures;
}

GrayImage read_sector(const ListedPicture& picture, int64_t width, int64_t height) {
  check_input(!picture.sector_path.empty(), Fault::kMissingInput, picture.path,
              ": has no sector picture; measure the whole image, or name the masks of a model's samples");
  return resize_nearest(read_png(picture.sector_path), width, height);
}

}  // namespace echodiff
