#include "train/data/dataset.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "kernels/error.h"
#include "tensor/io/text.h"
#include "train/data/dataset_index.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMinSize = 16, kMaxSize = 1024;
constexpr int64_t kMostGuessedClasses = 32;  // a mask with more values is a picture, not class indices

// Without the exceptions of std::filesystem: what may not be looked at counts as not there.
bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}
bool is_there(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// The names of the PNG files in a folder, sorted. Throws kMissingInput without the folder.
std::vector<std::string> list_pngs(const std::string& directory) {
  check_input(is_folder(directory), Fault::kMissingInput, directory, ": no such folder");
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    std::string extension = entry->path().extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    const std::string name = entry->path().filename().string();
    if (extension == ".png" && name[0] != '.') names.push_back(name);
  }
  check_input(!error, Fault::kMissingInput, directory, ": cannot be listed: ", error.message());
  std::sort(names.begin(), names.end());
  return names;
}

// How the folder is laid out, found out before any picture is read.
struct Layout {
  std::vector<std::string> names;
  std::optional<std::vector<Plane>> planes;  // absent: every mask value found becomes one
  bool has_sector = false;
  std::optional<std::string> shared_sector;  // the path of the one file that serves all pictures
};

void check_present(const std::string& directory, const std::vector<std::string>& names, const std::string& because) {
  const std::vector<std::string> present = list_pngs(directory);
  for (const std::string& name : names) {
    check_input(std::binary_search(present.begin(), present.end(), name), Fault::kMissingInput,
                (fs::path(directory) / name).string(), ": no such file, expected one for every file of ", because);
  }
}

Layout examine(const DatasetOptions& options) {
  const fs::path root = options.directory;
  const std::string images = (root / "images").string(), masks = (root / "masks").string();
  check_input(is_folder(root), Fault::kMissingInput, options.directory, ": no such folder, expected a data-set folder");
  const std::string first = options.need_images ? images : masks;
  check_input(options.need_images || options.need_masks, Fault::kInternal, "load_dataset: neither images nor masks");
  Layout layout;
  layout.names = list_pngs(first);
  if (options.need_images && options.need_masks) check_present(masks, layout.names, images);

  DatasetDescription description;
  const std::string json = (root / "dataset.json").string();
  const bool described = is_there(json);
  if (described) description = read_description(json);
  if (!options.planes.empty()) {
    layout.planes = parse_planes(options.planes);
  } else if (described) {
    layout.planes = description.planes;
  }

  const std::string sector = (root / "sector").string();
  layout.has_sector = description.sector.value_or(is_folder(sector));
  if (layout.has_sector) {
    const std::vector<std::string> present = list_pngs(sector);
    if (present.size() == 1) {
      layout.shared_sector = (root / "sector" / present[0]).string();
    } else {
      check_present(sector, layout.names, first + " (or a single one for all)");
    }
  }
  check_input(!layout.names.empty(), Fault::kBadInput, first, ": holds no PNG pictures");
  return layout;
}

using Values = std::array<bool, 256>;

// Marks the values of a mask as seen, and refuses one that no plane has.
void take_values(const GrayImage& mask, const std::optional<std::vector<Plane>>& planes, const std::string& path,
                 Values& seen) {
  Values here = {};
  for (const uint8_t value : mask.pixels) here[value] = true;
  for (int value = 1; value < 256; ++value) {
    if (!here[size_t(value)]) continue;
    seen[size_t(value)] = true;
    if (!planes) continue;
    std::string known = "0";
    bool found = false;
    for (const Plane& plane : *planes) {
      found = found || plane.value == value;
      known += ", " + std::to_string(plane.value) + " (" + plane.name + ")";
    }
    check_input(found, Fault::kBadInput, path, ": unknown mask value ", value, ", known are ", known,
                "; name it in dataset.json or among the planes given");
  }
}

GrayImage sector_plane(const GrayImage& sector, const std::string& path) {
  GrayImage plane = sector;
  for (uint8_t& value : plane.pixels) {
    check_input(value == 0 || value == 1 || value == 255, Fault::kBadInput, path, ": sector value ", int(value),
                ", expected 0 (outside) or 255 (inside)");
    value = value != 0;
  }
  return plane;
}

GrayImage plane_of(const GrayImage& mask, int value) {
  GrayImage plane = mask;
  for (uint8_t& pixel : plane.pixels) pixel = pixel == value;
  return plane;
}

void check_same_size(const GrayImage& a, const std::string& path_a, const GrayImage& b, const std::string& path_b) {
  check_input(a.width == b.width && a.height == b.height, Fault::kBadInput, path_b, ": ", b.width, "x", b.height,
              " pixels, expected ", a.width, "x", a.height, " as ", path_a);
}

