// dlabel evaluate: sampling runs against held-out real pictures, as evaluation.json (dlabel_evaluate.h).
#include "dlabel_evaluate.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "dlabel.h"
#include "quality/evaluate/distribution.h"
#include "quality/evaluate/features.h"
#include "quality/evaluate/memorisation.h"
#include "quality/evaluate/sector_energy.h"
#include "quality/picture_list.h"
#include "quality/segmenter.h"
#include "report/intervals.h"
#include "tensor/io/file.h"
#include "train/dataset.h"
#include "train/image.h"
#include "train/model_run.h"

namespace echodiff {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kPairs = 8;

struct Settings {
  std::vector<std::string> samples;
  std::string data, features, segmenter, out;
  std::optional<int64_t> image_size;
  int64_t neighbours = 5;
};

struct Pictures {
  std::vector<std::string> files;
  std::vector<std::string> masks;  // of the data set, that each was drawn from
  std::vector<GrayImage> images;
  std::vector<double> outside;  // energy outside of the sector; empty where there is no sector

  void add(const std::string& file, const std::string& mask, const GrayImage& image) {
    files.push_back(file);
    masks.push_back(mask);
    images.push_back(image);
  }
};

Pictures read_run(const std::string& run, const std::string& data, int64_t size) {
  Pictures pictures;
  const bool own_sectors = std::filesystem::is_directory(run + "/sector");
  for (const ListedPicture& listed : list_pictures(run, own_sectors ? "" : data)) {
    pictures.add(listed.path, listed.group, resize_area(read_png(listed.path), size, size));
    // Of a plain folder nobody knows which sector a picture has, whatever its name.
    if (!listed.sector_path.empty() && !listed.group.empty())
      pictures.outside.push_back(outside_energy(pictures.images.back(), read_sector(listed, size, size)));
  }
  return pictures;
}

Pictures take_split(const Dataset& data, const std::vector<std::string>& splits, bool has_sector) {
  Pictures pictures;
  for (const Example& example : data.examples) {
    if (std::find(splits.begin(), splits.end(), example.split) == splits.end()) continue;
    pictures.add(example.file, example.file, example.image);
    if (has_sector) pictures.outside.push_back(outside_energy(example.image, example.planes.back()));
  }
  return pictures;
}

Pictures evenly_spaced(const Pictures& all, int64_t count) {
  Pictures some;
  const int64_t n = int64_t(all.images.size());
  for (int64_t i = 0; i < std::min(count, n); ++i) {
    const size_t from = size_t(count >= n ? i : i * n / count);
    some.add(all.files[from], all.masks[from], all.images[from]);
    if (!all.outside.empty()) some.outside.push_back(all.outside[from]);
  }
  return some;
}

Json estimate_json(const Measure& measure) {
  const double reach = 1.959963984540054 * measure.error;
  return {{"value", measure.value}, {"low", measure.value - reach}, {"high", measure.value + reach}};
}

Json share_json(int64_t k, int64_t n) {
  const Proportion share = wilson(k, n);
  return {{"k", k}, {"n", n}, {"fraction", share.fraction}, {"low", share.low}, {"high", share.high}};
}

// PART of dlabel_evaluate.h.
Json distribution_json(const Pictures& pictures, const Rows& features, const Rows& real, int64_t k) {
  const Neighbourhood near = neighbourhood(features, real, k);
  Json part;
  part["n"] = features.count;
  part["kid"] = estimate_json(kernel_distance(features, real));
  part["fid"] = estimate_json(frechet_distance(features, real));
  part["precision"] = share_json(near.precise, features.count);
  part["density"] = estimate_json(near.density);
  part["recall"] = share_json(near.recalled, real.count);
  part["coverage"] = share_json(near.covered, real.count);
  part["outside_energy"] = pictures.outside.empty() ? Json() : estimate_json(mean_of(pictures.outside));
  return part;
}

// What RUN has besides PART.
void add_memorisation(Json& run, const Pictures& pictures, const std::vector<Nearest>& nearest,
                      const std::vector<Nearest>& held_out, const Pictures& training) {
  const Memorisation result = memorisation(nearest, held_out);
  const int64_t n = int64_t(pictures.images.size());
  run["copies"] = share_json(result.copies, n);
  run["median_nearest"] = result.median;
  run["closer_than_held_out"] = result.closer;
  std::vector<size_t> order(nearest.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return nearest[a].distance < nearest[b].distance; });
  order.resize(std::min(order.size(), kPairs));
  run["pairs"] = Json::array();
  for (size_t i : order)
    run["pairs"].push_back({{"file", pictures.files[i]},
                            {"training", training.files[size_t(nearest[i].index)]},
                            {"distance", nearest[i].distance}});
  run["distinct"] = share_json(distinct_count(thumbnails(pictures.images), copy_distance(held_out)), n);
}

