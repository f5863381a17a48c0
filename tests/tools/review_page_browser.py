#!/usr/bin/python3
"""The review page in a real browser: 200 pictures labelled by keys alone, with undo, sorting, zoom, a reload and a
second browser on the way, and not one verdict lost; the downloaded decisions go through `dlabel apply`.

  review_page_browser.py BIN_DIR [--screenshots DIR]

Needs chromium, chromium-driver and python3-selenium (Debian); exits with 77 (skipped) where one is absent.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

COUNT = 200
METRICS = ["sharpness", "contrast", "noise"]

sys.dont_write_bytecode = True
import browser
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


browsers = []  # started, to be ended whatever happens


def start_browser(profile, downloads):
    browsers.append(browser.start_browser(profile, downloads))
    return browsers[-1]


class Page:
    def __init__(self, driver, path):
        self.driver, self.path = driver, path
        self.open()

    def open(self):
        self.driver.get(self.path.as_uri())

    def text(self, name):
        return self.driver.find_element(By.ID, name).get_attribute("textContent")

    def file(self):
        return self.text("file")

    def press(self, *keys):
        chain = ActionChains(self.driver, duration=0)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def press_shifted(self, key):
        ActionChains(self.driver, duration=0).key_down(Keys.SHIFT).send_keys(key).key_up(Keys.SHIFT).perform()

    def shot(self, folder, name):
        if folder:
            self.driver.save_screenshot(str(folder / f"{name}.png"))


def expect(holds, *what):
    if not holds:
        print("FAILED:", *what)
        sys.exit(1)


def make_labels(binaries, folder):
    def run(*command):
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)

    run(binaries / "dphantom", "--out", folder / "data", "--count", COUNT, "--size", 64, "--seed", 1, "--quiet")
    run(binaries / "dlabel", "calibrate", "--images", folder / "data", "--quantile", 0.6, "--out",
        folder / "thresholds.json", "--quiet")
    labels = folder / "labels.jsonl"
    run(binaries / "dlabel", "score", "--images", folder / "data", "--thresholds", folder / "thresholds.json", "--out",
        labels, "--quiet")
    run(binaries / "dlabel", "review", labels, "--out", folder / "review.html", "--quiet")
    return labels


def read_labels(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return {line["file"]: line for line in lines}


def choose(page, labels, wanted, dice):
    """One key for the picture shown, as a person would press it."""
    file = page.file()
    expect(file in labels, "an unknown picture is shown:", file)
    label = dice.choice(["good", "poor"])
    same = label == labels[file]["label"] and file not in wanted
    page.press(dice.choice([" ", label[0]]) if same else label[0])
    wanted[file] = label


def label_everything(folder, labels, screenshots):
    dice = random.Random(7)
    wanted = {}
    profile, downloads = folder / "profile", folder / "downloads"
    downloads.mkdir()
    driver = start_browser(profile, downloads)
    page = Page(driver, folder / "review.html")
    page.shot(screenshots, "start")

    for _ in range(60):
        choose(page, labels, wanted, dice)
    expect(page.text("decided").startswith("60 of 200 decided"), page.text("decided"))

    # Undo three, then decide them anew; a verdict that replaced another gives it back.
    undone = list(wanted)[-3:]
    page.press(Keys.BACKSPACE, "u", Keys.BACKSPACE)
    for file in undone:
        del wanted[file]
    expect(page.text("decided").startswith("57 of 200 decided"), page.text("decided"))
    expect(page.file() == undone[0], "undo shows", page.file(), "not", undone[0])
    choose(page, labels, wanted, dice)
    page.press(Keys.ARROW_LEFT)
    again = page.file()
    page.press("p" if wanted[again] == "good" else "g", "u")
    expect(page.text("label") == wanted[again], "undo lost the verdict before the one undone")

    # A reload in the middle, and later another browser altogether.
    before = page.text("decided"), page.file()
    page.driver.refresh()
    expect((page.text("decided"), page.file()) == before, "the reload lost something of", before)
    page.press("n")
    for _ in range(40):
        choose(page, labels, wanted, dice)
    before = page.text("decided"), page.file()
    driver.quit()
    driver = start_browser(profile, downloads)
    page = Page(driver, folder / "review.html")
    expect((page.text("decided"), page.file()) == before, "the second browser lost something of", before,
           "and has", page.text("decided"), page.file())
    expect(before[0].startswith("98 of 200 decided"), before)

    # Every metric sorts, both ways.
    for place, metric in enumerate(METRICS):
        for down in (False, True):
            page.press(str(place + 2))
            values = []
            for _ in range(12):
                values.append(labels[page.file()][metric])
                page.press(Keys.ARROW_RIGHT)
            wraps = sum((a > b) != down and a != b for a, b in zip(values, values[1:]))
            expect(wraps <= 1, "sorted by", metric, "down" if down else "up", "but the values are", values)
    page.shot(screenshots, "sorted")

    # Zoom and move; then smooth pixels.
    transforms = set()
    for press in (lambda: page.press("z"), lambda: page.press("z"), lambda: page.press_shifted(Keys.ARROW_RIGHT),
                  lambda: page.press("z"), lambda: page.press("i")):
        press()
        transforms.add(driver.find_element(By.ID, "picture").get_attribute("style"))
        page.shot(screenshots, f"zoom{len(transforms)}")
    expect(len(transforms) == 4, "zoom and move show", transforms)
    expect(driver.find_element(By.ID, "picture").get_attribute("class") == "smooth", "i does nothing")
    page.press("z", "i", "1", "n")

    while len(wanted) < COUNT:
        choose(page, labels, wanted, dice)
        if len(wanted) == 150:
            page.shot(screenshots, "middle")
    expect(page.text("decided").startswith("200 of 200 decided"), page.text("decided"))
    page.shot(screenshots, "end")

    page.press("d")
    for _ in range(100):
        if (downloads / "decisions.json").exists():
            break
        time.sleep(0.1)
    driver.quit()
    return wanted, downloads / "decisions.json"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binaries", type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path)
    flags = parser.parse_args()
    browser.need_chromium()
    if flags.screenshots:
        flags.screenshots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="echodiff_review_", ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        path = make_labels(flags.binaries, folder)
        labels = read_labels(path)
        wanted, decisions = label_everything(folder, labels, flags.screenshots)

        written = json.loads(decisions.read_text())
        expect(written["source"] == "script", "a driven page calls itself a", written["source"])
        got = {decision["file"]: decision["label"] for decision in written["decisions"]}
        lost = [file for file in wanted if got.get(file) != wanted[file]]
        expect(not lost and len(got) == COUNT, len(lost), "verdicts lost:", lost[:5])
        subprocess.run([str(flags.binaries / "dlabel"), "apply", str(path), str(decisions), "--quiet"], check=True)
        applied = read_labels(path)
        expect(all(applied[file]["label"] == label and applied[file]["source"] == "script"
                   for file, label in wanted.items()), "dlabel apply took something else")
        flips = sum(labels[file]["label"] != label for file, label in wanted.items())
        print(f"{len(got)} pictures labelled by keys, {flips} flipped, 0 lost over a reload and another browser")


if __name__ == "__main__":
    try:
        main()
    finally:
        for one in browsers:
            one.quit()
