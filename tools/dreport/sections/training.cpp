// Loss curves of the diffusion model, and the scorer's held-out quality.
#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "dreport/page/plot.h"
#include "dreport/sections/sections.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr int64_t kPlotPoints = 900;  // more than a screen resolves

// The centred running mean over `window` points (fewer at the ends).
std::vector<double> running_mean(const std::vector<double>& values, int64_t window) {
  const int64_t n = int64_t(values.size()), half = std::max<int64_t>(0, window / 2);
  std::vector<double> out(values.size());
  double sum = 0;
  int64_t counted = 0, first = 0, next = 0;  // the window [first, next)
  for (int64_t i = 0; i < n; ++i) {
    for (; next < std::min(n, i + half + 1); ++next) {
      if (std::isfinite(values[size_t(next)])) sum += values[size_t(next)], ++counted;
    }
    for (; first < i - half; ++first) {
      if (std::isfinite(values[size_t(first)])) sum -= values[size_t(first)], --counted;
    }
    out[size_t(i)] = counted > 0 ? sum / double(counted) : kNotGiven;
  }
  return out;
}

// The curve's line in that style: at most kPlotPoints points, each the mean of as many neighbours.
Series thinned(const Curve& curve, Series series) {
  const size_t n = curve.value.size(), bucket = std::max<size_t>(1, (n + kPlotPoints - 1) / kPlotPoints);
  for (size_t start = 0; start < n; start += bucket) {
    const size_t end = std::min(n, start + bucket);
    double step = 0, value = 0;
    for (size_t i = start; i < end; ++i) {
      step += curve.step[i] / double(end - start);
      value += curve.value[i] / double(end - start);
    }
    series.points.push_back({{step}, {value}});
  }
  return series;
}

std::string config_value(const DiffusionRun& run, const std::string& key) {
  for (const auto& [name, value] : run.config) {
    if (name == key || (name.size() > key.size() && name.ends_with("." + key))) return value;
  }
  return "";
}

int64_t window_of(size_t points) { return std::max<int64_t>(1, int64_t(points) / 40); }

LinePlot loss_plot(const Curve& train, const Curve& validation) {
  LinePlot plot;
  plot.x = {.label = "step"};
  plot.y = {.label = "loss", .logarithmic = true};
  if (!train.value.empty()) {
    plot.series.push_back(thinned(train, {.width = 1, .opacity = 0.28}));
    Curve smooth = train;
    smooth.value = running_mean(train.value, window_of(train.value.size()));
    plot.series.push_back(thinned(smooth, {.name = "training, running mean", .width = 2.2}));
  }
  if (!validation.value.empty()) {
    const bool dots = validation.value.size() <= 60;
    plot.series.push_back(thinned(validation, {.name = "validation", .css_class = "c2", .dots = dots}));
  }
  return plot;
}

// One colour per t-bin, from cold (t near 0, little noise) to warm (t near T).
std::string bin_colour(size_t index, size_t count) {
  const double place = count > 1 ? double(index) / double(count - 1) : 0;
  return "hsl(" + fixed(std::fmod(230 + 160 * place, 360), 0) + " 58% 52%)";
}

void show_bins(const DiffusionRun& run, Page& page) {
  LinePlot plot;
  plot.x = {.label = "step"};
  plot.y = {.label = "validation loss", .logarithmic = true};
  const std::string timesteps = config_value(run, "timesteps");
  const double T = std::atof(timesteps.c_str());
  const size_t count = run.val_bins.size();
  for (size_t i = 0; i < count; ++i) {
    Series series = thinned(run.val_bins[i], {.colour = bin_colour(i, count)});
    series.dots = series.points.size() <= 40;
    const double low = double(i) / double(count), high = double(i + 1) / double(count);
    series.name = T > 0 ? "t " + count_text(std::llround(low * T)) + "–" + count_text(std::llround(high * T) - 1)
                        : concat_message("t/T ", fixed(low, 2), "–", fixed(high, 2));
    plot.series.push_back(series);
  }
  page.figure(
      "", line_plot(plot),
      "Validation loss by t, in equal bins: which noise levels are learned and which still move. Small t are the "
      "last steps of sampling, where speckle is decided.");
}

