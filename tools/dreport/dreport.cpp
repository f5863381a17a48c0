// dreport: one self-contained page a researcher reads after a run, and the same numbers as JSON.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "cli/cli.h"
#include "dreport/sections/sections.h"
#include "quality/recordings/picture_list.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "train/folder/split.h"
#include "train/model_run.h"
#include "train/run_checkpoint.h"
#include "train/run_status.h"

namespace echodiff {
namespace fs = std::filesystem;
namespace {

struct ReportOptions {
  std::vector<std::string> runs, ceilings;
  std::string out, data, masks, thresholds, planes, title = "echodiff report", watch;
};

// The side of the square pictures of this report, 0 when no run has any.
int64_t picture_size(const RunSet& runs) {
  for (const SamplingRun& run : runs.sampling) {
    for (const Sample& sample : run.samples) {
      if (sample.image.width > 0) return sample.image.width;
    }
  }
  for (const DiffusionRun& run : runs.diffusion) {
    const int64_t size = std::atoll(value_in(run.config, "image-size").c_str());
    if (size > 0) return size;
  }
  return 0;
}

PictureSet load_set(const std::string& folder, const std::string& planes, int64_t size, Fit fit, bool need_pictures) {
  DatasetOptions options;
  options.directory = folder;
  if (size > 0) options.image_size = size;
  options.planes = planes;
  options.fit = fit;
  options.need_images = need_pictures || fs::exists(fs::path(folder) / "images");
  PictureSet set;
  set.pictures = options.need_images;
  set.dataset = load_dataset(options);
  for (const Example& example : set.dataset.examples) {
    for (const uint8_t pixel : example.planes.back().pixels) set.sector = set.sector || pixel == 0;
  }
  return set;
}

// Every run's mask folder: the one given, else the one it names where that is still there, else the training data.
void load_masks(const ReportOptions& options, int64_t size, Material& material) {
  for (SamplingRun& run : material.runs.sampling) {
    if (!options.masks.empty()) run.masks = options.masks;
    if (run.masks.empty() || material.masks.count(run.masks) != 0) continue;
    if (fs::exists(material.runs.data) && fs::exists(run.masks) && fs::equivalent(run.masks, material.runs.data)) {
      run.masks = material.runs.data;
    } else if (!options.masks.empty() || fs::is_directory(run.masks)) {
      material.masks.emplace(run.masks,
                             load_set(run.masks, options.planes, size, origin_of_samples(run.place.path).fit, false));
    }
  }
}

// The real pictures as the first diffusion run has them: its fit, and what it held out.
PictureSet load_real(const ReportOptions& options, int64_t size, const RunSet& runs) {
  std::string run;
  for (const DiffusionRun& one : runs.diffusion)
    if (run.empty() && !run_checkpoint(one.place.path).empty()) run = one.place.path;
  Fit fit = run.empty() ? Fit::squash : fit_of_run(run);
  if (run.empty() && !runs.sampling.empty()) fit = origin_of_samples(runs.sampling[0].place.path).fit;
  PictureSet real = load_set(runs.data, options.planes, size, fit, true);
  if (!run.empty()) follow_split(run, real.dataset, runs.data);
  return real;
}

Material gather(const ReportOptions& options) {
  check_input(options.thresholds.empty() || fs::exists(options.thresholds), Fault::kMissingInput, options.thresholds,
              ": expected a threshold file, found nothing there; make one with dlabel calibrate");
  Material material;
  material.runs = read_runs(options.runs);
  for (const std::string& path : options.ceilings) material.runs.ceilings.push_back(read_ceiling(path));
  if (!options.data.empty()) material.runs.data = options.data;
  for (const DiffusionRun& run : material.runs.diffusion) {
    const std::string named = value_in(run.config, "data");
    if (material.runs.data.empty() && fs::is_directory(named)) material.runs.data = named;
  }
  const int64_t size = picture_size(material.runs);
  if (!material.runs.data.empty()) {
    material.real = load_real(options, size, material.runs);
  }
  load_masks(options, size, material);
  std::optional<Thresholds> given;
  if (!options.thresholds.empty()) given = read_thresholds(options.thresholds);
  material.rule = choose_rule(given, fs::path(options.thresholds).filename().string(), material.runs, material.real);
  if (material.real) {
    const Thresholds rule = material.rule.thresholds.value_or(Thresholds{});
    measure_set(*material.real, rule.metric, rule.region == "sector");
  }
  measure_samples(material);
  material.policies = compare_policies(material.runs);
  return material;
}

void write_sections(const Material& material, Report& report) {
  struct Section {
    const char *id, *title;
    std::vector<void (*)(const Material&, Report&)> parts;
  };
  const std::vector<Section> sections = {
      {"table", "Policy by policy", {table_part, cost_part}},
      {"paper", "The paper’s figures", {samples_part, judge_part, scores_part, metrics_part, accounting_part}},
      {"decisions", "What was chosen, and when", {decisions_part, galleries_part}},
      {"anatomy", "Do the samples follow their masks?", {anatomy_part}},
      {"memorisation", "Copies of training pictures", {memorisation_part}},
      {"judge", "The judge", {scorer_part, timed_judges_part}},
      {"training", "Training of the diffusion model", {training_part}},
      {"numbers", "All numbers, and what they were made from", {summary_part, inputs_part}}};
  answer_section(material, report);
  const bool under_way = material.runs.sampling.empty();  // a run of training alone: its curves are what there is
  for (const Section& section : sections) {
    report.page.section(section.id, section.title, under_way && std::string(section.id) == "training");
    for (const auto part : section.parts) part(material, report);
  }
}

// reload_after: seconds after which a browser that shows the page loads it again; 0: never.
int make_report(const ReportOptions& options, const Common& common, int64_t reload_after = 0) {
  const Material material = gather(options);
  if (material.real)
    for (const std::string& line : material.real->dataset.notes) note(common, line);
  for (const DiffusionRun& run : material.runs.diffusion)
    if (!run.cut.empty()) note(common, "warning: " + run.cut);
  for (const ScorerRun& run : material.runs.scorers)
    if (!run.cut.empty()) note(common, "warning: " + run.cut);
  Report report;
  report.page.reload_after(reload_after);
  report.json = {{"program", "dreport"}, {"version", version_string()}, {"title", options.title}};
  write_sections(material, report);

  const std::string json_path = fs::path(options.out).replace_extension(".json").string();
  write_file_atomic(options.out, report.page.finish(options.title));
  write_file_atomic(json_path, report.json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  for (const std::string& line : report.lines) std::printf("%s\n", printable(line).c_str());
  std::printf("report: %s, numbers: %s\n", options.out.c_str(), json_path.c_str());
  return 0;
}

// --watch: the report of a run under way, written anew until the run has finished.
int watch_run(const ReportOptions& options, const Common& common) {
  constexpr int64_t kEvery = 20;  // seconds
  while (true) {
    const bool going = !read_run_status(options.watch).finished();
    try {
      make_report(options, common, going ? kEvery : 0);
    } catch (const Error& error) {
      if (!going || error.fault() != Fault::kBadInput) throw;
      note(common, concat_message(error.what(), "; it is written just now, the next look will tell"));
    }
    if (!going) return 0;
    for (int64_t second = 0; second < kEvery; ++second) {
      if (interrupted()) return interrupt_exit_code();
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
  }
}

void check_flags(ReportOptions& options) {
  check_input(options.runs.empty() != options.watch.empty(), Fault::kUsage,
              "--runs: expected either --runs DIR... or --watch RUN, found ",
              options.runs.empty() ? "neither" : "both");
  if (!options.watch.empty()) {
    options.runs = {options.watch};
    if (options.out.empty()) options.out = (fs::path(options.watch) / "report.html").string();
  }
  check_input(!options.out.empty(), Fault::kUsage, "--out is required: page to write (see --help)");
  check_input(fs::path(options.out).extension() != ".json", Fault::kUsage,
              "--out: expected the page's name (report.html), found ", options.out,
              "; the numbers are written beside it as .json");
}

}  // namespace
}  // namespace echodiff

int main(int argc, char** argv) {
  using namespace echodiff;
  ReportOptions values;
  return run_program(
      argc, argv,
      {"dreport", "Writes a self-contained HTML report, and its numbers as JSON beside it.",
       "dreport --runs model scorer unguided guided --data phantom --out report.html"},
      [&](Options& options) {
        options.add_list(
            "--runs", values.runs,
            "folders of dtrain, dsample, dlabel's data sets, of an evaluation.json (dlabel evaluate), or a "
            "folder that holds them",
            "DIR");
        options.add("--watch", values.watch,
                    "a run of dtrain under way: its report is written anew every 20 seconds until it has finished, and "
                    "a browser that shows it follows",
                    "RUN");
        options.add("--out", values.out, "page to write; the numbers go beside it as .json", "FILE.html",
                    "RUN/report.html with --watch");
        options.add("--data", values.data, "data set that trained the model: real pictures and masks", "DIR",
                    "the one among --runs, else the one a model's run names");
        options.add("--masks", values.masks, "data set whose masks the samples were drawn for", "DIR",
                    "the one each run names, else --data");
        options.add("--thresholds", values.thresholds, "which pictures are good (dlabel calibrate)", "FILE",
                    "a run's labels.jsonl, else from --data");
        options.add("--planes", values.planes, "planes of the data set's masks", "NAME=VALUE,...", "its dataset.json");
        options.add_list("--ceiling", values.ceilings, "what no judge can exceed (dsample ceiling)", "FILE");
        options.add("--title", values.title, "heading of the page", "TEXT");
        options.rule([&] { check_flags(values); });
        options.body([&](const Common& common) {
          return values.watch.empty() ? make_report(values, common) : watch_run(values, common);
        });
      });
}
