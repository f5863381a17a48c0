#include "quality/labels/review_page_html.h"

namespace echodiff {

// What a verdict is worth depends on seeing the picture, so it is shown as large as fits, its metrics only beside it.
const char* const kReviewPageHead = R"html(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src 'none';
script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<title>Review of labels</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2127; --soft: #5b6570; --line: #d5dbe1; --fill: #f3f5f7;
  --good: #1a7f4b; --poor: #b3362c; --accent: #0b62a4; --flip: #d08a10; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e4e8ec; --soft: #9aa5b1; --line: #363d45;
  --fill: #1c2126; --good: #4fc38a; --poor: #ee8074; --accent: #6cb4ee; --flip: #e9b04a; } }
* { box-sizing: border-box; }
html, body { height: 100%; }
body { margin: 0; padding: 14px 22px 16px; display: flex; flex-direction: column; gap: 10px;
  background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
header { display: flex; gap: 24px; align-items: baseline; justify-content: space-between; }
h1 { font-size: 1.05rem; margin: 0; white-space: nowrap; } #decided { white-space: nowrap; }
#intro { margin: 0; color: var(--soft); font-size: .86rem; }
#bar { display: flex; height: 8px; background: var(--line); border-radius: 4px; overflow: hidden; flex: none; }
#confirmed { background: var(--accent); } #flipped { background: var(--flip); }
#warning { background: var(--poor); color: var(--paper); padding: 6px 12px; border-radius: 6px; font-weight: 600; }
[hidden] { display: none !important; }
main { flex: 1; min-height: 0; display: grid; grid-template-columns: minmax(0, 1fr) 21rem; gap: 26px; }
#box { min-height: 0; height: 100%; overflow: hidden; background: #000;
  border: 5px solid var(--line); border-radius: 8px; }
#box.good { border-color: var(--good); } #box.poor { border-color: var(--poor); }
#picture { display: block; width: 100%; height: 100%; object-fit: contain; image-rendering: pixelated; }
#picture.smooth { image-rendering: auto; }
aside { min-height: 0; overflow-y: auto; display: flex; flex-direction: column; gap: 10px; }
#label { font-size: 2rem; line-height: 1.1; font-weight: 650; }
#label.good { color: var(--good); } #label.poor { color: var(--poor); }
#state, #file, #last { color: var(--soft); font-size: .88rem; overflow-wrap: anywhere; } #last { min-height: 1.4em; }
table { border-collapse: collapse; width: 100%; } td { padding: 4px 0; vertical-align: middle; white-space: nowrap; }
#metrics td:nth-child(2) { text-align: right; padding: 0 12px; font-weight: 600; }
#metrics td:last-child { width: 46%; }
.track { position: relative; height: 14px; background: var(--fill); border: 1px solid var(--line); border-radius: 3px; }
.track i { position: absolute; top: -3px; bottom: -3px; width: 2px; margin-left: -1px; background: var(--soft); }
.track b { position: absolute; top: 1px; width: 10px; height: 10px; margin-left: -5px; border-radius: 5px;
  background: var(--accent); }
#keys td { padding: 2.5px 0; font-size: .9rem; color: var(--soft); } #keys td:first-child { width: 8.6rem; }
kbd { border: 1px solid var(--line); border-bottom-width: 2px; border-radius: 4px; padding: 0 6px;
  font: inherit; font-size: .82rem; color: var(--ink); background: var(--fill); }
#sorts { display: flex; gap: 8px; flex-wrap: wrap; font-size: .86rem; color: var(--soft); }
#sorts span { padding: 1px 8px 2px 3px; border-radius: 6px; white-space: nowrap; }
#sorts .on { background: var(--accent); color: var(--paper); }
#strip { flex: none; display: flex; gap: 7px; justify-content: center; padding: 4px; overflow: hidden; }
#strip div { width: 54px; height: 58px; border-bottom: 4px solid var(--line); background: #000; flex: none; }
#strip div.good { border-color: var(--good); } #strip div.poor { border-color: var(--poor); }
#strip div.here { box-shadow: 0 0 0 3px var(--accent); } #strip div.none { visibility: hidden; }
#strip img { display: block; width: 100%; height: 54px; object-fit: contain; image-rendering: pixelated; }
#done { color: var(--good); font-size: .9rem; font-weight: 600; }
@media (max-width: 52rem) { body { height: auto; } main { grid-template-columns: 1fr; } #box { height: 80vw; } }
</style></head><body>
<header><h1>Review of labels</h1><p id="intro"></p><span id="decided" aria-live="polite"></span></header>
<div id="bar"><div id="confirmed"></div><div id="flipped"></div></div>
<div id="warning" hidden>This browser keeps nothing for this page (private mode?):
  press D to download before you close it.</div>
<main><div id="box"><img id="picture" alt="picture under review"></div>
<aside><div><div id="label" aria-live="polite"></div><div id="state"></div></div>
<div id="done"></div>
<div><div id="position"></div><div id="file"></div><div id="last"></div></div>
<table id="metrics"></table>
<div id="sorts"></div>
<table id="keys"><tbody>
<tr><td><kbd>space</kbd></td><td>confirm the label shown</td></tr>
<tr><td><kbd>g</kbd> <kbd>p</kbd></td><td>good, poor</td></tr>
<tr><td><kbd>backspace</kbd> or <kbd>u</kbd></td><td>undo, all the way back</td></tr>
<tr><td><kbd>&larr;</kbd> <kbd>&rarr;</kbd></td><td>look without deciding</td></tr>
<tr><td><kbd>n</kbd></td><td>next undecided</td></tr>
<tr><td><kbd>z</kbd></td><td>zoom 1, 2, 4, 8 times</td></tr>
<tr><td><kbd>shift</kbd> + arrows</td><td>move when zoomed</td></tr>
<tr><td><kbd>i</kbd></td><td>smooth or single pixels</td></tr>
<tr><td><kbd>1</kbd> to <kbd>4</kbd></td><td>sort; again: the other way</td></tr>
<tr><td><kbd>d</kbd></td><td>download decisions.json</td></tr>
</tbody></table>
</aside></main>
<div id="strip"></div>
<script>
"use strict";
const data = )html";

const char* const kReviewPageTail = R"html(;
const by = id => document.getElementById(id), store = "review-" + data.id, images = data.images;
const metrics = ["sharpness", "contrast", "noise"], sorts = ["file order", ...metrics], zooms = [1, 2, 4, 8];

// All that must survive a reload. history: [file, the verdict it had before or null], oldest first.
const fresh = () => ({verdicts: {}, history: [], file: null, sort: 0, down: false});
let kept = fresh(), order = [], at = 0, zoom = 0, shift = [0, 0], smooth = false, downloaded = true, saved = true;
function load() {
  try { kept = Object.assign(fresh(), JSON.parse(localStorage.getItem(store))); } catch (error) { kept = fresh(); }
}
function save() {
  kept.file = images[order[at]].file;
  try { localStorage.setItem(store, JSON.stringify(kept)); saved = true; } catch (error) { saved = false; }
}
const verdictOf = image => kept.verdicts[image.file] || (image.source === "person" ? image.label : undefined);
const labelOf = image => verdictOf(image) || image.label;

function arrange() {
  order = images.map((image, i) => i);
  const metric = metrics[kept.sort - 1];
  if (metric) order.sort((a, b) => images[a][metric] - images[b][metric] || a - b);
  if (kept.down) order.reverse();
}
// Place in the order of the first picture without a verdict from `from` on, around the end; `from` where there is none.
function nextUndecided(from) {
  for (let i = 0; i < order.length; ++i) {
    const place = (from + i) % order.length;
    if (!verdictOf(images[order[place]])) return place;
  }
  return Math.min(from, order.length - 1);
}

// Share of the pictures below `value`: the tracks show ranks, since the metrics' tails are long.
const ascending = Object.fromEntries(metrics.map(m => [m, images.map(image => image[m]).sort((a, b) => a - b)]));
function rank(metric, value) {
  const all = ascending[metric];
  let below = 0, end = all.length;
  while (below < end) {
    const middle = (below + end) >> 1;
    if (all[middle] < value) below = middle + 1; else end = middle;
  }
  return all.length > 1 ? Math.min(1, below / (all.length - 1)) : .5;
}
function make(tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  return element;
}
function mark(tag, metric, value) {
  const element = make(tag);
  element.style.left = 100 * rank(metric, value) + "%";
  return element;
}
function drawMetrics(image) {
  by("metrics").replaceChildren(...metrics.map(metric => {
    const gates = data.gates[metric].filter(gate => gate !== null);
    const row = make("tr"), cell = make("td"), track = make("div", undefined, "track");
    track.append(...gates.map(gate => mark("i", metric, gate)), mark("b", metric, image[metric]));
    track.title = "dot: this picture among all, by rank; lines: " + gates.map(g => g.toPrecision(4)).join(", ");
    cell.append(track);
    row.append(make("td", metric), make("td", Number(image[metric].toPrecision(4)).toString()), cell);
    return row;
  }));
}
function drawStrip() {
  const cells = [];
  for (let place = at - 7; place <= at + 7; ++place) {
    const image = images[order[place]];
    if (!image) { cells.push(make("div", undefined, "none")); continue; }
    const cell = make("div", undefined, (verdictOf(image) || "") + (place === at ? " here" : ""));
    const picture = make("img");
    picture.src = "data:image/png;base64," + image.png;
    picture.alt = "";
    cell.append(picture);
    cells.push(cell);
  }
  by("strip").replaceChildren(...cells);
}
function drawZoom() {
  by("picture").className = smooth ? "smooth" : "";
  by("picture").style.transform = "scale(" + zooms[zoom] + ") translate(" + shift[0] + "%, " + shift[1] + "%)";
}
function draw() {
  const image = images[order[at]], label = labelOf(image), mine = kept.verdicts[image.file];
  by("picture").src = "data:image/png;base64," + image.png;
  by("box").className = verdictOf(image) ? label : "";
  by("label").textContent = label;
  by("label").className = label;
  const earlier = image.source === "person" ? "by a person, earlier" : "by the " + image.source + ", not yet reviewed";
  by("state").textContent =
    !mine ? earlier : mine === image.label ? "confirmed by you" : "flipped by you, was " + image.label;
  by("position").textContent = "picture " + (at + 1) + " of " + order.length;
  by("file").textContent = image.file + (image.origin ? " (" + image.origin + ")" : "");
  drawMetrics(image);
  by("sorts").replaceChildren(...sorts.map((name, i) => {
    const on = kept.sort === i, chip = make("span", undefined, on ? "on" : "");
    chip.append(make("kbd", i + 1), " " + name + (on ? (kept.down ? " \u2193" : " \u2191") : ""));
    return chip;
  }));
  const decided = images.filter(verdictOf).length;
  const flipped = images.filter(i => verdictOf(i) && verdictOf(i) !== i.label).length;
  by("decided").textContent = decided + " of " + images.length + " decided, " + flipped + " flipped";
  by("confirmed").style.width = 100 * (decided - flipped) / images.length + "%";
  by("flipped").style.width = 100 * flipped / images.length + "%";
  const [file, before] = kept.history[kept.history.length - 1] || [];
  by("last").textContent =
    file === undefined ? "" : "before: " + file + " " + (before ? before + " \u2192 " : "") + kept.verdicts[file];
  by("done").textContent =
    decided < images.length ? "" : "All decided. Press D, then: dlabel apply LABELS.jsonl decisions.json";
  by("warning").hidden = saved;
  drawStrip();
  drawZoom();
}

function decide(label) {
  const image = images[order[at]];
  kept.history.push([image.file, kept.verdicts[image.file] || null]);
  kept.verdicts[image.file] = label;
  downloaded = false;
  at = nextUndecided(at);
}
function takeBack() {
  if (kept.history.length === 0) return;
  const [file, before] = kept.history.pop();
  if (before) kept.verdicts[file] = before; else delete kept.verdicts[file];
  at = order.findIndex(i => images[i].file === file);
  downloaded = false;
}
function sortBy(choice) {
  kept.down = kept.sort === choice && !kept.down;
  kept.sort = choice;
  arrange();
  at = nextUndecided(0);
}
function look(by) { at = (at + by + order.length) % order.length; }
function pan(x, y) {
  const most = 50 * (1 - 1 / zooms[zoom]), step = 20 / zooms[zoom];  // per cent of the picture box
  shift = [[shift[0], x], [shift[1], y]].map(([value, by]) => Math.max(-most, Math.min(most, value + by * step)));
}
function download() {
  // A program that drives the page is no person, and browsers say so.
  const source = navigator.webdriver ? "script" : "person";
  const decisions = images.filter(i => kept.verdicts[i.file]).map(i => ({file: i.file, label: kept.verdicts[i.file]}));
  const blob = new Blob([JSON.stringify({kind: "decisions", source, decisions}, null, 1)], {type: "application/json"});
  const link = make("a");
  link.href = URL.createObjectURL(blob);
  link.download = "decisions.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  downloaded = true;
}

const actions = {
  " ": () => decide(labelOf(images[order[at]])), "g": () => decide("good"), "p": () => decide("poor"),
  "Backspace": takeBack, "u": takeBack, "n": () => { at = nextUndecided(at); },
  "z": () => { zoom = (zoom + 1) % zooms.length; if (zoom === 0) shift = [0, 0]; pan(0, 0); },
  "i": () => { smooth = !smooth; },
  "1": () => sortBy(0), "2": () => sortBy(1), "3": () => sortBy(2), "4": () => sortBy(3), "d": download };
const moves = { "ArrowLeft": () => look(-1), "ArrowRight": () => look(1) };
const pans = { "ArrowLeft": () => pan(1, 0), "ArrowRight": () => pan(-1, 0),
  "ArrowUp": () => pan(0, 1), "ArrowDown": () => pan(0, -1) };
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const action = (event.shiftKey && pans[key]) || moves[key] || actions[key];
  if (!action) return;
  event.preventDefault();
  if (event.repeat && actions[key]) return;  // a key held down decides one picture
  action();
  save();
  draw();
});
window.addEventListener("storage", event => {  // the same page in another tab
  if (event.key !== store) return;
  load();
  arrange();
  at = Math.max(0, order.findIndex(i => images[i].file === kept.file));
  draw();
});
window.addEventListener("beforeunload", event => { if (!saved && !downloaded) event.preventDefault(); });

by("intro").textContent = data.intro;
load();
arrange();
at = kept.file === null ? nextUndecided(0) : Math.max(0, order.findIndex(i => images[i].file === kept.file));
save();
draw();
</script></body></html>
)html";

}  // namespace echodiff
