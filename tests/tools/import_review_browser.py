#!/usr/bin/python3
"""The review page of imported pictures in a real browser: each looked at by one key, an undo and a reload on the way; the
downloaded reviewed.json takes out the pictures said to show names, and those alone.

  import_review_browser.py BIN_DIR [--screenshot FILE]

Needs chromium, chromium-driver, python3-selenium (Debian) and a build with dimport; exits with 77 (skipped) otherwise.
"""
import argparse
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
COUNT, SIDE = 12, 64

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    print("skipped: python3-selenium is not installed")
    sys.exit(SKIPPED)


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
    if not dimport.exists() or not all(shutil.which(program) for program in ("chromium", "chromedriver")):
        print("skipped: no dimport in this build, no chromium or no chromium-driver")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory(prefix="echodiff_import_", ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        (folder / "lab").mkdir()
        for number in range(COUNT):
            write_nifti(folder / "lab" / f"p{number}.nii", number)
        data = folder / "data"
        subprocess.run([dimport, folder / "lab", "--out", data, "--sector", "whole", "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,860",
                         f"--user-data-dir={name}/profile"]:
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"download.default_directory": name})
        driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
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
