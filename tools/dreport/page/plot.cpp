#include "dreport/page/plot.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dreport/page/html.h"
#include "dreport/page/plot_parts.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

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

std::string style_of(const Series& series) {
  std::string style;
  if (!series.colour.empty()) style = "stroke:" + series.colour + ";";
  if (series.opacity < 1) style += "opacity:" + svg_number(series.opacity) + ";";
  return style.empty() ? "" : " style=\"" + style + "\"";
}

// From `low` to `high` of one axis at pixel `place` of the other; cut where the axis ends.
std::string whisker(double place, const Scale& scale, double low, double high, const Axis& axis,
                    const std::string& css_class, bool lies) {
  const double least = std::min(axis.low, axis.high), most = std::max(axis.low, axis.high);
  if (std::isnan(low) || std::isnan(high)) return "";
  const double from = scale(std::clamp(low, least, most)), to = scale(std::clamp(high, least, most));
  return lies ? svg_line(from, place, to, place, css_class) : svg_line(place, from, place, to, css_class);
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
    path += (pen_down ? "L" : "M") + svg_number(px) + " " + svg_number(py);
    pen_down = true;
    if (!series.low.empty()) dots += whisker(px, y, series.low[i], series.high[i], plot.y, series.css_class, false);
    if (!series.left.empty()) dots += whisker(py, x, series.left[i], series.right[i], plot.x, series.css_class, true);
    if (series.dots) {
      dots +=
          concat_message("<circle cx=\"", svg_number(px), "\" cy=\"", svg_number(py), "\" r=\"",
                         series.size.empty() ? "3" : svg_number(series.size[i]), "\" class=\"dot ", series.css_class,
                         "\"", series.colour.empty() ? "" : " style=\"fill:" + series.colour + "\"", "/>");
    }
  }
  std::string out;
  if (series.width > 0 && !path.empty()) {
    out = concat_message("<path class=\"", series.css_class, "\"", style_of(series), " stroke-width=\"",
                         svg_number(series.width), "\"", series.dashed ? " stroke-dasharray=\"5 4\"" : "", " d=\"",
                         path, "\"/>");
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

// A piece of text on the page, in plot pixels.
struct TextBox {
  double left, top, right, bottom;
  bool meets(const TextBox& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

// The name beside each named point, on the first side that is free of points, whiskers and other names, or on the
// right.
std::string point_labels(const LinePlot& plot, const Scale& x, const Scale& y, const TextBox& area) {
  constexpr double kGap = 8, kHeight = 14, kWidthOfLetter = 6.4;
  std::vector<TextBox> taken;
  for (const Series& series : plot.series) {
    if (series.labels.empty()) continue;
    for (size_t i = 0; i < series.x.size(); ++i) {
      const double px = x(series.x[i]), py = y(series.y[i]);
      taken.push_back({px - 5, py - 5, px + 5, py + 5});
      if (!series.low.empty()) taken.push_back({px - 1, y(series.high[i]), px + 1, y(series.low[i])});
      if (!series.left.empty()) taken.push_back({x(series.left[i]), py - 1, x(series.right[i]), py + 1});
    }
  }
  std::string out;
  for (const Series& series : plot.series) {
    for (size_t i = 0; i < series.labels.size(); ++i) {
      if (!drawable(series.x[i], plot.x) || !drawable(series.y[i], plot.y)) continue;
      const double px = x(series.x[i]), py = y(series.y[i]);
      const double width = kWidthOfLetter * double(series.labels[i].size());
      const TextBox right{px + kGap, py - 7, px + kGap + width, py + 7};
      const TextBox left{px - kGap - width, py - 7, px - kGap, py + 7};
      const auto moved = [&](const TextBox& box, double dx, double dy) {
        return TextBox{box.left + dx, box.top + dy, box.right + dx, box.bottom + dy};
      };
      std::vector<TextBox> places = {right, left};
      for (const double dy : {-kHeight, kHeight, -2 * kHeight, 2 * kHeight}) {
        for (const TextBox& box : {right, left}) places.push_back(moved(box, 0, dy));
      }
      const auto free = [&](const TextBox& box) {
        const bool inside =
            box.left >= area.left && box.right <= area.right && box.top >= area.top && box.bottom <= area.bottom;
        return inside &&
               std::none_of(taken.begin(), taken.end(), [&](const TextBox& other) { return box.meets(other); });
      };
      const auto found = std::find_if(places.begin(), places.end(), free);
      const TextBox box = found == places.end() ? right : *found;
      taken.push_back(box);
      out += svg_text(box.left, box.top + 11, "start", series.labels[i], " class=\"label\"");
    }
  }
  return out;
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
    for (const std::vector<double>* values : {&series.x, &series.left, &series.right}) {
      all_x.insert(all_x.end(), values->begin(), values->end());
    }
    for (const std::vector<double>* values : {&series.y, &series.low, &series.high}) {
      all_y.insert(all_y.end(), values->begin(), values->end());
    }
  }
  for (const Level& level : plot.levels) all_y.push_back(level.y);
  fit(plot.x, all_x);
  fit(plot.y, all_y);

  const double left = 64, right = double(plot.width) - 14, top = 10, bottom = double(plot.height) - 46;
  const Scale x(plot.x, left, right), y(plot.y, bottom, top);
  std::string out = svg_open(double(plot.width), double(plot.height), plot.y.label + " against " + plot.x.label);
  const auto ticks = [](const Axis& axis, int64_t count) {
    return axis_ticks(std::min(axis.low, axis.high), std::max(axis.low, axis.high), count, axis.logarithmic);
  };
  for (const double value : ticks(plot.y, 5)) {
    out +=
        svg_line(left, y(value), right, y(value), "rule") + svg_text(left - 8, y(value) + 4, "end", tick_text(value));
  }
  out += svg_x_ticks(ticks(plot.x, std::max<int64_t>(3, plot.width / 115)), x, bottom);
  out += svg_line(left, bottom, right, bottom, "axis");
  out += svg_text((left + right) / 2, double(plot.height) - 6, "middle", plot.x.label);
  out += svg_y_label((top + bottom) / 2, plot.y.label);
  if (plot.diagonal) {
    const double low = std::max(plot.x.low, plot.y.low), high = std::min(plot.x.high, plot.y.high);
    out += svg_line(x(low), y(low), x(high), y(high), "axis", " stroke-dasharray=\"2 4\"");
  }
  for (const Series& series : plot.series) out += draw_series(series, plot, x, y);
  out += point_labels(plot, x, y, {left, top, right, bottom});
  for (const Level& level : plot.levels) {
    out += svg_line(left, y(level.y), right, y(level.y), "axis", " stroke-dasharray=\"6 4\"") +
           svg_text(left + 8, y(level.y) - 6, "start", level.label, " class=\"label\"");
  }
  return legend(plot.series) + out + "</svg>\n";
}

}  // namespace echodiff
