#include "dreport/page/plot_parts.h"

#include <cmath>

#include "dreport/page/html.h"
#include "kernels/error.h"

namespace echodiff {

Scale::Scale(const Axis& axis, double start, double end)
    : logarithmic_(axis.logarithmic), low_(place(axis.low)), high_(place(axis.high)), start_(start), end_(end) {}

double Scale::place(double value) const { return logarithmic_ ? std::log10(value) : value; }

std::string svg_number(double value) {
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

std::string svg_line(double x1, double y1, double x2, double y2, const std::string& css_class, const char* extra) {
  return concat_message("<line x1=\"", svg_number(x1), "\" y1=\"", svg_number(y1), "\" x2=\"", svg_number(x2),
                        "\" y2=\"", svg_number(y2), "\" class=\"", css_class, "\"", extra, "/>");
}

std::string svg_text(double x, double y, const char* anchor, const std::string& text, const char* extra) {
  return concat_message("<text x=\"", svg_number(x), "\" y=\"", svg_number(y), "\" text-anchor=\"", anchor, "\"", extra,
                        ">", escape_html(text), "</text>");
}

std::string svg_x_ticks(const std::vector<double>& values, const Scale& x, double bottom) {
  std::string out;
  for (const double value : values) {
    out += svg_line(x(value), bottom, x(value), bottom + 5, "axis") +
           svg_text(x(value), bottom + 19, "middle", tick_text(value));
  }
  return out;
}

std::string svg_y_label(double middle, const std::string& label) {
  return svg_text(14, middle, "middle", label,
                  concat_message(" transform=\"rotate(-90 14 ", svg_number(middle), ")\"").c_str());
}

std::string svg_open(double width, double height, const std::string& title) {
  return concat_message("<svg class=\"plot\" role=\"img\" viewBox=\"0 0 ", svg_number(width), " ", svg_number(height),
                        "\"><title>", escape_html(title), "</title>");
}

}  // namespace echodiff
