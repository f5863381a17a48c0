// The page on which a person confirms or flips labels, one key a picture.
#pragma once

#include <string>

#include "quality/labels.h"

namespace echodiff {

// One self-contained HTML file: the pictures inline, no network. Verdicts are kept in the browser and exported as
// decisions.json (labels.h), which only names what the person decided. Reads every picture: throws Error as read_png.
std::string review_page(const Labels& labels);

std::string base64(const std::string& bytes);

}  // namespace echodiff
