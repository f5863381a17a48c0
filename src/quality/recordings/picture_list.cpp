#include "quality/recordings/picture_list.h"

#include <filesystem>
#include <map>

#include "kernels/error.h"
#include "quality/recordings/sample_folder.h"
#include "tensor/io/file.h"
#include "tensor/io/pictures/picture_file.h"
#include "tensor/io/toml.h"
#include "train/data/dataset_index.h"
#include "train/data/image.h"
#include "train/folder/listing.h"
#include "train/run_dir.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

// The sector of one picture: its own file, or the folder's only one.
std::string sector_of(const fs::path& folder, const std::vector<std::string>& sectors, const std::string& name) {
  const std::string file = sectors.size() == 1 ? sectors[0] : partner_of(sectors, name);
  return file.empty() ? "" : (folder / file).string();
}

}  // namespace

SamplesOrigin origin_of_samples(const std::string& directory) {
  SamplesOrigin origin;
  const std::string path = (fs::path(directory) / "config.toml").string();
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return origin;
  const std::map<std::string, std::string> values = read_flat_toml(path);
  if (const auto model = values.find("model"); model != values.end()) origin.model = model->second;
  if (const auto fit = values.find("resolved.fit"); fit != values.end()) origin.fit = parse_fit(fit->second);
  return origin;
}

std::vector<ListedPicture> list_pictures(const std::string& directory, const std::string& masks) {
  const fs::path root(directory);
  check_input(fs::is_directory(root), Fault::kMissingInput, directory, ": no such folder");
  const bool has_images = fs::is_directory(root / "images");
  const fs::path folder = has_images ? root / "images" : root;
  const std::vector<std::string> names = list_folder(folder.string()).pictures;
  check_input(!names.empty(), Fault::kBadInput, directory, ": no PNG, JPEG or TIFF pictures in it, nor in images/");
  FolderIndex index;
  if (fs::exists(root / "index.csv")) index = read_index((root / "index.csv").string());
  // images/ itself may have been named, too: the samples' list lies beside it.
  const std::string samples = (has_images ? root : root / "..").string();
  const std::map<std::string, std::string> sampled = read_sampled_masks(samples);
  const Fit fit = sampled.empty() ? Fit::squash : origin_of_samples(samples).fit;
  const fs::path sector_folder = masks.empty() ? root / "sector" : fs::path(masks) / "sector";
  std::vector<std::string> sectors;
  if (fs::is_directory(sector_folder)) sectors = list_folder(sector_folder.string()).pictures;
  const fs::path mask_folder = fs::path(masks) / "masks";
  std::vector<std::string> mask_names;
  if (!masks.empty() && fs::is_directory(mask_folder)) mask_names = list_folder(mask_folder.string()).pictures;
  std::vector<ListedPicture> pictures;
  for (const std::string& name : names) {
    ListedPicture picture;
    picture.path = (folder / name).string();
    const IndexRow* row = index.find(name);
    const auto mask = sampled.find(name);
    if (row != nullptr) picture.group = row->group;
    if (mask != sampled.end()) picture.group = mask->second;
    picture.sampled = mask != sampled.end() && !masks.empty();
    picture.fit = fit;
    picture.sector_path = sector_of(sector_folder, sectors, mask != sampled.end() ? mask->second : name);
    if (picture.sampled) picture.mask_path = partner_of(mask_names, mask->second);
    if (!picture.mask_path.empty()) picture.mask_path = (mask_folder / picture.mask_path).string();
    pictures.push_back(picture);
  }
  return pictures;
}

GrayImage read_sector(const ListedPicture& picture, int64_t width, int64_t height, int64_t size, Fit fit) {
  check_input(!picture.sector_path.empty(), Fault::kMissingInput, picture.path,
              ": has no sector picture; measure the whole image, or name the masks of a model's samples");
  const GrayImage sector = read_picture(picture.sector_path);
  if (!picture.sampled)
    return size > 0 ? fit_sector(sector, width, height, size, fit) : resize_nearest(sector, width, height);
  int64_t mask_width = sector.width, mask_height = sector.height;
  if (picture.fit != Fit::squash && !picture.mask_path.empty()) {  // one sector may serve masks of any shape
    const DecodedPicture mask = decode_picture(read_file(picture.mask_path), picture.mask_path);
    mask_width = mask.width, mask_height = mask.height;
  }
  return fit_sector(sector, mask_width, mask_height, size > 0 ? size : width, picture.fit);
}

}  // namespace echodiff
