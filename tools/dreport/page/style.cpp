#include "dreport/page/html.h"

namespace echodiff {

// The four series colours keep their order of lightness in both themes, so a print in grey stays readable.
const char* const kReportStyle = R"css(
:root { color-scheme: light dark;
  --paper: #ffffff; --ink: #1c2127; --soft: #5b6570; --line: #dde2e7; --fill: #f5f7f9; --accent: #0b62a4;
  --c1: #0b62a4; --c2: #c4521b; --c3: #2b8a63; --c4: #8650a6; --c5: #937000; --bad: #b3261e; --good: #1f7a4d; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171b; --ink: #e4e8ec; --soft: #9aa5b1; --line: #31383f; --fill: #1c2126; --accent: #6cb4ee;
  --c1: #6cb4ee; --c2: #f2935c; --c3: #63c79a; --c4: #c79be0; --c5: #d9bb4a; --bad: #f2877f; --good: #6fcf9b; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.58 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans",
  sans-serif; }
body { display: grid; grid-template-columns: 12.5rem minmax(0, 1fr); }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 26px 8px 26px 24px; font-size: .86rem;
  border-right: 1px solid var(--line); }
nav a { display: block; padding: 4px 0; line-height: 1.35; }
main { max-width: 1240px; padding: 0 32px 80px; }
header { padding-top: 20px; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.012em; font-weight: 650; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 0; font-weight: 650; display: inline; }
h3 { font-size: 1.02rem; margin: 30px 0 8px; font-weight: 650; }
h4 { font-size: .92rem; margin: 6px 0 4px; font-weight: 600; } h4 small { font-weight: 400; color: var(--soft); }
details.section { border-top: 1px solid var(--line); margin-top: 14px; }
details.section > summary { cursor: pointer; padding: 14px 0; }
details.section > summary:hover h2 { color: var(--accent); }
details.section > div { scroll-margin-top: 60px; padding-bottom: 18px; }
p { margin: 0 0 14px; max-width: 74ch; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
code { font: .88em/1.4 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; background: var(--fill);
  border-radius: 4px; padding: 1px 5px; overflow-wrap: anywhere; }
.tried { max-width: none; margin: 0 0 4px; color: var(--soft); }
.verdict { max-width: none; margin: 0 0 12px; font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 240px), 1fr)); gap: 12px; }
.tile { background: var(--fill); border-radius: 8px; padding: 10px 16px; }
.tile p { margin: 0; font-size: .86rem; line-height: 1.4; color: var(--soft); }
.tile .number { color: var(--ink); font-size: 1.7rem; line-height: 1.25; font-weight: 650;
  font-variant-numeric: tabular-nums; }
.tile .number small { font-size: .84rem; font-weight: 400; color: var(--soft); }
.first { display: grid; grid-template-columns: minmax(0, 1fr) max-content; gap: 26px; margin-top: 14px;
  align-items: start; }
.first figure { margin: 0; max-width: 720px; }
.strip { display: grid; gap: 6px; }
.strip p { margin: 0; font-size: .84rem; color: var(--soft); grid-column: 1 / -1; }
.scroll { overflow-x: auto; margin: 6px 0 8px; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 6px 0 6px 20px; border-bottom: 1px solid var(--line); vertical-align: baseline; }
th:first-child, td:first-child { text-align: left; padding-left: 0; padding-right: 8px; min-width: 11em;
  position: sticky; left: 0; background: var(--paper); }
th { font-weight: 600; color: var(--soft); font-size: .84rem; line-height: 1.35; vertical-align: bottom; }
td { white-space: nowrap; } td:first-child small, .wide td small { white-space: normal; }
td small { display: block; color: var(--soft); font-size: .87em; line-height: 1.3; }
.wide table { font-size: .84rem; width: max-content; min-width: 100%; }
.wide td small { max-width: 12em; margin-left: auto; } .wide td:first-child small { margin-left: 0; }
 .wide th, .wide td { padding-left: 14px; }
