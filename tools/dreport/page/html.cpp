#include "dreport/page/html.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "kernels/error.h"
#include "tensor/io/text.h"

namespace echodiff {

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string fixed(double value, int digits) {
  if (!std::isfinite(value)) return "–";
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  const std::string text = buffer;
  if (text[0] != '-') return text;
  return text.find_first_of("123456789") == std::string::npos ? text.substr(1) : "−" + text.substr(1);
}

std::string rounded(double value, int significant) {
  if (!std::isfinite(value)) return "–";
  const double size = std::fabs(value);
  if (size >= 10000) return (value < 0 ? "−" : "") + count_text(std::llround(size));
  if (size > 0 && size < 1e-4) {
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, "%.*g", significant, value);
    return buffer;
  }
  const int whole = size > 0 ? int(std::floor(std::log10(size))) + 1 : 1;
  return fixed(value, std::max(0, significant - whole));
}

std::string compact(double value, int significant) {
  std::string text = rounded(value, significant);
  if (text.find('.') == std::string::npos || text.find('e') != std::string::npos) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string whole_text(double value) { return std::isfinite(value) ? count_text(std::llround(value)) : "–"; }

std::string percent(double fraction) { return std::isfinite(fraction) ? fixed(100 * fraction, 1) + " %" : "–"; }

std::string count_text(int64_t value) {
  std::string digits = std::to_string(value);
  if (value < 0) digits.erase(0, 1);
  std::string out = value < 0 ? "−" : "";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds)) return "–";
  if (seconds < 120) return rounded(seconds) + " s";
  const int64_t whole = std::llround(seconds);
  const std::string tail = std::to_string(whole / 60 % 60) + " min " + std::to_string(whole % 60) + " s";
  return whole < 3600 ? tail : count_text(whole / 3600) + " h " + tail;
}

std::string data_uri(const GrayImage& image) { return "data:image/png;base64," + base64(encode_png(image)); }

std::string outline_path(const GrayImage& mask, bool rim) {
  const auto inside = [&](int64_t row, int64_t column) {
    return row >= 0 && row < mask.height && column >= 0 && column < mask.width && mask.at(row, column) != 0;
  };
  const auto on_rim = [rim](int64_t edge, int64_t size) { return !rim && (edge == 0 || edge == size); };
  std::string path;
  // Runs of edges are joined into one stroke: first the horizontal edges between rows, then the vertical ones.
  for (int64_t row = 0; row <= mask.height; ++row) {
    for (int64_t column = 0; column < mask.width; ++column) {
      if (on_rim(row, mask.height) || inside(row - 1, column) == inside(row, column)) continue;
      const int64_t start = column;
      while (column + 1 < mask.width && inside(row - 1, column + 1) != inside(row, column + 1)) ++column;
      path += "M" + std::to_string(start) + " " + std::to_string(row) + "H" + std::to_string(column + 1);
    }
  }
  for (int64_t column = 0; column <= mask.width; ++column) {
    for (int64_t row = 0; row < mask.height; ++row) {
      if (on_rim(column, mask.width) || inside(row, column - 1) == inside(row, column)) continue;
      const int64_t start = row;
      while (row + 1 < mask.height && inside(row + 1, column - 1) != inside(row + 1, column)) ++row;
      path += "M" + std::to_string(column) + " " + std::to_string(start) + "V" + std::to_string(row + 1);
    }
  }
  return path;
}

std::string picture_svg(const GrayImage& image, const std::vector<Outline>& outlines, std::string_view alt) {
  const std::string width = std::to_string(image.width), height = std::to_string(image.height);
  std::string out = "<svg class=\"picture\" role=\"img\" viewBox=\"0 0 " + width + " " + height + "\"><title>" +
                    escape_html(alt) + "</title><image width=\"" + width + "\" height=\"" + height + "\" href=\"" +
                    data_uri(image) + "\"/>";
  for (const Outline& outline : outlines) {
    const std::string path = outline_path(*outline.mask, outline.css_class != "sector");
    if (!path.empty()) out += "<path class=\"" + outline.css_class + "\" d=\"" + path + "\"/>";
  }
  return out + "</svg>";
}

