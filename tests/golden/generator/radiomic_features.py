"""Radiomic features by pyradiomics, in a Python of its own: it needs numpy below 2. python radiomic_features.py FILE

Made-up pictures, their sectors, and every feature of the picture and of its Laplacians of Gaussians, as JSON."""
import json
import subprocess
import sys

BIN_WIDTH, SIGMAS = 8, (1.0, 2.0, 3.0)
LEFT_OUT = {"TotalEnergy", "SumAverage"}  # Energy, and twice JointAverage


def pictures():
    """name, picture, sector: speckle in a sector; odd sizes; two levels; one grey; a region with holes and single pixels."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(7)
    for name, height, width in (("speckle", 40, 36), ("odd", 27, 21)):
        row, column = np.mgrid[:height, :width]
        sector = np.abs(column - width / 2) < (row + 3) * 0.7
        field = [gaussian_filter(random.normal(size=(height, width)), 0.8) for _ in range(2)]
        decibels = np.log(field[0] ** 2 + field[1] ** 2 + 1e-3)
        grey = 90 + 28 * decibels + 40 * np.sin(row / 9)
        yield name, np.where(sector, np.clip(np.round(grey), 0, 255), 0), sector
    half = np.ones((12, 10), bool)
    half[:, 7:] = False
    yield "two_levels", np.where(random.random((12, 10)) < 0.3, 200, 40), half
    yield "flat", np.where(half, 130, 0), half
    scattered = random.random((15, 16)) < 0.4
    scattered[0, 0], scattered[0, 1], scattered[1, 0], scattered[1, 1] = True, False, False, False
    yield "scattered", random.integers(0, 256, (15, 16)), scattered


def families(values, sector):
    import SimpleITK as sitk
    from radiomics import firstorder, glcm, glrlm, ngtdm

    image, mask = (sitk.GetImageFromArray(array[None]) for array in (values.astype(float), sector.astype("uint8")))
    for name, family in (("firstorder", firstorder.RadiomicsFirstOrder), ("glcm", glcm.RadiomicsGLCM),
                         ("glrlm", glrlm.RadiomicsGLRLM), ("ngtdm", ngtdm.RadiomicsNGTDM)):
        measured = family(image, mask, binWidth=BIN_WIDTH, force2D=True, force2Ddimension=0)
        measured.enableAllFeatures()
        for feature, value in measured.execute().items():
            if feature not in LEFT_OUT:
                yield f"{name}_{feature}", float(value)


def write(file):
    import logging

    import radiomics
    from scipy.ndimage import gaussian_laplace

    radiomics.logger.setLevel(logging.ERROR)
    cases = []
    for name, picture, sector in pictures():
        filtered = {"original": picture}
        filtered.update({f"log{s:g}": s * s * gaussian_laplace(picture.astype(float), s, mode="mirror") for s in SIGMAS})
        features = {f"{key}_{feature}": value for key, values in filtered.items() for feature, value in families(values, sector)}
        cases.append({"name": name, "height": picture.shape[0], "width": picture.shape[1],
                      "image": picture.astype(int).ravel().tolist(), "sector": sector.astype(int).ravel().tolist(),
                      "features": features})
    with open(file, "w", encoding="utf-8") as stream:
        json.dump({"bin_width": BIN_WIDTH, "sigmas": SIGMAS, "cases": cases}, stream)
        stream.write("\n")


def make(python):
    from .common import path

    file = path("radiomics/features.json", "pyradiomics' first-order, GLCM, GLRLM and NGTDM features of made-up pictures and of scipy's Laplacians of Gaussians")
    subprocess.run([python, __file__, file], check=True)


if __name__ == "__main__":
    write(sys.argv[1])