.wide th:first-child, .wide td:first-child { padding-left: 0; }
.wide td:first-child { white-space: normal; min-width: 9em; max-width: 12em; }
.multiples { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 10px 26px; }
@media (max-width: 1120px) {
  body { display: block; }
  nav { display: flex; height: auto; overflow-x: auto; padding: 8px 16px; background: var(--paper); z-index: 2;
    border-right: 0; border-bottom: 1px solid var(--line); }
  nav a { white-space: nowrap; margin-right: 16px; }
  main { padding: 0 16px 60px; }
}
@media (max-width: 900px) { .first { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 640px) {
  figure > svg.plot { min-width: 560px; } figure { overflow-x: auto; }
  th:first-child, td:first-child { min-width: 7.5em; } .wide td:first-child { min-width: 7em; max-width: 8em; }
  td:first-child { white-space: normal; }
}
.twins { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; }
tr.quiet td { color: var(--soft); }
.note, figcaption { color: var(--soft); font-size: .89rem; line-height: 1.5; max-width: 84ch; }
.note { margin: 0 0 22px; }
figure { margin: 22px 0 30px; }
figcaption { margin-top: 10px; }
figcaption b { color: var(--ink); font-weight: 650; }
.missing { background: var(--fill); border-left: 3px solid var(--soft); border-radius: 0 6px 6px 0; padding: 12px 16px;
  margin: 14px 0 22px; max-width: 84ch; font-size: .94rem; }
.yes { color: var(--good); } .no { color: var(--bad); }
.grid { display: grid; gap: 8px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 28px; }
.pair > div > p { margin: 0 0 8px; font-size: .92rem; font-weight: 600; }
@media (max-width: 640px) { .pair { grid-template-columns: 1fr; } }
.cell { min-width: 0; }
.cell p { margin: 3px 0 0; font-size: .74rem; line-height: 1.35; color: var(--soft);
  font-variant-numeric: tabular-nums; }
.grid > .head { font-size: .84rem; font-weight: 600; color: var(--soft); line-height: 1.3; align-self: end; }
.empty { aspect-ratio: 1; border: 1px dashed var(--line); border-radius: 3px; font-size: .78rem; color: var(--soft);
  display: grid; place-items: center; text-align: center; padding: 6px; }
svg.picture { display: block; width: 100%; height: auto; background: #000; border-radius: 3px; }
svg.picture image { image-rendering: pixelated; }
.sheet { display: block; width: 100%; image-rendering: pixelated; border-radius: 3px; background: #000; }
svg.picture path { fill: none; stroke-width: 1.6; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
svg.picture .p0 { stroke: #5cc2ff; } svg.picture .p1 { stroke: #ffb02e; } svg.picture .p2 { stroke: #5fe0a0; }
svg.picture .p3 { stroke: #f08bd0; }
svg.picture .sector { stroke: #d8dde3; stroke-width: 1; stroke-dasharray: 3 3; opacity: .8; }
svg.picture path.fill { stroke: none; fill-rule: evenodd; }
svg.picture .f0 { fill: #1f6f9f; } svg.picture .f1 { fill: #ffb02e; } svg.picture .f2 { fill: #2f9e6b; }
svg.picture .f3 { fill: #b85a9a; } svg.picture .fsector { fill: #2a2f35; }
.key { display: inline-block; width: 22px; height: 0; border-top: 3px solid; vertical-align: middle;
  margin: 0 6px 2px 0; }
.key.p0 { border-color: #2f9fe0; } .key.p1 { border-color: #e89a12; }
.key.p2 { border-color: #35b57b; } .key.p3 { border-color: #d064ae; }
.key.sector { border-top: 2px dashed #9aa4ae; }
.legend { font-size: .86rem; color: var(--soft); margin: 0 0 10px; max-width: none; }
.legend span { margin-right: 20px; white-space: nowrap; }
svg.plot { display: block; width: 100%; height: auto; overflow: visible;
  font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
svg.plot text { fill: var(--soft); } svg.plot text.label { fill: var(--ink); }
svg.plot .axis { stroke: var(--soft); stroke-width: 1; } svg.plot .rule { stroke: var(--line); stroke-width: 1; }
svg.plot path { fill: none; stroke-linejoin: round; stroke-linecap: round; }
svg.plot .c1 { stroke: var(--c1); } svg.plot .c2 { stroke: var(--c2); } svg.plot .c3 { stroke: var(--c3); }
svg.plot .c4 { stroke: var(--c4); } svg.plot .c5 { stroke: var(--c5); } svg.plot .c0 { stroke: var(--soft); }
svg.plot .dot.c1, svg.plot .bar.c1 { fill: var(--c1); } svg.plot .dot.c2, svg.plot .bar.c2 { fill: var(--c2); }
svg.plot .dot.c3, svg.plot .bar.c3 { fill: var(--c3); } svg.plot .dot.c4, svg.plot .bar.c4 { fill: var(--c4); }
svg.plot .dot.c5, svg.plot .bar.c5 { fill: var(--c5); } svg.plot .dot.c0, svg.plot .bar.c0 { fill: var(--soft); }
svg.plot.key { display: inline-block; width: 24px; height: 12px; margin: 0; border: 0; vertical-align: -1px; }
svg.plot .bar { stroke: none; } svg.plot .dot { stroke: var(--paper); stroke-width: 1; }
@page { margin: 14mm 12mm; }
@page across { size: A4 landscape; margin: 10mm; }
@media print {
  :root { color-scheme: light; --paper: #fff; --ink: #111; --soft: #444; --line: #ccc; --fill: #f4f4f4; --accent: #111;
    --c1: #0b62a4; --c2: #c4521b; --c3: #2b8a63; --c4: #8650a6; --c5: #937000; --bad: #a01c14; --good: #17633d; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 10.5pt; } header { padding-top: 0; } td:first-child, th:first-child { position: static; }
  body { display: block; } main { max-width: none; padding: 0; } nav { display: none; }
  details.section::details-content { content-visibility: visible; height: auto; }
  details.section { margin-top: 22px; } h1 { font-size: 20pt; } h2 { font-size: 14pt; }
  h3 { margin-top: 18px; } h2, h3, .legend { break-after: avoid; }
  figure, tr, .missing, .cell { break-inside: avoid; } thead { display: table-header-group; }
  .scroll { overflow: visible; } table { font-size: 8.5pt; } th { font-size: 8pt; } td { white-space: normal; }
  td small { white-space: nowrap; } .note, figcaption { font-size: 9pt; }
  th, td { padding: 4px 0 4px 10px; } th:first-child, td:first-child { min-width: 7em; } figure { margin: 12px 0 18px; }
  .wide { page: across; } .wide table { font-size: 7pt; }
  .wide th { font-size: 6.5pt; } .wide th, .wide td { padding: 3px 0 3px 5px; } .wide td:first-child { min-width: 9em; }
}
)css";

}  // namespace echodiff
