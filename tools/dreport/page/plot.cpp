#include "dreport/page/plot.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dreport/page/html.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

// Where a value lies on the page: linear or logarithmic, from pixel `start` to pixel `end`.
struct Scale {
  Axis axis;
  double start, end;

  double place(double value) const { return axis.logarithmic ? std::log10(value) : value; }
  double operator()(double value) const {
    const double low = place(axis.low), high = place(axis.high);
    return start + (place(value) - low) / (high - low) * (end - start);
  }
};

std::string svg_number(double value) {
  std::string text = fixed(value, 2);
  if (text.rfind("−", 0) == 0) text = "-" + text.substr(std::string("−").size());
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

// The number at a tick: 0, 0.25, 1,500, 2.5M.
std::string tick_text(double value) {
  if (value == 0) return "0";
  const double size = std::fabs(value);
  if (size >= 1e6 && std::fmod(size, 1e5) == 0) return rounded(value / 1e6, 2) + "M";
  if (size >= 1000) return count_text(std::llround(value));
  return compact(value);
}

// `extra` holds further attributes, here and below.
std::string svg_line(double x1, double y1, double x2, double y2, const std::string& css_class, const char* extra = "") {
  return concat_message("<line x1=\"", svg_number(x1), "\" y1=\"", svg_number(y1), "\" x2=\"", svg_number(x2),
                        "\" y2=\"", svg_number(y2), "\" class=\"", css_class, "\"", extra, "/>");
}

std::string svg_text(double x, double y, const char* anchor, const std::string& text, const char* extra = "") {
  return concat_message("<text x=\"", svg_number(x), "\" y=\"", svg_number(y), "\" text-anchor=\"", anchor, "\"", extra,
                        ">", escape_html(text), "</text>");
}

// The ticks of the horizontal axis below `bottom`; those of the vertical axis, with a rule across the plot each; the
// vertical axis's label, turned, around `middle`.
std::string svg_x_ticks(const std::vector<double>& values, const Scale& x, double bottom) {
  std::string out;
  for (const double value : values) {
    out += svg_line(x(value), bottom, x(value), bottom + 5, "axis") +
           svg_text(x(value), bottom + 19, "middle", tick_text(value));
  }
  return out;
}

std::string svg_y_ticks(const std::vector<double>& values, const Scale& y, double left, double right) {
  std::string out;
  for (const double value : values) {
    out +=
        svg_line(left, y(value), right, y(value), "rule") + svg_text(left - 8, y(value) + 4, "end", tick_text(value));
  }
  return out;
}

std::string svg_y_label(double middle, const std::string& label) {
  return svg_text(14, middle, "middle", label,
                  concat_message(" transform=\"rotate(-90 14 ", svg_number(middle), ")\"").c_str());
}

// The opening of a plot of this size; `title` is what a screen reader says.
std::string svg_open(double width, double height, const std::string& title) {
  return concat_message("<svg class=\"plot\" role=\"img\" viewBox=\"0 0 ", svg_number(width), " ", svg_number(height),
                        "\"><title>", escape_html(title), "</title>");
}

bool drawable(double value, const Axis& axis) { return std::isfinite(value) && (!axis.logarithmic || value > 0); }
bool drawable(const Point& point, const LinePlot& plot) {
  return drawable(point.x.value, plot.x) && drawable(point.y.value, plot.y);
}

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

// Round values on the axis, about `wanted` of them.
std::vector<double> axis_ticks(const Axis& axis, int64_t wanted) {
  const auto [low, high] = std::minmax(axis.low, axis.high);
  std::vector<double> ticks;
  if (axis.logarithmic) {
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

std::string style_of(const Series& series) {
  std::string style;
  if (!series.colour.empty()) style = "stroke:" + series.colour + ";";
  if (series.opacity < 1) style += "opacity:" + svg_number(series.opacity) + ";";
  return style.empty() ? "" : " style=\"" + style + "\"";
}

// The interval on one axis at pixel `place` of the other; cut where the axis ends.
std::string whisker(double place, const Scale& scale, const Estimate& interval, const std::string& css_class,
                    bool lies) {
  const auto [least, most] = std::minmax(scale.axis.low, scale.axis.high);
  if (std::isnan(interval.low) || std::isnan(interval.high)) return "";
  const double from = scale(std::clamp(interval.low, least, most));
  const double to = scale(std::clamp(interval.high, least, most));
  return lies ? svg_line(from, place, to, place, css_class) : svg_line(place, from, place, to, css_class);
}

std::string draw_series(const Series& series, const LinePlot& plot, const Scale& x, const Scale& y) {
  std::string path, dots;
  bool pen_down = false;
  for (const Point& point : series.points) {
    if (!drawable(point, plot)) {
      pen_down = false;
      continue;
    }
    const double px = x(point.x.value), py = y(point.y.value);
    path += (pen_down ? "L" : "M") + svg_number(px) + " " + svg_number(py);
    pen_down = true;
    dots += whisker(px, y, point.y, series.css_class, false);
    dots += whisker(py, x, point.x, series.css_class, true);
    if (series.dots) {
      dots += concat_message("<circle cx=\"", svg_number(px), "\" cy=\"", svg_number(py), "\" r=\"",
                             svg_number(point.size), "\" class=\"dot ", series.css_class, "\"",
                             series.colour.empty() ? "" : " style=\"fill:" + series.colour + "\"", "/>");
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
    for (const Point& point : series.points) {
      if (point.label.empty()) continue;
      const double px = x(point.x.value), py = y(point.y.value);
      taken.push_back({px - 5, py - 5, px + 5, py + 5});
      taken.push_back({px - 1, y(point.y.high), px + 1, y(point.y.low)});
      taken.push_back({x(point.x.low), py - 1, x(point.x.high), py + 1});
    }
  }
  std::string out;
  for (const Series& series : plot.series) {
    for (const Point& point : series.points) {
      if (point.label.empty() || !drawable(point, plot)) continue;
      const double px = x(point.x.value), py = y(point.y.value);
      const double width = kWidthOfLetter * double(point.label.size());
      std::vector<TextBox> places;
      for (const double dy : {0.0, -kHeight, kHeight, -2 * kHeight, 2 * kHeight})
        for (const double at : {px + kGap, px - kGap - width})
          places.push_back({at, py - 7 + dy, at + width, py + 7 + dy});
      const auto free = [&](const TextBox& box) {
        const bool inside =
            box.left >= area.left && box.right <= area.right && box.top >= area.top && box.bottom <= area.bottom;
        return inside &&
               std::none_of(taken.begin(), taken.end(), [&](const TextBox& other) { return box.meets(other); });
      };
      const auto found = std::find_if(places.begin(), places.end(), free);
      const TextBox box = found == places.end() ? places.front() : *found;
      taken.push_back(box);
      out += svg_text(box.left, box.top + 11, "start", point.label, " class=\"label\"");
    }
  }
  return out;
}

}  // namespace

std::string line_plot(const LinePlot& wanted) {
  LinePlot plot = wanted;
  std::vector<double> all_x, all_y;
  for (const Series& series : plot.series) {
    for (const auto& [x, y, size, label] : series.points) {
      all_x.insert(all_x.end(), {x.value, x.low, x.high});
      all_y.insert(all_y.end(), {y.value, y.low, y.high});
    }
  }
  for (const Level& level : plot.levels) all_y.push_back(level.y);
  fit(plot.x, all_x);
  fit(plot.y, all_y);

  const double left = 64, right = double(plot.width) - 14, top = 10, bottom = double(plot.height) - 46;
  const Scale x{plot.x, left, right}, y{plot.y, bottom, top};
  std::string out = svg_open(double(plot.width), double(plot.height), plot.y.label + " against " + plot.x.label);
  out += svg_y_ticks(axis_ticks(plot.y, 5), y, left, right);
  out += svg_x_ticks(axis_ticks(plot.x, std::max<int64_t>(3, plot.width / 115)), x, bottom);
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

std::string histogram_plot(const Histogram& histogram) {
  const size_t bins = histogram.edges.size() - 1, bars = bins + (histogram.last.empty() ? 0 : 1);
  double highest = 1;
  for (size_t bin = 0; bin < bars; ++bin) {
    double sum = 0;
    for (const Stack& stack : histogram.stacks) sum += stack.count[bin];
    highest = std::max(highest, sum);
  }
  const double width = double(histogram.width), height = double(histogram.height);
  const double left = 64, top = 10, bottom = height - 46, room = histogram.last.empty() ? 14 : 120;
  const Scale x{{"", histogram.edges.front(), histogram.edges.back()}, left, width - room};
  const Scale y{{"", 0, 1.05 * highest}, bottom, top};
  std::string out;
  for (const Stack& stack : histogram.stacks) {
    out +=
        concat_message("<span><svg class=\"plot key\" viewBox=\"0 0 24 12\"><rect class=\"bar ", stack.css_class,
                       "\" x=\"6\" y=\"0\" width=\"12\" height=\"12\"/></svg> ", escape_html(stack.name), "</span> ");
  }
  out = "<p class=\"legend\">" + out + "</p>" +
        svg_open(width, height, histogram.y_label + " against " + histogram.x_label);
  std::vector<double> counts = axis_ticks({"", 0, highest}, 4);
  std::erase_if(counts, [](double value) { return value != std::floor(value); });
  out += svg_y_ticks(counts, y, left, width - 14);
  for (size_t bin = 0; bin < bars; ++bin) {
    const bool is_last = bin == bins;
    const double from = is_last ? width - 84 : x(histogram.edges[bin]) + 0.5;
    const double to = is_last ? width - 34 : x(histogram.edges[bin + 1]) - 0.5;
    double below = 0;
    for (const Stack& stack : histogram.stacks) {
      const double count = stack.count[bin];
      if (count == 0) continue;
      out += concat_message("<rect class=\"bar ", stack.css_class, "\" x=\"", svg_number(from), "\" y=\"",
                            svg_number(y(below + count)), "\" width=\"", svg_number(to - from), "\" height=\"",
                            svg_number(y(below) - y(below + count)), "\"><title>", escape_html(stack.name), ": ",
                            count_text(std::llround(count)), "</title></rect>");
      below += count;
    }
    if (is_last) out += svg_text((from + to) / 2, bottom + 19, "middle", histogram.last);
  }
  out += svg_x_ticks(axis_ticks(x.axis, std::max<int64_t>(3, histogram.width / 130)), x, bottom);
  out += svg_line(left, bottom, width - 14, bottom, "axis");
  out += svg_text((left + width - room) / 2, height - 6, "middle", histogram.x_label);
  return out + svg_y_label((top + bottom) / 2, histogram.y_label) + "</svg>\n";
}

}  // namespace echodiff
