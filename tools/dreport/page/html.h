// A small writer of one self-contained HTML page: escaped text, numbers, tables, figures with captions, and grey
// pictures as inline PNG with mask outlines drawn over them as vectors. Nothing in it refers to anything outside the
// page.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/png.h"

namespace echodiff {

// The style sheet: system fonts, tabular figures, and one set of colours for light and one for dark.
extern const char* const kReportStyle;

// & < > " as entities. Every name or message that comes from a file goes through it.
std::string escape_html(std::string_view text);

// `value` with `digits` after the point and a real minus sign; "–" for NaN and infinity.
std::string fixed(double value, int digits);
// The same with about `significant` digits, whatever the size of the value.
std::string rounded(double value, int significant = 3);
// The same without trailing zeros: 0.3, 20.
std::string compact(double value, int significant = 3);
// 0.615 -> "61.5 %".
std::string percent(double fraction);
// 69830 -> "69,830".
std::string count_text(int64_t value);
std::string whole_text(double value);  // the nearest whole number as count_text, "–" where there is none
// 12.3 -> "12.3 s", 4000 -> "1 h 6 min 40 s".
std::string duration_text(double seconds);

// The picture as "data:image/png;base64,...".
std::string data_uri(const GrayImage& image);

// The border of the non-zero pixels of `mask` as SVG path data, in pixels, along pixel edges. Without `rim`, edges on
// the picture's own border are left out.
std::string outline_path(const GrayImage& mask, bool rim = true);

// One outline over a picture: a mask of the picture's size, and the CSS class that colours it.
struct Outline {
  const GrayImage* mask;
  std::string css_class;
};

// An inline SVG holding the picture, enlarged without smoothing, and the outlines over it.
std::string picture_svg(const GrayImage& image, const std::vector<Outline>& outlines, std::string_view alt);

// The mask itself as a picture: each plane filled in its colour, the sector dark grey, the rest black. Planes in the
// data set's order, the sector last.
std::string mask_svg(const std::vector<GrayImage>& planes, std::string_view alt);

// The CSS class of plane `index` of `count`, whose last is the sector: "p0" to "p3", "sector".
std::string plane_class(size_t index, size_t count);

// Small plots side by side, as many in a row as there is room for.
std::string multiples_html(const std::vector<std::string>& plots);

// `svg` with a line of small text below it.
std::string cell_html(std::string_view svg, std::string_view text_html = {});
// Cells in a grid of `columns`.
std::string grid_html(const std::vector<std::string>& cells, int64_t columns);

// A table: the first column is text, the others are numbers, aligned to the right. Cells hold finished HTML.
struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows = {};
  std::vector<size_t> quiet_rows = {};  // shown as reference values of somebody else
  bool wide = false;                    // many columns: smaller, and on a page across where it is printed
};
std::string table_html(const Table& table);

class Page {
 public:
  // What stands first, below the title, before any section. Arguments named `html` hold finished HTML; `text` is
  // escaped here.
  void front(std::string_view html) { front_ += html; }
  // Each call appends to the page. A section opens by a click, or is `open` from the start.
  void section(std::string_view id, std::string_view text, bool open = false);
  void heading(std::string_view text);
  void paragraph(std::string_view html);
  void add(std::string_view html);
  void table(const Table& table, std::string_view caption_html = {});
  // A figure with its label ("Fig. 3") and the caption below it.
  void figure(std::string_view label, std::string_view body_html, std::string_view caption_html);
  // What a section lacks, and how to make it.
  void missing(std::string_view what_text, std::string_view how_html);

  // The browser loads the page again after so many seconds.
  void reload_after(int64_t seconds) { reload_seconds_ = seconds; }
  // The whole document.
  std::string finish(std::string_view title) const;

 private:
  struct Entry {
    std::string id, title;
  };
  std::string front_, body_;
  std::vector<Entry> contents_;
  int64_t reload_seconds_ = 0;  // 0: never
};

}  // namespace echodiff
