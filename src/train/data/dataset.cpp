#include "train/data/dataset.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tensor/io/pictures/picture_file.h"
#include "tensor/io/text.h"
#include "train/data/dataset_index.h"
#include "train/folder/listing.h"
#include "train/folder/mask_values.h"
#include "train/folder/split.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMinSize = 16, kMaxSize = 1024;

// Without the exceptions of std::filesystem: what may not be looked at counts as not there.
bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}
bool is_there(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// How the folder is laid out, found out before any picture is read.
struct Layout {
  std::string first;                         // the folder that the names are of: images, or masks
  std::vector<Example> examples;             // their names alone
  std::vector<std::string> masks, sectors;   // paths, one an example; empty where there are none
  std::optional<std::vector<Plane>> planes;  // absent: every mask value found becomes one
  std::optional<std::string> shared_sector;  // the path of the one file that serves all pictures
  Window window;
  std::map<std::string, int64_t> left_out;
  bool reviewed = true;
};

// The file of each example in another folder. Throws kMissingInput where one has none.
std::vector<std::string> partners(const std::string& directory, const FolderListing& listing, const Layout& layout,
                                  const std::string& because) {
  std::vector<std::string> paths;
  for (const Example& example : layout.examples) {
    const std::string partner = partner_of(listing.pictures, example.file);
    check_input(!partner.empty(), Fault::kMissingInput, (fs::path(directory) / example.file).string(),
                ": no such file, expected one for every file of ", because);
    paths.push_back((fs::path(directory) / partner).string());
  }
  return paths;
}

void find_sectors(const std::string& directory, Layout& layout) {
  const FolderListing listing = list_folder(directory);
  if (listing.pictures.size() == 1) {
    layout.shared_sector = (fs::path(directory) / listing.pictures[0]).string();
  } else {
    layout.sectors = partners(directory, listing, layout, layout.first + " (or a single one for all)");
  }
}

Layout examine(const DatasetOptions& options) {
  const fs::path root = options.directory;
  const std::string images = (root / "images").string(), masks = (root / "masks").string();
  check_input(is_folder(root), Fault::kMissingInput, options.directory, ": no such folder, expected a data-set folder");
  Layout layout;
  const bool by_masks = !options.need_images && (options.need_masks || is_folder(masks));
  layout.first = by_masks ? masks : images;
  const FolderListing listing = list_folder(layout.first);
  layout.left_out = listing.left_out;
  for (const std::string& name : listing.pictures) layout.examples.push_back({name, "", "", {}, {}});
  if (options.need_masks) {
    const FolderListing present = list_folder(masks);
    layout.masks = partners(masks, present, layout, layout.first);
    const int64_t alone = int64_t(present.pictures.size() - layout.masks.size());
    if (alone > 0) layout.left_out["masks without a picture"] = alone;
  }

  DatasetDescription description;
  const std::string json = (root / "dataset.json").string();
  const bool described = is_there(json);
  if (described) description = read_description(json);
  layout.window = description.window.value_or(Window());
  layout.reviewed = description.reviewed;
  if (!options.planes.empty()) {
    layout.planes = parse_planes(options.planes);
  } else if (described) {
    layout.planes = description.planes;
  }
  const std::string sector = (root / "sector").string();
  if (description.sector.value_or(is_folder(sector))) find_sectors(sector, layout);
  const std::string others = left_out_text(layout.left_out);
  check_input(!layout.examples.empty(), Fault::kBadInput, layout.first, ": holds no PNG, JPEG or TIFF pictures",
              others.empty() ? "" : " (but " + others + ")");
  return layout;
}

DecodedPicture read_mask(const std::string& path) {
  const std::string bytes = read_file(path);
  check_input(kind_of_picture(bytes) != PictureKind::kJpeg, Fault::kBadInput, path,
              ": a mask in JPEG, whose compression changes class indices; save it as PNG");
  return decode_picture(bytes, path);
}

GrayImage read_sector(const std::string& path) {
  GrayImage plane = as_grey(decode_picture(read_file(path), path), {}, path);
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

void check_same_size(int64_t width, int64_t height, const std::string& path, const GrayImage& other,
                     const std::string& other_path) {
  check_input(width == other.width && height == other.height, Fault::kBadInput, other_path, ": ", other.width, "x",
              other.height, " pixels, expected ", width, "x", height, " as ", path);
}

void apply_index(const DatasetOptions& options, Layout& layout, std::vector<std::string>& notes) {
  const std::string path = (fs::path(options.directory) / "index.csv").string();
  FolderIndex index;
  const bool indexed = is_there(path);
  if (indexed) index = read_index(path);
  std::set<int64_t> used;
  for (Example& example : layout.examples) {
    example.group = example.file;
    if (!indexed) continue;
    const IndexRow* row = index.find(example.file);
    check_input(row != nullptr, Fault::kBadInput, path, ": no line for picture ", example.file);
    used.insert(row->line);
    example.split = row->split;
    if (!row->group.empty()) example.group = row->group;
  }
  if (!index.group_column.empty() && index.group_column != "group")
    notes.push_back(concat_message(path, ": pictures are grouped by its column ", index.group_column));
  const int64_t alone = int64_t(index.rows.size() - used.size());
  if (alone > 0) layout.left_out["lines of index.csv without a picture"] = alone;
  if (!index.unused.empty())
    layout.left_out["columns of index.csv (" + join(index.unused, ", ") + ")"] = int64_t(index.unused.size());
  resolve_splits(layout.examples, indexed ? path : options.directory);
}

void widen(WidePictures& wide, const DecodedPicture& decoded) {
  if (decoded.bits != 16) return;
  const auto [low, high] = std::minmax_element(decoded.values.begin(), decoded.values.end());
  ++wide.count;
  wide.low = std::min<int64_t>(wide.low, *low);
  wide.high = std::max<int64_t>(wide.high, *high);
}

// Pictures that fill little of their window would all be dark, or all light.
void warn_of_window(const WidePictures& wide, const std::string& directory, std::vector<std::string>& notes) {
  if (wide.count == 0 || 8 * (wide.high - wide.low) >= wide.window.high - wide.window.low) return;
  notes.push_back(concat_message("warning: ", directory, ": the greys of its 16-bit pictures, ", wide.low, " to ",
                                 wide.high, ", fill little of the window ", wide.window.low, " to ", wide.window.high,
                                 "; state one in dataset.json: \"window\": [", wide.low, ", ", wide.high, "]"));
}

// Reads the files of one example after the other.
class Reader {
 public:
  Reader(const DatasetOptions& options, const Layout& layout)
      : options_(options), layout_(layout), values_(options.image_size, options.fit) {
    if (layout.shared_sector) shared_sector_ = read_sector(*layout.shared_sector);
  }

  void read(size_t number, Example& example) {
    const int64_t size = options_.image_size;
    const std::string path = (fs::path(layout_.first) / example.file).string();
    int64_t width = 0, height = 0;
    if (options_.need_images || !options_.need_masks) {
      const DecodedPicture decoded = decode_picture(read_file(path), path);
      width = decoded.width, height = decoded.height;
      if (options_.need_images) {
        widen(wide_, decoded);
        example.image = fit_area(as_grey(decoded, layout_.window, path), size, options_.fit);
      }
    }
    if (options_.need_masks) {
      const std::string& mask_path = layout_.masks[number];
      const DecodedPicture decoded = read_mask(mask_path);
      const GrayImage mask = as_classes(decoded, mask_path);
      if (options_.need_images) check_same_size(width, height, path, mask, mask_path);
      width = mask.width, height = mask.height;
      masks_.push_back(fit_nearest(mask, size, options_.fit));
      values_.take(decoded, mask, masks_.back(), mask_path, layout_.planes);
    }
    not_square_ += width != height ? 1 : 0;
    sectors_.push_back(sector_of(number, width, height, path));
  }

  // Of everything read. Throws where the planes have to be guessed and can't be.
  Dataset finish(std::vector<Example> examples) {
    Dataset data{{}, std::move(examples), options_.image_size, options_.fit, not_square_};
    std::vector<Plane> planes;
    if (options_.need_masks) planes = layout_.planes ? *layout_.planes : guess(data);
    for (const Plane& plane : planes) data.plane_names.push_back(plane.name);
    data.plane_names.push_back("sector");
    for (size_t i = 0; i < data.examples.size(); ++i) {
      for (const Plane& plane : planes) data.examples[i].planes.push_back(plane_of(masks_[i], plane.value));
      data.examples[i].planes.push_back(std::move(sectors_[i]));
    }
    for (const std::string& line : values_.warnings(planes)) data.notes.push_back(line);
    data.wide = wide_;
    data.wide.window = layout_.window;
    warn_of_window(data.wide, options_.directory, data.notes);
    return data;
  }

 private:
  GrayImage sector_of(size_t number, int64_t width, int64_t height, const std::string& path) const {
    const int64_t size = options_.image_size;
    if (layout_.shared_sector) return fit_sector(shared_sector_, width, height, size, options_.fit);
    if (layout_.sectors.empty()) return shown_part(width, height, size, options_.fit);
    const GrayImage sector = read_sector(layout_.sectors[number]);
    check_same_size(width, height, path, sector, layout_.sectors[number]);
    return fit_nearest(sector, size, options_.fit);
  }

  std::vector<Plane> guess(Dataset& data) const {
    const std::vector<Plane> planes = values_.guessed_planes(options_.directory);
    std::string text;
    for (const Plane& plane : planes) text += (text.empty() ? "" : ", ") + plane.name;
    data.guessed_planes = true;
    data.notes.push_back(concat_message(options_.directory, ": neither dataset.json nor planes are given: the masks' ",
                                        "values become planes: ", text.empty() ? "none" : text));
    return planes;
  }

  const DatasetOptions& options_;
  const Layout& layout_;
  MaskValues values_;
  GrayImage shared_sector_;                 // at its own size
  std::vector<GrayImage> masks_, sectors_;  // fitted
  WidePictures wide_;
  int64_t not_square_ = 0;
};

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

// A folder without masks whose dataset.json names no planes: the sector is the only one.
bool needs_no_masks(const DatasetOptions& options) {
  const fs::path root = options.directory;
  const std::string json = (root / "dataset.json").string();
  return options.planes.empty() && is_there(json) && !is_folder(root / "masks") &&
         read_description(json).planes.empty();
}

Dataset load_dataset(const DatasetOptions& asked) {
  DatasetOptions options = asked;
  const int64_t size = options.image_size;
  check_input(size >= kMinSize && size <= kMaxSize, Fault::kUsage, "image size ", size, ", expected ", kMinSize, " to ",
              kMaxSize, " pixels");
  if (!options.planes.empty()) parse_planes(options.planes);  // a usage error comes before any about the input
  options.need_masks = options.need_masks && !needs_no_masks(options);
  Layout layout = examine(options);
  std::vector<std::string> notes;
  if (!layout.reviewed)
    notes.push_back(concat_message("warning: ", options.directory,
                                   " is unreviewed: nobody has looked for names in its ", "pictures; open ",
                                   options.directory, "/review.html, then: dimport reviewed ", options.directory));
  apply_index(options, layout, notes);
  Reader reader(options, layout);
  std::vector<Example> examples = layout.examples;
  for (size_t i = 0; i < examples.size(); ++i) reader.read(i, examples[i]);
  Dataset data = reader.finish(std::move(examples));
  data.notes.insert(data.notes.begin(), notes.begin(), notes.end());
  data.left_out = layout.left_out;
  data.reviewed = layout.reviewed;
  return data;
}

}  // namespace echodiff
