#!/usr/bin/python3
"""The report in a real browser: at three widths, light and dark, nothing overflows, nothing is written to the console,
every picture has a text, headings follow each other, text stands out from its ground, all is reached by keys, and the
answer (three numbers, a chart, samples beside real pictures) is on the first screen of 1280 x 800.

  report_browser.py BIN_DIR [--report FILE] [--screenshots DIR]

Without --report a small experiment is made first. Needs chromium, chromium-driver and python3-selenium (Debian); exits
with 77 (skipped) where one is absent.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

WIDTHS = (390, 1280, 1920)

sys.dont_write_bytecode = True
from browser import need_chromium, start_browser
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

# What reaches beyond the page to the right, but for what scrolls by itself.
OVERFLOWING = """
const found = [];
const scrolls = e => { for (; e; e = e.parentElement) {
  const how = getComputedStyle(e).overflowX; if (how == 'auto' || how == 'scroll') return true; } return false; };
for (const e of document.body.querySelectorAll('*')) {
  const box = e.getBoundingClientRect();
  if (box.width > 0 && box.right > innerWidth + 1 && !scrolls(e)) found.push(e.tagName + ' ' + e.className);
}
if (document.documentElement.scrollWidth > innerWidth) found.push('the page scrolls sideways');
return found;
"""

# Text whose contrast with its ground is below WCAG AA: 4.5, or 3 where it is large.
FAINT = """
const rgb = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
const light = c => { const [r, g, b] = c.slice(0, 3).map(v => { v /= 255;
  return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
const ground = e => { for (; e; e = e.parentElement) {
  const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] == 1) return c; } return [255, 255, 255, 1]; };
const found = new Set();
for (const e of document.body.querySelectorAll('*')) {
  if (![...e.childNodes].some(n => n.nodeType == 3 && n.textContent.trim()) || !e.getClientRects().length) continue;
  if (e.closest('title')) continue;
  const style = getComputedStyle(e), c = rgb(e.closest('svg') ? style.fill : style.color);
  const [a, b] = [light(c), light(ground(e))].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
  const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.6 && style.fontWeight >= 600);
  if (ratio < (large ? 3 : 4.5)) found.add(e.tagName + ' ' + (e.getAttribute('class') || '') + ' "' +
    e.textContent.trim().slice(0, 30) + '" ' + ratio.toFixed(2));
}
return [...found];
"""

UNNAMED = """
const found = [];
for (const e of document.querySelectorAll('img')) if (!e.alt) found.push('img without alt');
for (const e of document.querySelectorAll('svg[role=img]')) {
  const title = e.querySelector('title'); if (!title || !title.textContent.trim()) found.push('svg without title'); }
const levels = [...document.querySelectorAll('h1, h2, h3, h4')].map(e => +e.tagName[1]);
if (levels.filter(l => l == 1).length != 1 || levels[0] != 1) found.push('not one h1 first');
levels.forEach((l, i) => { if (i && l > levels[i - 1] + 1) found.push('h' + levels[i - 1] + ' then h' + l); });
if (!document.documentElement.lang || !document.title) found.push('no language or title');
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
if (new Set(ids).size != ids.length) found.push('an id twice');
for (const a of document.querySelectorAll('a[href^="#"]'))
  if (!document.getElementById(a.getAttribute('href').slice(1))) found.push('no target ' + a.getAttribute('href'));
for (const e of document.querySelectorAll('.scroll')) if (e.tabIndex != 0) found.push('a table that keys do not scroll');
return found;
"""

# What the first screen must hold, whole.
ON_FIRST_SCREEN = """
return ['.tried', '.tile:nth-child(3)', '.first svg.plot', '.strip svg.picture:last-child'].filter(what => {
  const e = document.querySelector(what); if (!e) return true;
  const box = e.getBoundingClientRect(); return box.bottom > innerHeight || box.right > innerWidth; });
