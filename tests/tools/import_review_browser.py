#!/usr/bin/python3
"""The review page of imported pictures in a real browser: each looked at by one key, an undo and a reload on the way; the
downloaded reviewed.json takes out the pictures said to show names, and those alone.

  import_review_browser.py BIN_DIR [--screenshot FILE]

Needs chromium, chromium-driver, python3-selenium (Debian) and a build with dimport; exits with 77 (skipped) otherwise.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

COUNT, SIDE = 12, 64

sys.dont_write_bytecode = True
from browser import need_chromium, start_browser, SKIPPED
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


def expect(holds, *what):
    if not holds:
        print("FAILED:", *what)
        sys.exit(1)


def write_nifti(path, number):
    """A grey square on black, its own grey for each number."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 2, SIDE, SIDE, 1, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 2, 8)  # unsigned bytes
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 0, 0, 0, 0)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\0"
    inside = range(SIDE // 4, 3 * SIDE // 4)
    path.write_bytes(bytes(header) + bytes(60 + 10 * number if x in inside and y in inside else 0
                                           for y in range(SIDE) for x in range(SIDE)))


def review(driver, page, downloads, screenshot):
    """Presses a key for each picture and returns those said to show a name."""
    text = lambda name: driver.find_element(By.ID, name).get_attribute("textContent")
    press = lambda key: ActionChains(driver, duration=0).send_keys(key).perform()
    driver.get(page.as_uri())
    named = []
    for number in range(COUNT):
        if number == 5:
            press("y")
            press("u")
            driver.refresh()
            expect(text("count").startswith(f"5 of {COUNT}"), "a reload or an undo lost something:", text("count"))
            if screenshot:
                driver.save_screenshot(str(screenshot))
        if number == 7:
            press(Keys.ARROW_RIGHT)
            press(Keys.ARROW_LEFT)
        name = text("name")
        press("y" if number % 3 == 0 else "n")
        if number % 3 == 0:
            named.append(name)
    expect(text("end").startswith("All looked at"), "not at the end:", text("end"))
    press("d")
    for _ in range(100):
        if (downloads / "reviewed.json").exists():
            break
        time.sleep(0.1)
    messages = [entry["message"] for entry in driver.get_log("browser")]
    expect(not messages, "on the console:", messages)
    return named


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binaries", type=pathlib.Path)
    parser.add_argument("--screenshot", type=pathlib.Path)
    flags = parser.parse_args()
    dimport = flags.binaries.resolve() / "dimport"
    if not dimport.exists():
        print("skipped: no dimport in this build")
        sys.exit(SKIPPED)
    need_chromium()
    with tempfile.TemporaryDirectory(prefix="echodiff_import_", ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        (folder / "lab").mkdir()
        for number in range(COUNT):
            write_nifti(folder / "lab" / f"p{number}.nii", number)
        data = folder / "data"
        subprocess.run([dimport, folder / "lab", "--out", data, "--sector", "whole", "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
        driver = start_browser(f"{name}/profile", folder)
        try:
            named = review(driver, data / "review.html", folder, flags.screenshot)
        finally:
            driver.quit()
        subprocess.run([dimport, "reviewed", data, folder / "reviewed.json"], check=True, stdout=subprocess.DEVNULL)
        left = sorted(path.name for path in (data / "images").iterdir())
        expect(len(left) == COUNT - len(named) and not set(left) & set(named), "left are", left, "named were", named)
        expect(json.loads((data / "dataset.json").read_text())["reviewed"] is True, "the folder is still unreviewed")
        print(f"{COUNT} pictures looked at by keys, {len(named)} taken out")


if __name__ == "__main__":
    main()