void show_diffusion(const DiffusionRun& run, Report& report) {
  Page& page = report.page;
  page.heading(run.place.name);
  std::string facts;
  for (const auto& [key, name] : {std::pair<const char*, const char*>{"image-size", "picture size"},
                                  {"timesteps", "T"},
                                  {"schedule", "schedule"},
                                  {"predict", "prediction"},
                                  {"condition", "condition"},
                                  {"batch", "batch"},
                                  {"lr", "learning rate"},
                                  {"ema", "EMA"}}) {
    const std::string value = config_value(run, key);
    if (!value.empty()) facts += concat_message(facts.empty() ? "" : " · ", name, " ", escape_html(value));
  }
  if (std::isfinite(run.seconds)) facts += (facts.empty() ? "" : " · ") + ("time " + duration_text(run.seconds));
  if (!facts.empty()) page.paragraph(facts);
  Json& json = report.json["diffusion"].emplace_back(Json{{"run", run.place.name}, {"seconds", run.seconds}});
  if (run.train_loss.value.empty() && run.val_loss.value.empty()) {
    page.missing("Its log.jsonl holds no loss yet.", "Let <code>dtrain diffusion</code> run on.");
  } else {
    const size_t points = run.train_loss.value.size();
    page.figure(
        "", line_plot(loss_plot(run.train_loss, run.val_loss)),
        concat_message("Loss against training step, on a logarithmic axis. Faint: as logged; strong: mean over ",
                       count_text(window_of(points)), " logged points",
                       run.val_loss.value.empty() ? "; this run logged no validation loss." : "."));
    const auto write = [&](const char* key, const Curve& curve, int64_t window) {
      if (curve.value.empty()) return;
      const std::vector<double> smooth = running_mean(curve.value, window);
      json[key] = {{"points", curve.value.size()},
                   {"last_step", curve.step.back()},
                   {"first", smooth.front()},
                   {"last", smooth.back()},
                   {"least", *std::min_element(smooth.begin(), smooth.end())}};
    };
    write("train_loss", run.train_loss, window_of(points));
    write("val_loss", run.val_loss, 1);
    if (!run.val_bins.empty()) {
      show_bins(run, page);
      for (const Curve& bin : run.val_bins) json["val_bins_last"] += bin.value.back();
    }
  }
  if (!run.sheet.empty()) {
    const GrayImage sheet = read_png(run.sheet);
    page.figure(
        "",
        concat_message("<img class=\"sheet\" style=\"max-width:", 5 * sheet.width,
                       "px\" alt=\"Samples during training\" src=\"", data_uri(sheet), "\">"),
        concat_message("Samples at step ", count_text(run.sheet_step),
                       ", as training drew them: their masks, then the raw weights, then the averaged ones (EMA)."));
  }
}

std::string in_words(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return escape_html(name);
}

// "held_out_good" opens a row, "held_out_good_sampled" is its column "sampled".
Table counts_table(const ScorerRun& run) {
  std::vector<std::string> rows, columns;
  std::map<std::pair<std::string, std::string>, int64_t> cells;
  for (const auto& [name, count] : run.counts) {
    std::string row = name, column;
    for (const std::string& known : rows) {
      if (name.rfind(known + "_", 0) != 0) continue;
      row = known;
      column = name.substr(known.size() + 1);
    }
    if (column.empty()) rows.push_back(row);
    if (!column.empty() && std::find(columns.begin(), columns.end(), column) == columns.end())
      columns.push_back(column);
    cells[{row, column}] = count;
  }
  Table table;
  table.header = {"Pictures", "All"};
  for (const std::string& column : columns) table.header.push_back(in_words(column));
  for (const std::string& row : rows) {
    table.rows.push_back({in_words(row), count_text(cells[{row, ""}])});
    for (const std::string& column : columns) table.rows.back().push_back(count_text(cells[{row, column}]));
  }
  return table;
}