// {"liver": ESTIMATE, ..}: where the segmenter sees each class, against the mask that the picture was drawn from.
Json adherence_json(const Segmenter& segmenter, const Pictures& pictures, const Dataset& data) {
  std::vector<GrayImage> images;
  std::vector<const std::vector<GrayImage>*> planes;
  for (size_t i = 0; i < pictures.images.size(); ++i)
    for (const Example& example : data.examples)
      if (example.file == pictures.masks[i]) {
        images.push_back(pictures.images[i]);
        planes.push_back(&example.planes);
      }
  const std::vector<std::vector<double>> values = dice_by_class(segmenter, images, planes);
  Json json = Json::object();
  for (size_t c = 0; c < values.size(); ++c)
    if (!values[c].empty()) json[segmenter.options().classes[c]] = estimate_json(mean_of(values[c]));
  return json;
}

void print_row(const std::string& name, const Json& run) {
  const auto number = [&](const char* key, const char* part) { return run[key][part].get<double>(); };
  std::printf("%-24s %6lld  %8.4f [%.4f, %.4f]  %8.2f  %5.3f %5.3f %5.3f %5.3f", name.c_str(),
              static_cast<long long>(run["n"].get<int64_t>()), number("kid", "value"), number("kid", "low"),
              number("kid", "high"), number("fid", "value"), number("precision", "fraction"),
              number("recall", "fraction"), number("density", "value"), number("coverage", "fraction"));
  if (run.contains("copies"))
    std::printf("  %5.3f  %5.3f", number("copies", "fraction"), number("distinct", "fraction"));
  std::printf("\n");
}

