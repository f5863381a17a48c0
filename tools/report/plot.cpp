#include "plot.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "html.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

// Where a value lies on the page: linear or logarithmic, from pixel `start` to pixel `end`.
class Scale {
 public:
  Scale(const Axis& axis, double start, double end)
      : logarithmic_(axis.logarithmic), low_(place(axis.low)), high_(place(axis.high)), start_(start), end_(end) {}
  double operator()(double value) const { return start_ + (place(value) - low_) / (high_ - low_) * (end_ - start_); }

 private:
  double place(double value) const { return logarithmic_ ? std::log10(value) : value; }
  bool logarithmic_;
  double low_, high_, start_, end_;
};

bool drawable(double value, const Axis& axis) { return std::isfinite(value) && (!axis.logarithmic || value > 0); }

// Fills in an axis that is taken from the data.
void fit(Axis& axis, const std::vector<double>& values) {
  if (axis.low != axis.high) return;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const double value : values) {
    if (!drawable(value, axis)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (low > high) low = 1, high = 2;
  if (axis.logarithmic) {
    axis.low = low / 1.12;
    axis.high = high * 1.12;
  } else {
    const double margin = high > low ? 0.04 * (high - low) : std::max(0.5, 0.1 * std::fabs(high));
    axis.low = low >= 0 && low < 0.3 * high ? 0 : low - margin;
    axis.high = high + margin;
  }
}

std::string number(double value) {
  std::string text = fixed(value, 2);
  if (text.rfind("−", 0) == 0) text = "-" + text.substr(std::string("−").size());
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string tick_text(double value) {
  if (value == 0) return "0";
  const double size = std::fabs(value);
  if (size >= 1e6 && std::fmod(size, 1e5) == 0) return rounded(value / 1e6, 2) + "M";
  if (size >= 1000) return count_text(std::llround(value));
  return compact(value);
}

std::string line(double x1, double y1, double x2, double y2, const std::string& css_class, const char* extra = "") {
  return concat_message("<line x1=\"", number(x1), "\" y1=\"", number(y1), "\" x2=\"", number(x2), "\" y2=\"",
                        number(y2), "\" class=\"", css_class, "\"", extra, "/>");
}

std::string label(double x, double y, const char* anchor, const std::string& text, const char* extra = "") {
  return concat_message("<text x=\"", number(x), "\" y=\"", number(y), "\" text-anchor=\"", anchor, "\"", extra, ">",
                        escape_html(text), "</text>");
}

std::string style_of(const Series& series) {
  std::string style;
  if (!series.colour.empty()) style = "stroke:" + series.colour + ";";
  if (series.opacity < 1) style += "opacity:" + number(series.opacity) + ";";
  return style.empty() ? "" : " style=\"" + style + "\"";
}

std::string draw_series(const Series& series, const LinePlot& plot, const Scale& x, const Scale& y) {
  std::string path, dots;
  bool pen_down = false;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!drawable(series.x[i], plot.x) || !drawable(series.y[i], plot.y)) {
      pen_down = false;
      continue;
    }
    const double px = x(series.x[i]), py = y(series.y[i]);
    path += (pen_down ? "L" : "M") + number(px) + " " + number(py);
    pen_down = true;
    if (!series.low.empty()) dots += line(px, y(series.low[i]), px, y(series.high[i]), series.css_class);
    if (series.dots) {
      dots += concat_message("<circle cx=\"", number(px), "\" cy=\"", number(py), "\" r=\"",
                             series.size.empty() ? "3" : number(series.size[i]), "\" class=\"dot ", series.css_class,
                             "\"", series.colour.empty() ? "" : " style=\"fill:" + series.colour + "\"", "/>");
    }
  }
  std::string out;
  if (series.width > 0 && !path.empty()) {
    out = concat_message("<path class=\"", series.css_class, "\"", style_of(series), " stroke-width=\"",
                         number(series.width), "\"", series.dashed ? " stroke-dasharray=\"5 4\"" : "", " d=\"", path,
                         "\"/>");
  }
  return out + dots;
}

std::string legend(const std::vector<Series>& all) {
  std::string out;
  for (const Series& series : all) {
    if (series.name.empty()) continue;
    const std::string mark =
        series.width > 0
            ? concat_message("<path class=\"", series.css_class, "\"", style_of(series), " stroke-width=\"2.4\"",
                             series.dashed ? " stroke-dasharray=\"5 4\"" : "", " d=\"M1 6H23\"/>")
            : concat_message("<circle class=\"dot ", series.css_class, "\" cx=\"12\" cy=\"6\" r=\"4\"/>");
    out +=
        "<span><svg class=\"plot\" style=\"display:inline-block;width:24px;height:12px;vertical-align:-1px\" "
        "viewBox=\"0 0 24 12\">" +
        mark + "</svg> " + escape_html(series.name) + "</span> ";
  }
  return out.empty() ? "" : "<p class=\"legend\">" + out + "</p>";
}

}  // namespace