std::string mask_svg(const std::vector<GrayImage>& planes, std::string_view alt) {
  const int64_t width = planes.front().width, height = planes.front().height;
  std::string out = concat_message("<svg class=\"picture\" role=\"img\" shape-rendering=\"crispEdges\" viewBox=\"0 0 ",
                                   width, " ", height, "\"><title>", escape_html(alt), "</title>");
  for (size_t i = 0; i < planes.size(); ++i) {
    const size_t index = (i + planes.size() - 1) % planes.size();  // the sector lies below the others
    const GrayImage& plane = planes[index];
    std::string path;
    for (int64_t row = 0; row < height; ++row) {
      for (int64_t column = 0; column < width; ++column) {
        if (plane.at(row, column) == 0) continue;
        const int64_t start = column;
        while (column + 1 < width && plane.at(row, column + 1) != 0) ++column;
        path += concat_message("M", start, " ", row, "H", column + 1, "v1H", start, "z");
      }
    }
    const std::string css_class = plane_class(index, planes.size());
    const std::string fill = css_class == "sector" ? "fsector" : "f" + css_class.substr(1);
    out += concat_message("<path class=\"fill ", fill, "\" d=\"", path, "\"/>");
  }
  return out + "</svg>";
}

std::string plane_class(size_t index, size_t count) {
  return index + 1 == count ? "sector" : "p" + std::to_string(index % 4);
}

std::string cell_html(std::string_view svg, std::string_view text_html) {
  return concat_message("<div class=\"cell\">", svg, text_html.empty() ? "" : "<p>", text_html,
                        text_html.empty() ? "" : "</p>", "</div>");
}

std::string grid_html(const std::vector<std::string>& cells, int64_t columns) {
  std::string out = concat_message("<div class=\"grid\" style=\"grid-template-columns:repeat(", columns, ",1fr)\">");
  for (const std::string& cell : cells) out += cell;
  return out + "</div>\n";
}

std::string multiples_html(const std::vector<std::string>& plots) {
  std::string out = "<div class=\"multiples\">";
  for (const std::string& plot : plots) out += "<div>" + plot + "</div>";
  return out + "</div>\n";
}

std::string table_html(const Table& table) {
  std::string out = concat_message("<div class=\"scroll", table.wide ? " wide" : "",
                                   "\" tabindex=\"0\" role=\"region\" aria-label=\"table\"><table><thead><tr>");
  for (const std::string& cell : table.header) out += "<th scope=\"col\">" + cell + "</th>";
  out += "</tr></thead><tbody>";
  for (size_t row = 0; row < table.rows.size(); ++row) {
    bool quiet = false;
    for (const size_t index : table.quiet_rows) quiet = quiet || index == row;
    out += quiet ? "<tr class=\"quiet\">" : "<tr>";
    for (const std::string& cell : table.rows[row]) out += "<td>" + cell + "</td>";
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

// The id lies within what opens: a browser that goes there opens it.
void Page::section(std::string_view id, std::string_view text, bool open) {
  if (!contents_.empty()) body_ += "</div></details>\n";
  body_ += concat_message("<details class=\"section\"", open ? " open" : "", "><summary><h2>", escape_html(text),
                          "</h2></summary>\n<div id=\"", id, "\">\n");
  contents_.push_back({std::string(id), std::string(text)});
}

void Page::heading(std::string_view text) { body_ += concat_message("<h3>", escape_html(text), "</h3>\n"); }

void Page::paragraph(std::string_view html) { body_ += concat_message("<p>", html, "</p>\n"); }

void Page::add(std::string_view html) { body_ += html; }

void Page::table(const Table& table, std::string_view caption_html) {
  body_ += table_html(table);
  if (!caption_html.empty()) body_ += concat_message("<p class=\"note\">", caption_html, "</p>\n");
}

void Page::figure(std::string_view label, std::string_view body_html, std::string_view caption_html) {
  body_ += concat_message("<figure>", body_html, "<figcaption>");
  if (!label.empty()) body_ += concat_message("<b>", escape_html(label), ".</b> ");
  body_ += concat_message(caption_html, "</figcaption></figure>\n");
}

void Page::missing(std::string_view what_text, std::string_view how_html) {
  body_ += concat_message("<div class=\"missing\">", escape_html(what_text), " ", how_html, "</div>\n");
}

std::string Page::finish(std::string_view title) const {
  const std::string reload =
      reload_seconds_ > 0 ? concat_message("<meta http-equiv=\"refresh\" content=\"", reload_seconds_, "\">") : "";
  std::string out = concat_message(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "img-src data:; base-uri 'none'; form-action 'none'\">",
      reload,
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" "
      "href=\"data:,\"><title>",
      escape_html(title), "</title><style>", kReportStyle, "</style></head>\n<body><nav aria-label=\"Contents\">",
      "<a href=\"#answer\">The answer</a> ");
  for (const Entry& entry : contents_) {
    out += concat_message("<a href=\"#", entry.id, "\">", escape_html(entry.title), "</a> ");
  }
  out += concat_message("</nav>\n<main><header id=\"answer\"><h1>", escape_html(title), "</h1>\n", front_,
                        "</header>\n", body_);
  if (!contents_.empty()) out += "</div></details>\n";
  return out + "</main></body></html>\n";
}

}  // namespace echodiff