int evaluate(const Settings& settings, const Common& common) {
  const ResNet18Run network = load_resnet18_run(settings.features);
  const int64_t size =
      settings.image_size.value_or(read_png(list_pictures(settings.samples[0], settings.data)[0].path).width);
  const Dataset data = load_dataset(
      {.directory = settings.data, .image_size = size, .seed = common.seed, .need_masks = !settings.segmenter.empty()});
  std::optional<Segmenter> segmenter;
  if (!settings.segmenter.empty()) {
    segmenter.emplace(load_segmenter_run(settings.segmenter));
    const std::vector<std::string> classes(data.plane_names.begin(), data.plane_names.end() - 1);
    check_input(classes == segmenter->options().classes, Fault::kBadInput, settings.segmenter, ": finds ",
                join(segmenter->options().classes), ", the masks of ", settings.data, " show ", join(classes));
  }
  const bool has_sector = std::filesystem::is_directory(settings.data + "/sector");
  const bool has_test =
      std::any_of(data.examples.begin(), data.examples.end(), [](const Example& e) { return e.split == "test"; });
  const std::string split = has_test ? "test" : "val";
  const Pictures held_out = take_split(data, {split}, has_sector);
  const Pictures training = take_split(
      data, has_test ? std::vector<std::string>{"train", "val"} : std::vector<std::string>{"train"}, has_sector);
  const int64_t needed = std::max<int64_t>(settings.neighbours + 1, 3);
  for (const Pictures* part : {&held_out, &training})
    check_input(int64_t(part->images.size()) >= needed, Fault::kBadInput, settings.data, ": ", part->images.size(),
                part == &held_out ? " held-out" : " training", " pictures, expected at least ", needed);

  Progress progress("evaluating", int64_t(settings.samples.size()) + 1, "runs", common.quiet);
  const Rows real = features_of(network, held_out.images);
  const TrainingSet set(training.images);
  const std::vector<Nearest> nearest_held_out = set.nearest_to(held_out.images);
  Json json;
  json["kind"] = "evaluation";
  json["features"] = {{"run", settings.features},
                      {"count", real.width},
                      {"channels", network.options.in_channels},
                      {"size", network.image_size}};
  json["data"] = settings.data;
  json["image_size"] = size;
  json["k"] = settings.neighbours;
  json["training"] = training.images.size();
  json["held_out"] = held_out.images.size();
  json["held_out_split"] = split;
  json["copy_distance"] = copy_distance(nearest_held_out);
  json["median_held_out"] = memorisation(nearest_held_out, nearest_held_out).median;
  json["held_out_dice"] = segmenter ? adherence_json(*segmenter, held_out, data) : Json();
  json["runs"] = Json::array();
  for (const std::string& name : settings.samples) {
    if (interrupted()) return interrupt_exit_code();
    const Pictures pictures = read_run(name, settings.data, size);
    check_input(int64_t(pictures.images.size()) >= needed, Fault::kBadInput, name, ": ", pictures.images.size(),
                " pictures, expected at least ", needed);
    Json run = distribution_json(pictures, features_of(network, pictures.images), real, settings.neighbours);
    run["samples"] = name;
    add_memorisation(run, pictures, set.nearest_to(pictures.images), nearest_held_out, training);
    run["dice"] = segmenter ? adherence_json(*segmenter, pictures, data) : Json();
    json["runs"].push_back(run);
    progress.update(int64_t(json["runs"].size()));
  }
  const Pictures perfect = evenly_spaced(training, json["runs"][0]["n"].get<int64_t>());
  json["real"] = distribution_json(perfect, features_of(network, perfect.images), real, settings.neighbours);
  progress.update(int64_t(settings.samples.size()) + 1);
  write_file_atomic(settings.out, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");

  std::printf("against %zu held-out pictures (%s) of %s; features of %s\n", held_out.images.size(), split.c_str(),
              settings.data.c_str(), settings.features.c_str());
  std::printf("%-24s %6s  %-25s  %8s  %5s %5s %5s %5s  %5s  %5s\n", "run", "n", "KID [95 %]", "FID", "prec", "rec",
              "dens", "cov", "copy", "dist");
  for (const Json& run : json["runs"])
    print_row(std::filesystem::path(run["samples"].get<std::string>()).filename().string(), run);
  print_row("training pictures", json["real"]);
  const auto print_dice = [](const std::string& name, const Json& dice) {
    for (const auto& [label, one] : dice.items())
      std::printf("%s: Dice of %s %.3f [%.3f, %.3f]\n", name.c_str(), label.c_str(), one["value"].get<double>(),
                  one["low"].get<double>(), one["high"].get<double>());
  };
  for (const Json& run : json["runs"]) print_dice(run["samples"].get<std::string>(), run["dice"]);
  print_dice("held-out pictures", json["held_out_dice"]);
  return 0;
}

}  // namespace

void add_evaluate(Options& root) {
  static Settings settings;
  Options& options =
      root.subcommand("evaluate", "Measures sampling runs against held-out real pictures.",
                      "dlabel evaluate --samples a b --data data --features scorer --out evaluation.json");
  options.add_list("--samples", settings.samples, "outputs of dsample, or folders of PNG pictures", "DIR").required();
  options
      .add("--data", settings.data,
           "data-set folder the model was trained on; its test pictures are the real ones (val "
           "where it has none)",
           "DIR")
      .required();
  options
      .add("--features", settings.features,
           "run of dtrain scorer, or of dweights import --as resnet18, whose last features "
           "are compared; best not the judge that chose the samples",
           "RUN")
      .required();
  options.add("--out", settings.out, "evaluation.json to write", "FILE").required();
  options.add("--segmenter", settings.segmenter,
              "run of dtrain segmenter: how well a sample shows the mask it was drawn from", "RUN");
  options.add("--image-size", settings.image_size, "pictures are resized (by area) to this side", {16, 1024}, "pixels",
              "that of the first sample");
  options.add("--neighbours", settings.neighbours, "k of precision, recall, density and coverage", {1, 100},
              "pictures");
  options.body([](const Common& common) { return evaluate(settings, common); });
}

}  // namespace echodiff
