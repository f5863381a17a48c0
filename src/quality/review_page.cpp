#include "quality/review_page.h"

#include <zlib.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "tensor/io/png.h"

namespace echodiff {
namespace {

// The page up to its data. What a verdict is worth depends on seeing the picture, so it is shown as large as fits,
// without smoothing, and its metrics only beside it.
constexpr const char* kHead = R"html(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Review of labels</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --line: #8884; --good: #1a7f4b; --poor: #b3362c; }
@media (prefers-color-scheme: dark) { :root { --good: #4fc38a; --poor: #ee8074; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 1.5rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.25rem; margin: 0; }
#intro { margin: .2rem 0 1rem; opacity: .75; max-width: 46rem; }
progress { width: 100%; height: .5rem; accent-color: var(--good); }
#count { font-variant-numeric: tabular-nums; display: flex; justify-content: space-between; font-size: .9rem; }
main { display: grid; grid-template-columns: minmax(0, 34rem) minmax(15rem, 1fr); gap: 1.5rem; margin-top: 1rem; }
@media (max-width: 48rem) { main { grid-template-columns: 1fr; } }
#picture { width: 100%; max-height: 70vh; object-fit: contain; object-position: top; image-rendering: pixelated;
  background: #000; border: 4px solid var(--line); border-radius: 6px; }
#picture.good { border-color: var(--good); } #picture.poor { border-color: var(--poor); }
#label { font-size: 1.6rem; font-weight: 600; } #label.good { color: var(--good); } #label.poor { color: var(--poor); }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
td { padding: .15rem 1.2rem .15rem 0; } td:last-child { text-align: right; padding-right: 0; }
kbd { border: 1px solid var(--line); border-bottom-width: 2px; border-radius: 4px; padding: 0 .4rem; font-size: .85rem; }
ul { padding: 0; list-style: none; } li { margin: .3rem 0; }
button { font: inherit; padding: .4rem .9rem; border: 1px solid var(--line); border-radius: 6px; background: none;
  color: inherit; cursor: pointer; } button:hover { background: #8882; }
#file { overflow-wrap: anywhere; font-size: .9rem; opacity: .75; }
#state { min-height: 1.5em; font-size: .9rem; }
</style></head><body>
<h1>Review of labels</h1>
<p id="intro"></p>
<div id="count"><span id="position"></span><span id="decided"></span></div>
<progress id="bar" value="0"></progress>
<main><div><img id="picture" alt="picture under review"></div>
<div><div id="label"></div><div id="state"></div><div id="file"></div>
<table id="metrics"></table>
<ul><li><kbd>space</kbd> confirm the label shown</li><li><kbd>g</kbd> good &nbsp; <kbd>p</kbd> poor</li>
<li><kbd>backspace</kbd> take the last one back</li><li><kbd>&larr;</kbd> <kbd>&rarr;</kbd> look without deciding</li>
<li><kbd>n</kbd> next undecided</li></ul>
<button id="export">Download decisions.json</button>
<p id="done"></p></div></main>
<script>
"use strict";
const data = )html";

constexpr const char* kTail = R"html(;
const by = id => document.getElementById(id), store = "review-" + data.id;
let verdicts = {}, history = [], at = 0;
try { const kept = JSON.parse(localStorage.getItem(store)); if (kept) { verdicts = kept.verdicts; history = kept.history; } }
catch (error) { verdicts = {}; history = []; }
const save = () => { try { localStorage.setItem(store, JSON.stringify({verdicts, history})); } catch (error) { /* private mode */ } };
const labelOf = image => verdicts[image.file] || image.label;
function nextUndecided(from) {
  const n = data.images.length;
  for (let i = 0; i < n; ++i) { const j = (from + i) % n; if (!verdicts[data.images[j].file]) return j; }
  return Math.min(from, n - 1);
}
function cell(row, text) { const td = document.createElement("td"); td.textContent = text; row.append(td); }
function draw() {
  const image = data.images[at], total = data.images.length, decided = Object.keys(verdicts).length;
  const label = labelOf(image), mine = verdicts[image.file];
  by("picture").src = "data:image/png;base64," + image.png;
  by("picture").className = mine ? label : "";
  by("label").textContent = label; by("label").className = label;
  by("state").textContent = !mine ? "by the " + image.source + ", not yet reviewed" :
    mine === image.label ? "confirmed by you" : "flipped by you, was " + image.label;
  by("file").textContent = image.file + (image.origin ? " (" + image.origin + ")" : "");
  by("metrics").replaceChildren(...["sharpness", "contrast", "noise"].map(name => {
    const row = document.createElement("tr"); cell(row, name); cell(row, image[name].toPrecision(4)); return row; }));
  by("position").textContent = "picture " + (at + 1) + " of " + total;
  const flipped = data.images.filter(i => verdicts[i.file] && verdicts[i.file] !== i.label).length;
  by("decided").textContent = decided + " decided, " + flipped + " of them flipped";
  by("bar").max = total; by("bar").value = decided;
  by("done").textContent = decided === total ? "All decided. Download the file, then: dlabel apply labels.jsonl decisions.json" : "";
}
function decide(label) {
  const image = data.images[at];
  if (verdicts[image.file] !== undefined) history = history.filter(i => i !== at);
  verdicts[image.file] = label; history.push(at); save(); at = nextUndecided(at); draw();
}
function takeBack() {
  if (history.length === 0) return;
  at = history.pop(); delete verdicts[data.images[at].file]; save(); draw();
}
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const n = data.images.length, actions = {
    "g": () => decide("good"), "p": () => decide("poor"), " ": () => decide(labelOf(data.images[at])),
    "Backspace": takeBack, "ArrowLeft": () => { at = (at + n - 1) % n; draw(); },
    "ArrowRight": () => { at = (at + 1) % n; draw(); }, "n": () => { at = nextUndecided(at); draw(); } };
  if (actions[event.key]) { event.preventDefault(); actions[event.key](); }
});
by("export").addEventListener("click", event => {
  const decisions = data.images.filter(i => verdicts[i.file]).map(i => ({file: i.file, label: verdicts[i.file]}));
  const blob = new Blob([JSON.stringify({kind: "decisions", source: "person", decisions}, null, 1)], {type: "application/json"});
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob); link.download = "decisions.json"; link.click();
  event.target.blur();  // or the space bar would press the button again
});
by("intro").textContent = data.intro;
at = nextUndecided(0); draw();
</script></body></html>
)html";

