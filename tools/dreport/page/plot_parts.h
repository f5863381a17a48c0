// What plots are drawn with: scales, strokes and text as SVG. For the plot files only.
#pragma once

#include <string>
#include <vector>

#include "dreport/page/plot.h"

namespace echodiff {

// Where a value lies on the page: linear or logarithmic, from pixel `start` to pixel `end`.
class Scale {
 public:
  Scale(const Axis& axis, double start, double end);
  double operator()(double value) const { return start_ + (place(value) - low_) / (high_ - low_) * (end_ - start_); }

 private:
  double place(double value) const;
  bool logarithmic_;
  double low_, high_, start_, end_;
};

std::string svg_number(double value);
// The number at a tick: 0, 0.25, 1,500, 2.5M.
std::string tick_text(double value);
// `extra` holds further attributes.
std::string svg_line(double x1, double y1, double x2, double y2, const std::string& css_class, const char* extra = "");
std::string svg_text(double x, double y, const char* anchor, const std::string& text, const char* extra = "");
// The ticks of the horizontal axis below `bottom`; the vertical axis's label, turned, around `middle`.
std::string svg_x_ticks(const std::vector<double>& values, const Scale& x, double bottom);
std::string svg_y_label(double middle, const std::string& label);
// The opening of a plot of this size; `title` is what a screen reader says.
std::string svg_open(double width, double height, const std::string& title);

}  // namespace echodiff
