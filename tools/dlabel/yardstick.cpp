#include "dlabel/yardstick.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "quality/evaluate/guard.h"
#include "quality/recordings/picture_list.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"
#include "train/folder/listing.h"
#include "train/folder/planes.h"
#include "train/folder/split.h"
#include "train/model_run.h"
#include "train/run_dir.h"

namespace echodiff {
namespace {

// A run that says which masks it was drawn for must have been drawn for these: other masks may have the same names.
void require_masks(const std::string& run, const std::string& masks) {
  const std::filesystem::path config = std::filesystem::path(run) / "config.toml";
  if (!std::filesystem::exists(config)) return;
  const std::map<std::string, std::string> values = read_flat_toml(config.string());
  const std::map<std::string, std::string>::const_iterator named = values.find("masks");
  if (named == values.end() || !std::filesystem::is_directory(named->second)) return;
  check_input(std::filesystem::equivalent(named->second, masks), Fault::kBadInput, run, ": was drawn for the masks of ",
              named->second, ", not of ", masks, "; give --masks ", named->second);
}

// What the picture of this mask fills of its square; all of it where the data don't have the mask.
GrayImage filled_part(const Dataset& data, const std::string& mask, const GrayImage& image) {
  for (const Example& example : data.examples)
    if (same_picture(example.file, mask)) return example.planes.back();
  return {image.width, image.height, std::vector<uint8_t>(image.pixels.size(), 1)};
}

Pictures take_split(const Dataset& data, const std::vector<std::string>& splits, bool has_sector) {
  Pictures pictures;
  for (const Example& example : data.examples) {
    if (std::find(splits.begin(), splits.end(), example.split) == splits.end()) continue;
    std::optional<double> energy;
    if (has_sector) energy = outside_energy(example.image, example.planes.back());
    pictures.push_back({example.file, example.file, example.image, example.planes.back(), energy});
  }
  return pictures;
}

std::optional<Scorer> load_judge(const EvaluateSettings& settings, int64_t size) {
  if (settings.judge.empty()) return std::nullopt;
  std::optional<Scorer> judge(load_scorer_run(settings.judge, settings.allow_unfinished));
  check_input(judge->options().image_size == size, Fault::kBadInput, settings.judge, ": was trained on pictures of ",
              judge->options().image_size, " pixels a side, these have ", size, "; train one on this size");
  return judge;
}

// The masks as the segmenter knows them, and as the samples were drawn for them.
void load_segmenter(const EvaluateSettings& settings, Yardstick& yard) {
  if (settings.segmenter.empty()) return;
  if (!settings.masks.empty())
    yard.masks = load_dataset(
        {.directory = settings.masks, .image_size = yard.data.image_size, .fit = yard.data.fit, .need_images = false});
  yard.segmenter.emplace(load_segmenter_run(settings.segmenter, settings.allow_unfinished));
  std::vector<std::string> planes = yard.segmenter->options().classes;
  planes.push_back("sector");
  order_planes(yard.data, planes, settings.segmenter, settings.data);
  require_fit(yard.data, yard.segmenter->options().fit, settings.segmenter, settings.data);
  if (yard.masks) order_planes(*yard.masks, planes, settings.segmenter, settings.masks);
}

// Where the samples came from, so that real pictures are held out and made square as they were there.
struct Lineage {
  std::string run;  // whose lists say what is held out; "" where nothing says it
  Fit fit = Fit::squash;
};

Lineage lineage_of(const EvaluateSettings& settings, const std::vector<std::vector<std::string>>& groups) {
  if (!settings.run.empty()) return {settings.run, fit_of_run(settings.run)};
  Lineage lineage;
  std::optional<SamplesOrigin> first;
  for (const std::vector<std::string>& folders : groups)
    for (const std::string& folder : folders) {
      const SamplesOrigin origin = origin_of_samples(folder);
      if (origin.model.empty()) continue;
      if (!first) first = origin;
      check_input(origin.fit == first->fit, Fault::kBadInput, folder, ": was drawn with pictures made square by ",
                  name_of(origin.fit), ", samples before it by ", name_of(first->fit), "; evaluate them one by one");
      std::error_code ignored;
      if (!std::filesystem::is_directory(origin.model, ignored)) continue;
      if (lineage.run.empty()) lineage.run = origin.model;
      check_input(read_split(origin.model) == read_split(lineage.run), Fault::kBadInput, folder, ": ", origin.model,
                  " held out other pictures than ", lineage.run, "; say with --run whose lists count");
    }
  if (first) lineage.fit = first->fit;
  if (!first && !settings.segmenter.empty()) lineage.fit = fit_of_run(settings.segmenter);
  return lineage;
}

// Pictures that the segmenter was trained on would flatter it where they are held out.
void warn_of_trained(const EvaluateSettings& settings, const Common& common, const Yardstick& yard) {
  if (settings.segmenter.empty() || !keeps_split(settings.segmenter)) return;
  Dataset seen{yard.data.plane_names, {}, yard.data.image_size};
  for (const Picture& picture : yard.held_out) seen.examples.push_back({picture.file, "", "", {}, {}});
  if (!shares_pictures(settings.segmenter, seen)) return;
  follow_split(settings.segmenter, seen, settings.data);
  const int64_t trained = std::count_if(seen.examples.begin(), seen.examples.end(),
                                        [](const Example& example) { return example.split == "train"; });
  if (trained > 0)
    note(common, concat_message("warning: ", settings.segmenter, " was trained on ", trained, " of the ",
                                yard.held_out.size(), " held-out pictures (by its split.csv)"));
}

}  // namespace

std::vector<GrayImage> images_of(const Pictures& pictures) {
  std::vector<GrayImage> images;
  for (const Picture& picture : pictures) images.push_back(picture.image);
  return images;
}

std::vector<GrayImage> sectors_of(const Pictures& pictures) {
  std::vector<GrayImage> sectors;
  for (const Picture& picture : pictures) sectors.push_back(picture.sector);
  return sectors;
}

Pictures read_run(const std::vector<std::string>& folders, const std::string& masks, const Dataset& data, bool whole) {
  const int64_t size = data.image_size;
  const Fit fit = data.fit;
  Pictures pictures;
  for (const std::string& folder : folders) {
    require_masks(folder, masks);
    const bool own_sectors = std::filesystem::is_directory(folder + "/sector");
    for (const ListedPicture& listed : list_pictures(folder, own_sectors ? "" : masks)) {
      const GrayImage original = read_picture(listed.path), image = fit_area(original, size, fit);
      Picture picture{
          listed.path, listed.group, image, whole ? filled_part(data, listed.group, image) : GrayImage{}, {}};
      // Of a plain folder nobody knows which sector a picture has, whatever its name.
      if (!listed.sector_path.empty() && !listed.group.empty()) {
        const GrayImage sector = read_sector(listed, original.width, original.height, size, fit);
        picture.outside = outside_energy(image, sector);
        if (!whole) picture.sector = sector;
      }
      pictures.push_back(picture);
    }
  }
  return pictures;
}

Yardstick load_yardstick(const EvaluateSettings& settings, const Common& common,
                         const std::vector<std::vector<std::string>>& groups, int64_t needed) {
  const Lineage lineage = lineage_of(settings, groups);
  Yardstick yard{load_resnet18_run(settings.features, settings.allow_unfinished), {}, {}, {}, {}, {}, {}, {}, {}};
  const int64_t size = settings.image_size.value_or(read_picture(list_pictures(groups[0][0])[0].path).width);
  yard.data = load_dataset(
      {.directory = settings.data, .image_size = size, .fit = lineage.fit, .need_masks = !settings.segmenter.empty()});
  if (!lineage.run.empty()) follow_split(lineage.run, yard.data, settings.data);
  load_segmenter(settings, yard);
  for (const std::string& line : yard.data.notes) note(common, line);
  note(common, summary_of(yard.data, settings.data));
  yard.judge = load_judge(settings, size);
  const std::vector<Example>& examples = yard.data.examples;
  yard.has_sectors = std::filesystem::is_directory(settings.data + "/sector");
  const bool has_test =
      std::any_of(examples.begin(), examples.end(), [](const Example& e) { return e.split == "test"; });
  yard.split = has_test ? "test" : "val";
  yard.held_out = take_split(yard.data, {yard.split}, yard.has_sectors);
  yard.training =
      take_split(yard.data, has_test ? std::vector<std::string>{"train", "val"} : std::vector<std::string>{"train"},
                 yard.has_sectors);
  for (const Pictures* part : {&yard.held_out, &yard.training})
    check_input(int64_t(part->size()) >= needed, Fault::kBadInput, settings.data, ": ", part->size(),
                part == &yard.held_out ? " held-out" : " training", " pictures, expected at least ", needed);
  warn_of_trained(settings, common, yard);
  return yard;
}

}  // namespace echodiff