std::string describe(const Thresholds& t) {
  char taus[160];
  std::snprintf(taus, sizeof taus, "sharpness %.4g, contrast %.4g, noise %.4g", t.tau_sharpness, t.tau_contrast,
                t.tau_noise);
  switch (t.rule) {
    case Rule::kText:
      return "Labelled good when below sharpness and noise, and above contrast, of: " + std::string(taus) + ".";
    case Rule::kEq4:
      return "Labelled good when at least at sharpness and contrast, and at most at noise, of: " + std::string(taus) +
             ".";
    case Rule::kBand:
      return "Labelled good when all three metrics lie within the bands of good pictures.";
  }
  return "";
}

}  // namespace

std::string base64(const std::string& bytes) {
  constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (i + j < bytes.size() ? uint8_t(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) text += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

std::string review_page(const Labels& labels) {
  check_input(!labels.images.empty(), Fault::kBadInput, "review: the labels file names no picture");
  nlohmann::json data;
  data["intro"] = describe(labels.thresholds) +
                  " The gates let empty, textureless sectors pass: judge by eye whether the anatomy is readable.";
  data["images"] = nlohmann::json::array();
  std::string files;
  for (const LabelledImage& image : labels.images) {
    files += image.file + "\n";
    data["images"].push_back({{"file", image.file},
                              {"label", image.good ? "good" : "poor"},
                              {"source", image.source},
                              {"origin", image.origin},
                              {"sharpness", image.metrics.sharpness},
                              {"contrast", image.metrics.contrast},
                              {"noise", image.metrics.noise},
                              {"png", base64(encode_png(read_png(image.path)))}});
  }
  data["id"] = std::to_string(crc32(0, reinterpret_cast<const Bytef*>(files.data()), uInt(files.size())));
  std::string json;
  // No "</script>" can appear inside the data.
  for (const char c : data.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)) {
    if (c == '<') {
      json += "\\u003c";
    } else {
      json += c;
    }
  }
  return kHead + json + kTail;
}

}  // namespace echodiff
