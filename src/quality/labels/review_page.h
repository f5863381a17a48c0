// The page on which a person confirms or flips labels, one key a picture.
#pragma once

#include <string>

#include "quality/labels/labels.h"

namespace echodiff {

// One self-contained HTML file: the pictures inline, no network, worked by keys alone. Verdicts are kept in the browser
// (localStorage, keyed by the labels' content: a labels file that changes begins anew) and downloaded as decisions.json
// (labels.h), which only names what was decided on the page. Reads every picture: throws Error as read_png.
std::string review_page(const Labels& labels);

}  // namespace echodiff
