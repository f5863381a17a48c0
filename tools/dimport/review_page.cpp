#include "dimport/review_page.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "kernels/error.h"
#include "tensor/io/file.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

const char* const kHead = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><title>Names in the pictures?</title><style>
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; background: #14171b; color: #e4e8ec; text-align: center; }
main { max-width: 900px; margin: 0 auto; padding: 12px; }
h1 { font-size: 1.15rem; margin: 6px 0; } p { margin: 6px 0; color: #b6c0ca; }
img { max-width: 100%; height: min(66vh, 720px); object-fit: contain; background: #000; }
kbd { border: 1px solid #6b7680; border-radius: 4px; padding: 0 7px; color: #fff; } button { font: inherit; }
#bar { height: 6px; background: #31383f; } #done { height: 6px; width: 0; background: #6cb4ee; }
.yes { color: #f2877f; } .no { color: #6fcf9b; }
</style></head><body><main>
<h1>Does this picture show a name, a date or a number of a patient?</h1>
<p><kbd>y</kbd> yes, leave it out &nbsp; <kbd>n</kbd> no &nbsp; <kbd>u</kbd> undo &nbsp; <kbd>←</kbd> <kbd>→</kbd> look
 &nbsp; <kbd>z</kbd> zoom &nbsp; <kbd>d</kbd> download reviewed.json</p>
<div id="bar"><div id="done"></div></div>
<p><span id="name"></span>: <b id="said">not said yet</b> &nbsp; <span id="count"></span></p>
<img id="picture" alt="the picture in question"><p id="end"></p></main><script>
const data = )html";

const char* const kTail = R"html(;
const store = "echodiff-import " + data.import, files = data.files;
const get = name => document.getElementById(name);
let said = {}, order = [], at = 0;
try { said = JSON.parse(localStorage.getItem(store)) || {}; } catch (error) { said = {}; }
for (const name of Object.keys(said)) if (!files.includes(name)) delete said[name];
function next() {
  for (let i = 0; i < files.length; ++i) if (!(files[i] in said)) return i;
  return at;
}
function show() {
  const name = files[at], count = Object.keys(said).length, left = files.length - count;
  get("picture").src = "images/" + name;
  get("name").textContent = name;
  get("said").textContent = name in said ? (said[name] ? "shows a name" : "shows none") : "not said yet";
  get("said").className = name in said ? (said[name] ? "yes" : "no") : "";
  get("count").textContent = count + " of " + files.length + " looked at";
  get("done").style.width = 100 * count / files.length + "%";
  get("end").textContent = left ? "" : "All looked at. Press d, then: dimport reviewed DATA reviewed.json";
}
function keep() { try { localStorage.setItem(store, JSON.stringify(said)); } catch (error) {} }
function say(value) { said[files[at]] = value; order.push(at); keep(); at = next(); show(); }
function download() {
  const looked = files.filter(name => name in said);
  const text = JSON.stringify({kind: "reviewed", looked_at: looked, names: looked.filter(name => said[name])}, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  link.download = "reviewed.json";
  link.click();
}
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = by => { at = (at + by + files.length) % files.length; show(); };
  if (event.key == "y") say(true);
  else if (event.key == "n") say(false);
  else if (event.key == "u" && order.length) { at = order.pop(); delete said[files[at]]; keep(); show(); }
  else if (event.key == "ArrowRight") step(1);
  else if (event.key == "ArrowLeft") step(-1);
  else if (event.key == "z") get("picture").style.height = get("picture").style.height ? "" : "160vh";
  else if (event.key == "d") download();
});
at = next();
show();
</script></body></html>
)html";

std::set<std::string> pictures_of(const std::string& data) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(data) / "images"))
    names.insert(entry.path().filename().string());
  return names;
}

// index.csv without the lines of these pictures; the first cell is the picture's name.
std::string without_pictures(const std::string& index, const std::set<std::string>& left_out) {
  std::istringstream lines(index);
  std::string kept, line;
  while (std::getline(lines, line))
    if (left_out.count(line.substr(0, line.find(','))) == 0) kept += line + "\n";
  return kept;
}

std::set<std::string> names_in(const nlohmann::json& json, const char* key, const std::string& file) {
  const bool listed = json.is_object() && json.contains(key) && json.at(key).is_array();
  check_input(listed && json.value("kind", "") == "reviewed", Fault::kBadInput, file,
              ": expected the reviewed.json that review.html downloads");
  std::set<std::string> names;
  for (const nlohmann::json& name : json.at(key)) {
    check_input(name.is_string(), Fault::kBadInput, file, ": expected names of pictures in ", key);
    names.insert(name.get<std::string>());
  }
  return names;
}

}  // namespace

std::string import_review_page(const std::string& import, const std::vector<std::string>& first,
                               const std::vector<std::string>& others) {
  nlohmann::json files = first;
  for (const std::string& name : others) files.push_back(name);
  return kHead + nlohmann::json{{"import", import}, {"files", files}}.dump() + kTail;
}

size_t take_review(const std::string& data, const std::string& file) {
  check_input(fs::is_directory(fs::path(data) / "images"), Fault::kMissingInput, data, ": holds no images/");
  const nlohmann::json json = nlohmann::json::parse(read_file(file), nullptr, false);
  const std::set<std::string> looked = names_in(json, "looked_at", file), names = names_in(json, "names", file);
  const std::set<std::string> pictures = pictures_of(data);
  for (const std::string& name : names)
    check_input(looked.count(name) != 0, Fault::kBadInput, file, ": ", name, " is in names and not in looked_at");
  std::string missing;
  size_t unseen = 0;
  for (const std::string& name : pictures)
    if (looked.count(name) == 0 && unseen++ == 0) missing = name;
  check_input(unseen == 0, Fault::kBadInput, file, ": ", unseen, " pictures were not looked at (", missing,
              "); open review.html again");
  for (const std::string& name : names)
    for (const char* part : {"images", "sector", "masks"}) {
      const fs::path path = fs::path(data) / part / name;
      if (pictures.count(name) != 0) fs::remove(path);
    }
  const std::string index = (fs::path(data) / "index.csv").string();
  write_file_atomic(index, without_pictures(read_file(index), names));
  return names.size();
}

}  // namespace echodiff