std::vector<Plane> guessed_planes(const Values& seen, const std::string& directory) {
  std::vector<Plane> planes;
  std::string text;
  for (int value = 1; value < 256; ++value) {
    if (!seen[size_t(value)]) continue;
    planes.push_back({"class_" + std::to_string(value), value});
    text += (text.empty() ? "" : ", ") + planes.back().name;
  }
  check_input(int64_t(planes.size()) <= kMostGuessedClasses, Fault::kBadInput, (fs::path(directory) / "masks").string(),
              ": ", planes.size(), " different values, expected class indices (at most ", kMostGuessedClasses,
              " without dataset.json)");
  std::fprintf(stderr, "%s: neither dataset.json nor planes are given: the masks' values become planes: %s\n",
               directory.c_str(), text.empty() ? "none" : text.c_str());
  return planes;
}

void apply_index(const DatasetOptions& options, std::vector<Example>& examples) {
  const std::string path = (fs::path(options.directory) / "index.csv").string();
  std::map<std::string, IndexRow> rows;
  const bool indexed = is_there(path);
  if (indexed) rows = read_index(path);
  for (Example& example : examples) {
    example.group = example.file;
    if (!indexed) continue;
    const std::map<std::string, IndexRow>::const_iterator row = rows.find(example.file);
    check_input(row != rows.end(), Fault::kBadInput, path, ": no line for picture ", example.file);
    example.split = row->second.split;
    if (!row->second.group.empty()) example.group = row->second.group;
  }
  resolve_splits(examples, options.seed, indexed ? path : options.directory);
}

}  // namespace

std::vector<Plane> parse_planes(const std::string& text) {
  const std::string where = "planes " + text;
  std::vector<Plane> planes;
  for (const std::string& item : split(text)) {
    const size_t equals = std::min(item.find('='), item.size() - 1);
    const std::optional<int> value = parse_number<int>(item.substr(equals + 1));
    check_input(value.has_value(), Fault::kUsage, where, ": expected NAME=VALUE,NAME=VALUE such as nerve=1,vessel=2");
    planes.push_back({item.substr(0, equals), *value});
  }
  check_planes(planes, Fault::kUsage, where);
  return planes;
}

Dataset load_dataset(const DatasetOptions& options) {
  const int64_t size = options.image_size;
  check_input(size >= kMinSize && size <= kMaxSize, Fault::kUsage, "image size ", size, ", expected ", kMinSize, " to ",
              kMaxSize, " pixels");
  if (!options.planes.empty()) parse_planes(options.planes);  // a usage error comes before any about the input
  const Layout layout = examine(options);
  std::vector<Example> examples;
  for (const std::string& name : layout.names) examples.push_back({name, "", "", {}, {}});
  apply_index(options, examples);

  GrayImage shared_sector;
  if (layout.shared_sector) {  // one for pictures of any size, so its own size is free
    shared_sector = resize_nearest(sector_plane(read_png(*layout.shared_sector), *layout.shared_sector), size, size);
  }
  const fs::path root = options.directory;
  std::vector<GrayImage> masks, sectors;  // resized
  Values seen = {};
  for (Example& example : examples) {
    const std::string image_path = (root / "images" / example.file).string();
    const std::string mask_path = (root / "masks" / example.file).string();
    GrayImage image, mask;
    if (options.need_images) image = read_png(image_path);
    if (options.need_masks) {
      mask = read_png(mask_path);
      if (options.need_images) check_same_size(image, image_path, mask, mask_path);
      take_values(mask, layout.planes, mask_path, seen);
      masks.push_back(resize_nearest(mask, size, size));
    }
    if (options.need_images) example.image = resize_area(image, size, size);
    if (!layout.has_sector) {
      sectors.push_back({size, size, std::vector<uint8_t>(size_t(size * size), 1)});
      continue;
    }
    if (layout.shared_sector) {
      sectors.push_back(shared_sector);
      continue;
    }
    const std::string sector_path = (root / "sector" / example.file).string();
    const GrayImage sector = sector_plane(read_png(sector_path), sector_path);
    check_same_size(options.need_images ? image : mask, options.need_images ? image_path : mask_path, sector,
                    sector_path);
    sectors.push_back(resize_nearest(sector, size, size));
  }

  std::vector<Plane> planes;
  if (options.need_masks) planes = layout.planes ? *layout.planes : guessed_planes(seen, options.directory);
  Dataset dataset{{}, std::move(examples), size};
  for (const Plane& plane : planes) dataset.plane_names.push_back(plane.name);
  dataset.plane_names.push_back("sector");
  for (size_t i = 0; i < dataset.examples.size(); ++i) {
    for (const Plane& plane : planes) dataset.examples[i].planes.push_back(plane_of(masks[i], plane.value));
    dataset.examples[i].planes.push_back(std::move(sectors[i]));
  }
  return dataset;
}

}  // namespace echodiff
