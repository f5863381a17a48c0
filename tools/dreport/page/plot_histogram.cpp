// Histograms.
#include <algorithm>
#include <cmath>

#include "dreport/page/html.h"
#include "dreport/page/plot.h"
#include "dreport/page/plot_parts.h"
#include "kernels/error.h"

namespace echodiff {

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
  const Scale x({"", histogram.edges.front(), histogram.edges.back(), false}, left, width - room);
  const Scale y({"", 0, 1.05 * highest, false}, bottom, top);
  std::string out;
  for (const Stack& stack : histogram.stacks) {
    out +=
        concat_message("<span><svg class=\"plot key\" viewBox=\"0 0 24 12\"><rect class=\"bar ", stack.css_class,
                       "\" x=\"6\" y=\"0\" width=\"12\" height=\"12\"/></svg> ", escape_html(stack.name), "</span> ");
  }
  out = "<p class=\"legend\">" + out + "</p>" +
        svg_open(width, height, histogram.y_label + " against " + histogram.x_label);
  for (const double value : axis_ticks(0, highest, 4, false)) {
    if (value != std::floor(value)) continue;
    out += svg_line(left, y(value), width - 14, y(value), "rule") +
           svg_text(left - 8, y(value) + 4, "end", tick_text(value));
  }
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
  const double low = std::min(histogram.edges.front(), histogram.edges.back());
  const double high = std::max(histogram.edges.front(), histogram.edges.back());
  out += svg_x_ticks(axis_ticks(low, high, 7, false), x, bottom);
  out += svg_line(left, bottom, width - 14, bottom, "axis");
  out += svg_text((left + width - room) / 2, height - 6, "middle", histogram.x_label);
  return out + svg_y_label((top + bottom) / 2, histogram.y_label) + "</svg>\n";
}

}  // namespace echodiff
