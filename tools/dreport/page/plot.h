// Plots as inline SVG: lines over numeric axes, and histograms. Colours come from the page's style sheet, so that a
// plot follows the reader's light or dark theme.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quality/statistics/estimates.h"

namespace echodiff {

struct Point {
  Estimate x, y;           // where it lies, and the ends of its whiskers
  double size = 3;         // radius of its dot in plot pixels
  std::string label = {};  // a name beside it
};

struct Series {
  std::string name = {};           // in the legend; empty: not listed
  std::string css_class = "c1";    // c0 (grey) to c5
  std::string colour = {};         // a CSS colour in place of the class's
  std::vector<Point> points = {};  // those that are not finite break the line
  double width = 1.8;              // of the line; 0: none
  double opacity = 1;
  bool dots = false, dashed = false;
};

// A dashed line across the plot at y.
struct Level {
  double y;
  std::string label;
};

struct Axis {
  std::string label;         // with its unit
  double low = 0, high = 0;  // low == high: from the data. low > high: drawn from right to left
  bool logarithmic = false;  // values that are not positive are left out
};

struct LinePlot {
  Axis x, y;
  std::vector<Series> series;
  std::vector<Level> levels;
  bool diagonal = false;  // a grey line y = x
  int64_t width = 930, height = 330;
};

// The legend (HTML) and the plot below it.
std::string line_plot(const LinePlot& plot);

// Counts over a numeric axis, those of each bin stacked by kind: the first kind at the bottom.
struct Stack {
  std::string name;           // in the legend
  std::string css_class;      // c0 to c5
  std::vector<double> count;  // one per bin, and one more for `last` where it is named
};
struct Histogram {
  std::string x_label, y_label;
  std::vector<double> edges;  // of the bins, rising or falling
  std::string last;           // a further bar behind the axis, under this name; empty: none
  std::vector<Stack> stacks;
  int64_t width = 930, height = 300;
};
std::string histogram_plot(const Histogram& histogram);

}  // namespace echodiff
