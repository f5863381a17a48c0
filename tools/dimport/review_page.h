// The page on which a person looks at imported pictures for names, one key a picture.
#pragma once

#include <string>
#include <vector>

namespace echodiff {

// One HTML file beside images/, worked by keys alone: y where a picture shows a name, n where it doesn't. What was said
// is kept in the browser, under `import` (what no other import is called), and downloaded as reviewed.json. `first`:
// pictures that seem to hold letters, shown first.
std::string import_review_page(const std::string& import, const std::vector<std::string>& first,
                               const std::vector<std::string>& others);

// Takes a reviewed.json into the folder DATA: pictures that show names are removed with their sectors, masks and lines
// of index.csv. Returns how many. Throws Error(kBadInput), and changes nothing, where the file isn't one, names a
// picture that isn't there, or not every picture of DATA was looked at.
size_t take_review(const std::string& data, const std::string& file);

}  // namespace echodiff
