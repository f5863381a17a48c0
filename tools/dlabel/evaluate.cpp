// dlabel evaluate: sampling runs against held-out real pictures, as evaluation.json (dlabel_evaluate.h).
#include "dlabel/evaluate.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "dlabel/dlabel.h"
#include "quality/evaluate/distribution.h"
#include "quality/evaluate/features.h"
#include "quality/evaluate/memorisation.h"
#include "quality/evaluate/sector_energy.h"
#include "quality/judges/segmenter.h"
#include "quality/labels/labels.h"
#include "quality/recordings/picture_list.h"
#include "quality/statistics/intervals.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "train/config.h"
#include "train/data/dataset.h"
#include "train/data/image.h"
#include "train/model_run.h"

namespace echodiff {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kPairs = 8;

struct Settings {
  std::vector<std::string> samples;
  std::string data, masks, features, segmenter, judge, out;
  std::optional<int64_t> image_size, count;
  int64_t neighbours = 5;
  double tau = 0.5;
};

struct Pictures {
  std::vector<std::string> files;
  std::vector<std::string> masks;  // of the data set, that each was drawn from
  std::vector<GrayImage> images;
  std::vector<std::optional<double>> outside;  // energy outside of the sector, where that is known

  void add(const std::string& file, const std::string& mask, const GrayImage& image, std::optional<double> energy) {
    files.push_back(file);
    masks.push_back(mask);
    images.push_back(image);
    outside.push_back(energy);
  }
};

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

// Of all folders, as one run.
Pictures read_run(const std::vector<std::string>& folders, const std::string& masks, int64_t size) {
  Pictures pictures;
  for (const std::string& folder : folders) {
    require_masks(folder, masks);
    const bool own_sectors = std::filesystem::is_directory(folder + "/sector");
    for (const ListedPicture& listed : list_pictures(folder, own_sectors ? "" : masks)) {
      const GrayImage image = resize_area(read_png(listed.path), size, size);
      std::optional<double> energy;
      // Of a plain folder nobody knows which sector a picture has, whatever its name.
      if (!listed.sector_path.empty() && !listed.group.empty())
        energy = outside_energy(image, read_sector(listed, size, size));
      pictures.add(listed.path, listed.group, image, energy);
    }
  }
  return pictures;
}

Pictures take_split(const Dataset& data, const std::vector<std::string>& splits, bool has_sector) {
  Pictures pictures;
  for (const Example& example : data.examples) {
    if (std::find(splits.begin(), splits.end(), example.split) == splits.end()) continue;
    std::optional<double> energy;
    if (has_sector) energy = outside_energy(example.image, example.planes.back());
    pictures.add(example.file, example.file, example.image, energy);
  }
  return pictures;
}

Pictures evenly_spaced(const Pictures& all, int64_t count) {
  Pictures some;
  const int64_t n = int64_t(all.images.size());
  for (int64_t i = 0; i < std::min(count, n); ++i) {
    const size_t from = size_t(count >= n ? i : i * n / count);
    some.add(all.files[from], all.masks[from], all.images[from], all.outside[from]);
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
  std::vector<double> outside;
  for (const std::optional<double>& one : pictures.outside)
    if (one) outside.push_back(*one);
  Json part;
  part["n"] = features.count;
  part["kid"] = estimate_json(kernel_distance(features, real));
  part["fid"] = estimate_json(frechet_distance(features, real));
  part["precision"] = share_json(near.precise, features.count);
  part["density"] = estimate_json(near.density);
  part["recall"] = share_json(near.recalled, real.count);
  part["coverage"] = share_json(near.covered, real.count);
  part["outside_energy"] = outside.empty() ? Json() : estimate_json(mean_of(outside));
  return part;
}

Json copied_detail(const TrainingSet& training, const Pictures& pictures, double limit) {
  const std::vector<double> shared = training.shared_detail(pictures.images);
  return share_json(std::count_if(shared.begin(), shared.end(), [&](double one) { return one > limit; }),
                    int64_t(shared.size()));
}

void add_memorisation(Json& run, const Pictures& pictures, const std::vector<Nearest>& nearest,
                      const std::vector<Nearest>& held_out, const Pictures& training, const std::string& out) {
  const Memorisation result = memorisation(nearest, held_out);
  const int64_t n = int64_t(pictures.images.size());
  run["copies"] = share_json(result.copies, n);
  run["median_nearest"] = result.median;
  run["closer_than_held_out"] = estimate_json(result.closer);
  std::vector<size_t> order(nearest.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return nearest[a].distance < nearest[b].distance; });
  order.resize(std::min(order.size(), kPairs));
  run["pairs"] = Json::array();
  for (size_t i : order)
    run["pairs"].push_back({{"file", file_in_labels(pictures.files[i], out)},
                            {"training", training.files[size_t(nearest[i].index)]},
                            {"distance", nearest[i].distance}});
  run["distinct"] = share_json(distinct_count(thumbnails(pictures.images), copy_distance(held_out)), n);
}

// DICE: where the segmenter sees each class, against the mask that the picture was drawn from.
Json adherence_json(const Segmenter& segmenter, const Pictures& pictures, const Dataset& masks) {
  std::vector<GrayImage> images;
  std::vector<const std::vector<GrayImage>*> planes;
  for (size_t i = 0; i < pictures.images.size(); ++i)
    for (const Example& example : masks.examples)
      if (example.file == pictures.masks[i]) {
        images.push_back(pictures.images[i]);
        planes.push_back(&example.planes);
      }
  const DiceScores scores = dice_scores(segmenter, images, planes);
  if (scores.mean.empty()) return Json();
  Json json{{"mean", estimate_json(mean_of(scores.mean))}, {"classes", Json::object()}};
  for (size_t c = 0; c < scores.by_class.size(); ++c)
    if (!scores.by_class[c].empty())
      json["classes"][segmenter.options().classes[c]] = estimate_json(mean_of(scores.by_class[c]));
  return json;
}

Json judged_json(const std::optional<Scorer>& judge, const Pictures& pictures, double tau) {
  if (!judge) return Json();
  const std::vector<double> scores = judge->score(pointers_to(pictures.images));
  return share_json(std::count_if(scores.begin(), scores.end(), [&](double score) { return score >= tau; }),
                    int64_t(scores.size()));
}

std::optional<Scorer> load_judge(const Settings& settings, int64_t size) {
  if (settings.judge.empty()) return std::nullopt;
  std::optional<Scorer> judge(load_scorer_run(settings.judge));
  check_input(judge->options().image_size == size, Fault::kBadInput, settings.judge, ": was trained on pictures of ",
              judge->options().image_size, " pixels a side, these have ", size, "; train one on this size");
  return judge;
}

// "posthoc-101 and 2 more"
std::string name_of(const std::vector<std::string>& folders) {
  const std::string first = std::filesystem::path(folders[0]).filename().string();
  return folders.size() == 1 ? first : concat_message(first, " and ", folders.size() - 1, " more");
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

// What judge and segmenter say, where there are any.
void print_marks(const std::string& name, const Json& judged, const Json& dice) {
  if (!judged.is_null())
    std::printf("%s: %lld of %lld are good by the judge [%.3f, %.3f]\n", name.c_str(),
                static_cast<long long>(judged["k"].get<int64_t>()), static_cast<long long>(judged["n"].get<int64_t>()),
                judged["low"].get<double>(), judged["high"].get<double>());
  if (dice.is_null()) return;
  const auto print = [&](const std::string& label, const Json& one) {
    std::printf("%s: Dice of %s %.3f [%.3f, %.3f]\n", name.c_str(), label.c_str(), one["value"].get<double>(),
                one["low"].get<double>(), one["high"].get<double>());
  };
  for (const auto& [label, one] : dice["classes"].items()) print(label, one);
  print("all classes", dice["mean"]);
}

// The folders of each run.
std::vector<std::vector<std::string>> parse_samples(const std::vector<std::string>& samples) {
  std::vector<std::vector<std::string>> groups;
  for (const std::string& names : samples) {
    groups.push_back(split(names));
    check_input(!groups.back().empty(), Fault::kUsage, "--samples: expected folders joined by commas, found nothing");
  }
  return groups;
}

int evaluate(const Settings& settings, const Common& common) {
  const ResNet18Run network = load_resnet18_run(settings.features);
  const std::vector<std::vector<std::string>> groups = parse_samples(settings.samples);
  const int64_t size = settings.image_size.value_or(read_png(list_pictures(groups[0][0])[0].path).width);
  const Dataset data = load_dataset(
      {.directory = settings.data, .image_size = size, .seed = common.seed, .need_masks = !settings.segmenter.empty()});
  const std::string mask_folder = settings.masks.empty() ? settings.data : settings.masks;
  std::optional<Dataset> masks;  // where they are not those of the data
  std::optional<Segmenter> segmenter;
  if (!settings.segmenter.empty()) {
    if (!settings.masks.empty())
      masks = load_dataset({.directory = settings.masks, .image_size = size, .need_images = false});
    segmenter.emplace(load_segmenter_run(settings.segmenter));
    for (const Dataset* set : {&data, masks ? &*masks : &data}) {
      const std::vector<std::string> classes(set->plane_names.begin(), set->plane_names.end() - 1);
      check_input(classes == segmenter->options().classes, Fault::kBadInput, settings.segmenter, ": finds ",
                  join(segmenter->options().classes), ", the masks of ", set == &data ? settings.data : settings.masks,
                  " show ", join(classes));
    }
  }
  const std::optional<Scorer> judge = load_judge(settings, size);
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
  json["judge"] = judge ? Json{{"run", settings.judge}, {"tau", settings.tau}} : Json();
  json["data"] = file_in_labels(settings.data, settings.out);
  json["image_size"] = size;
  json["k"] = settings.neighbours;
  json["training"] = training.images.size();
  json["held_out"] = held_out.images.size();
  json["held_out_split"] = split;
  json["copy_distance"] = copy_distance(nearest_held_out);
  const double shared_by_copies = copy_detail(set);
  json["copy_detail"] = shared_by_copies;
  json["held_out_copied_detail"] = copied_detail(set, held_out, shared_by_copies);
  json["median_held_out"] = memorisation(nearest_held_out, nearest_held_out).median;
  json["held_out_dice"] = segmenter ? adherence_json(*segmenter, held_out, data) : Json();
  json["held_out_judged_good"] = judged_json(judge, held_out, settings.tau);
  json["runs"] = Json::array();
  Rows first;
  for (const std::vector<std::string>& folders : groups) {
    if (interrupted()) return interrupt_exit_code();
    Pictures pictures = read_run(folders, mask_folder, size);
    const int64_t least = std::max(needed, settings.count.value_or(needed));
    check_input(int64_t(pictures.images.size()) >= least, Fault::kBadInput, join(folders), ": ", pictures.images.size(),
                " pictures, expected at least ", least);
    if (settings.count) pictures = evenly_spaced(pictures, *settings.count);
    const Rows features = features_of(network, pictures.images);
    if (json["runs"].empty()) first = features;
    Json run = distribution_json(pictures, features, real, settings.neighbours);
    run["samples"] = Json::array();
    for (const std::string& folder : folders) run["samples"].push_back(file_in_labels(folder, settings.out));
    run["kid_minus_first"] = json["runs"].empty() ? Json() : estimate_json(kernel_difference(features, first, real));
    run["judged_good"] = judged_json(judge, pictures, settings.tau);
    add_memorisation(run, pictures, set.nearest_to(pictures.images), nearest_held_out, training, settings.out);
    run["copied_detail"] = copied_detail(set, pictures, shared_by_copies);
    run["dice"] = segmenter ? adherence_json(*segmenter, pictures, masks ? *masks : data) : Json();
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
  for (size_t i = 0; i < groups.size(); ++i) print_row(name_of(groups[i]), json["runs"][i]);
  print_row("training pictures", json["real"]);
  for (size_t i = 0; i < groups.size(); ++i)
    print_marks(name_of(groups[i]), json["runs"][i]["judged_good"], json["runs"][i]["dice"]);
  print_marks("held-out pictures", json["held_out_judged_good"], json["held_out_dice"]);
  return 0;
}

}  // namespace

void add_evaluate(Options& root) {
  static Settings settings;
  Options& options =
      root.subcommand("evaluate", "Measures sampling runs against held-out real pictures.",
                      "dlabel evaluate --samples a b --data data --features scorer --out evaluation.json");
  options
      .add_list("--samples", settings.samples,
                "outputs of dsample, or folders of PNG pictures; joined by commas, folders are one run: seeds of one "
                "policy. The KID of each is compared with the first's",
                "DIR[,DIR...]")
      .required();
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
  options.add("--masks", settings.masks, "data-set folder whose masks the samples were drawn for", "DIR", "as --data");
  options.add("--segmenter", settings.segmenter,
              "run of dtrain segmenter: how well a sample shows the mask it was drawn from", "RUN");
  options.add(
      "--judge", settings.judge,
      "run of dtrain scorer that has selected nothing (--arch cnn, another --split-seed): which share it calls good",
      "RUN");
  options.add("--tau", settings.tau, "score from which the judge calls a picture good", {0, 1}, "score");
  options.add("--count", settings.count, "pictures taken of each run, spread evenly over it: equal numbers for FID",
              {3, 1000000}, "pictures", "all");
  options.add("--image-size", settings.image_size, "pictures are resized (by area) to this side", {16, 1024}, "pixels",
              "that of the first sample");
  options.add("--neighbours", settings.neighbours, "k of precision, recall, density and coverage", {1, 100},
              "pictures");
  options.body([](const Common& common) { return evaluate(settings, common); });
}

}  // namespace echodiff