void show_scorer(const ScorerRun& run, Report& report) {
  Page& page = report.page;
  page.heading(run.place.name);
  Json counts = Json::object();
  for (const auto& [name, count] : run.counts) counts[name] = count;
  report.json["scorer"] += {{"run", run.place.name}, {"auroc", run.auroc}, {"accuracy", run.accuracy},
                            {"brier", run.brier},    {"ece", run.ece},     {"counts", counts}};
  if (!run.measured) {
    page.missing("It has no metrics.json: it was stopped before its held-out pictures were scored.",
                 "Run <code>dtrain scorer --labels labels.jsonl --out RUN</code> to its end.");
    return;
  }
  Table table;
  table.header = {"Held-out pictures", ""};
  for (const auto& [name, value, digits] : {std::tuple<const char*, double, int>{"AUROC", run.auroc, 3},
                                            {"Brier score", run.brier, 3},
                                            {"Calibration error (ECE)", run.ece, 3}}) {
    if (std::isfinite(value)) table.rows.push_back({name, fixed(value, digits)});
  }
  if (std::isfinite(run.accuracy)) table.rows.insert(table.rows.begin() + 1, {"Accuracy", percent(run.accuracy)});
  report.lines.push_back("scorer: " + run.place.name + ": held-out AUROC " + fixed(run.auroc, 3) + ", accuracy " +
                         percent(run.accuracy));
  const std::string plot =
      run.calibration.empty() ? "<p>No calibration bins in metrics.json.</p>" : calibration_plot(run.calibration, 430);
  page.figure(
      "", "<div class=\"pair\"><div>" + plot + "</div><div>" + table_html(table) + "</div></div>",
      "Calibration on held-out pictures: of those scored about s, which fraction is good? On the dotted diagonal the "
      "score can be read as a probability. Dot areas follow the number of pictures, whiskers are 95 % intervals.");
  if (!run.counts.empty()) {
    page.table(counts_table(run), "Labelled pictures by use and verdict, and where they came from.");
  }
  if (!run.train_loss.value.empty()) {
    page.figure("", line_plot(loss_plot(run.train_loss, run.val_loss)), "The scorer’s loss against training step.");
  }
}

}  // namespace

std::string calibration_plot(const std::vector<ReliabilityShare>& calibration, int64_t side) {
  LinePlot plot;
  plot.x = {.label = side > 400 ? "mean score of the bin" : "mean score", .low = 0, .high = 1};
  plot.y = {.label = "fraction good", .low = 0, .high = 1};
  plot.width = side + 30;
  plot.height = side - 30;
  plot.diagonal = true;
  int64_t largest = 1;
  for (const ReliabilityShare& bin : calibration) largest = std::max(largest, bin.count);
  Series& bins = plot.series.emplace_back(Series{.width = 1.2, .dots = true});
  for (const ReliabilityShare& bin : calibration) {
    if (bin.count == 0) continue;
    bins.points.push_back({{bin.mean_score},
                           {bin.fraction_good, bin.share.low, bin.share.high},
                           (3 + 6 * std::sqrt(double(bin.count) / double(largest))) * double(side) / 430});
  }
  return line_plot(plot);
}

void training_part(const Material& material, Report& report) {
  report.json["diffusion"] = Json::array();
  if (material.runs.diffusion.empty()) {
    report.page.missing("There is no training run of the diffusion model.",
                        "Make it with <code>dtrain diffusion --data DATA --out RUN</code> and add RUN to "
                        "<code>--runs</code>.");
  }
  for (const DiffusionRun& run : material.runs.diffusion) show_diffusion(run, report);
}

void scorer_part(const Material& material, Report& report) {
  report.json["scorer"] = Json::array();
  if (material.runs.scorers.empty()) {
    report.page.missing(
        "There is no scorer run.",
        "Make it with <code>dlabel score --images OUT --out labels.jsonl</code> and <code>dtrain scorer "
        "--labels labels.jsonl --out RUN</code>, and add RUN to <code>--runs</code>.");
  }
  for (const ScorerRun& run : material.runs.scorers) show_scorer(run, report);
}

}  // namespace echodiff