std::vector<double> axis_ticks(double low, double high, int64_t wanted, bool logarithmic) {
  std::vector<double> ticks;
  if (logarithmic) {
    const bool decades_only = std::log10(high / low) > 3;
    for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high; decade *= 10) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        const double value = decade * factor;
        if (value >= low && value <= high && (factor == 1 || !decades_only)) ticks.push_back(value);
      }
    }
    if (ticks.size() >= 3) return ticks;
    ticks.clear();
  }
  const double raw = (high - low) / double(std::max<int64_t>(1, wanted));
  const double decade = std::pow(10, std::floor(std::log10(raw)));
  const double lead = raw / decade;
  const double step = decade * (lead <= 1.5 ? 1 : lead <= 3.5 ? 2 : lead <= 7.5 ? 5 : 10);
  for (double index = std::ceil(low / step - 1e-9); index * step <= high + 1e-9 * step; index += 1) {
    ticks.push_back(index * step);
  }
  return ticks;
}

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
    out[size_t(i)] = counted > 0 ? sum / double(counted) : std::numeric_limits<double>::quiet_NaN();
  }
  return out;
}

std::string line_plot(const LinePlot& wanted) {
  LinePlot plot = wanted;
  std::vector<double> all_x, all_y;
  for (const Series& series : plot.series) {
    all_x.insert(all_x.end(), series.x.begin(), series.x.end());
    for (const std::vector<double>* values : {&series.y, &series.low, &series.high}) {
      all_y.insert(all_y.end(), values->begin(), values->end());
    }
  }
  for (const Level& level : plot.levels) all_y.push_back(level.y);
  fit(plot.x, all_x);
  fit(plot.y, all_y);

  const double left = 64, right = double(plot.width) - 14, top = 10, bottom = double(plot.height) - 46;
  const Scale x(plot.x, left, right), y(plot.y, bottom, top);
  std::string out = concat_message("<svg class=\"plot\" role=\"img\" viewBox=\"0 0 ", plot.width, " ", plot.height,
                                   "\"><title>", escape_html(plot.y.label + " against " + plot.x.label), "</title>");
  const auto ticks = [](const Axis& axis, int64_t count) {
    return axis_ticks(std::min(axis.low, axis.high), std::max(axis.low, axis.high), count, axis.logarithmic);
  };
  for (const double value : ticks(plot.y, 5)) {
    out += line(left, y(value), right, y(value), "rule") + label(left - 8, y(value) + 4, "end", tick_text(value));
  }
  for (const double value : ticks(plot.x, std::max<int64_t>(3, plot.width / 115))) {
    out +=
        line(x(value), bottom, x(value), bottom + 5, "axis") + label(x(value), bottom + 19, "middle", tick_text(value));
  }
  out += line(left, bottom, right, bottom, "axis");
  out += label((left + right) / 2, double(plot.height) - 6, "middle", plot.x.label);
  const double middle = (top + bottom) / 2;
  out += label(14, middle, "middle", plot.y.label,
               concat_message(" transform=\"rotate(-90 14 ", number(middle), ")\"").c_str());
  if (plot.diagonal) {
    const double low = std::max(plot.x.low, plot.y.low), high = std::min(plot.x.high, plot.y.high);
    out += line(x(low), y(low), x(high), y(high), "axis", " stroke-dasharray=\"2 4\"");
  }
  for (const Series& series : plot.series) out += draw_series(series, plot, x, y);
  for (const Level& level : plot.levels) {
    out += line(left, y(level.y), right, y(level.y), "axis", " stroke-dasharray=\"6 4\"") +
           label(left + 8, y(level.y) - 6, "start", level.label, " class=\"label\"");
  }
  return legend(plot.series) + out + "</svg>\n";
}

std::string bar_plot(const std::vector<Bar>& bars, const std::string& axis_label, double full) {
  constexpr double kWidth = 930, kLeft = 250, kRight = 840, kRow = 46;
  double high = full;
  for (const Bar& bar : bars) {
    for (const double value : {bar.value, bar.high}) {
      if (std::isfinite(value)) high = std::max(high, value);
    }
  }
  if (high <= 0) high = 1;
  const double bottom = 8 + kRow * double(bars.size());
  const Scale x({"", 0, high, false}, kLeft, kRight);
  std::string out = concat_message("<svg class=\"plot\" role=\"img\" viewBox=\"0 0 ", number(kWidth), " ",
                                   number(bottom + 46), "\"><title>", escape_html(axis_label), "</title>");
  for (const double value : axis_ticks(0, high, 5, false)) {
    out += line(x(value), 4, x(value), bottom, "rule") + label(x(value), bottom + 17, "middle", tick_text(value));
  }
  double middle = 8 + kRow / 2;
  for (const Bar& bar : bars) {
    const bool noted = !bar.note.empty();
    out += label(kLeft - 12, middle + (noted ? -2 : 4), "end", bar.label, " class=\"label\"");
    if (noted) out += label(kLeft - 12, middle + 13, "end", bar.note, " font-size=\"11\"");
    double end = kLeft;
    if (std::isfinite(bar.value)) {
      end = x(bar.value);
      out +=
          concat_message("<rect class=\"bar ", bar.css_class, "\" x=\"", number(kLeft), "\" y=\"", number(middle - 12),
                         "\" width=\"", number(std::max(0.5, end - kLeft)), "\" height=\"24\" rx=\"2\"/>");
      if (bar.low < bar.high) {
        out += line(x(bar.low), middle, x(bar.high), middle, "whisker");
        for (const double edge : {x(bar.low), x(bar.high)}) out += line(edge, middle - 5, edge, middle + 5, "whisker");
        end = std::max(end, x(bar.high));
      }
    }
    out += label(end + 9, middle + 4, "start", bar.text, " class=\"label\"");
    middle += kRow;
  }
  out += line(kLeft, 4, kLeft, bottom, "axis") + label((kLeft + kRight) / 2, bottom + 40, "middle", axis_label);
  return out + "</svg>\n";
}

}  // namespace echodiff