"""


def expect_none(found, what):
    if found:
        print(f"FAILED: {what}:", *found[:10], sep="\n  ")
        sys.exit(1)


def make_report(binaries, folder):
    def run(*command):
        subprocess.run([str(part) for part in command] + ["--quiet"], check=True, stdout=subprocess.DEVNULL, cwd=folder)

    run(binaries / "dphantom", "--out", "data", "--count", 60, "--size", 32, "--seed", 1)
    run(binaries / "dtrain", "diffusion", "--data", "data", "--out", "model", "--image-size", 32, "--steps", 12, "--dim", 8, "--arch", "lucidrains",
        "--mults", "1,2", "--timesteps", 50, "--val-every", 4)
    run(binaries / "dlabel", "calibrate", "--images", "data", "--quantile", 0.6, "--out", "thresholds.json")
    run(binaries / "dlabel", "score", "--images", "data", "--thresholds", "thresholds.json", "--out", "labels.jsonl")
    run(binaries / "dtrain", "scorer", "--labels", "labels.jsonl", "--out", "scorer", "--width", 8, "--epochs", 1)
    drawn = [binaries / "dsample", "--model", "model", "--masks", "data", "--sampler", "ddim", "--sample-steps", 3, "--count", 12]
    for policy in ("none", "posthoc", "paper"):
        judged = [] if policy == "none" else ["--scorer", "scorer", "--tau", 0, "--keep-discarded"]
        run(*drawn, "--policy", policy, *judged, "--out", policy)
    (folder / "measured").mkdir()
    run(binaries / "dlabel", "evaluate", "--samples", "none", "posthoc", "paper", "--data", "data", "--features", "scorer",
        "--out", "measured/evaluation.json")
    run(binaries / "dreport", "--runs", "model", "scorer", "none", "posthoc", "paper", "measured", "--data", "data",
        "--thresholds", "thresholds.json", "--out", "report.html")
    return folder / "report.html"


def check(driver, path, screenshots):
    def shot(name):
        if screenshots:
            driver.save_screenshot(str(screenshots / f"{name}.png"))

    for width in WIDTHS:
        for theme in ("light", "dark"):
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                   {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False})
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                   {"features": [{"name": "prefers-color-scheme", "value": theme}]})
            driver.get(path.as_uri())
            where = f"at {width} pixels, {theme}"
            shot(f"{width}-{theme}-first")
            if width == 1280:
                expect_none(driver.execute_script(ON_FIRST_SCREEN), f"not on the first screen {where}")
            driver.execute_script("for (const d of document.querySelectorAll('details')) d.open = true")
            expect_none(driver.execute_script(OVERFLOWING), f"reaches beyond the page {where}")
            expect_none(driver.execute_script(FAINT), f"too faint {where}")
            if screenshots and theme == "light":
                height = driver.execute_script("return document.documentElement.scrollHeight")
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                       {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
                shot(f"{width}-all")
    expect_none(driver.execute_script(UNNAMED), "for readers without eyes or mouse")

    # By keys alone: the first summary is reached by Tab and opens by Enter; a link of the contents opens its section.
    driver.get(path.as_uri())
    for _ in range(40):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        if driver.switch_to.active_element.tag_name == "summary":
            break
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    opened = driver.execute_script("return document.activeElement.parentElement.open === true")
    expect_none([] if opened else ["the first section"], "not opened by keys")
    driver.find_element(By.CSS_SELECTOR, "nav a[href='#training']").click()
    opened = driver.execute_script("return document.getElementById('training').parentElement.open")
    expect_none([] if opened else ["training"], "not opened by its link")
    expect_none([entry["message"] for entry in driver.get_log("browser")], "on the console")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binaries", type=pathlib.Path)
    parser.add_argument("--report", type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path)
    flags = parser.parse_args()
    need_chromium()
    if flags.screenshots:
        flags.screenshots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="echodiff_report_", ignore_cleanup_errors=True) as name:
        path = flags.report.resolve() if flags.report else make_report(flags.binaries.resolve(), pathlib.Path(name))
        driver = start_browser(f"{name}/profile", name)
        try:
            check(driver, path, flags.screenshots)
        finally:
            driver.quit()
    print(f"{len(WIDTHS)} widths, light and dark: nothing overflows, nothing faint, nothing unnamed")


if __name__ == "__main__":
    main()
