"""How many burned-in names dimport leaves, tells of and misses, and how well it finds the sector.

  import_names.py PICTURES OUT [--count 200] [--dimport build/bin/dimport]

PICTURES: a folder of images/ and sector/ (of dphantom, or frames with one sector for all). Writes OUT/lab: ultrasound
files of three layouts with names in the typefaces that the machine has, above, beside and (every third) inside the
sector; stills and clips by turns; raw, RLE and JPEG. Imports them and prints what was found. Needs PyPI's pydicom, numpy
and pillow, and Debian's dcmtk.
"""
import argparse
import csv
import pathlib
import random
import subprocess

import numpy
import pydicom
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

NAMES = ["MUELLER, ANNA", "DOE^JANE", "12.03.1961", "PID 4711-0815", "SMITH JOHN", "Patient: Garcia", "ID:A93-22"]
LEFT, TOP = 190, 110  # of the picture on the screen
AROUND = (30, 34, 40, 10)  # what the region takes in to the left, above, to the right, below


def grey(path):
    with Image.open(path) as image:
        return numpy.array(image.convert("L"))


class Pictures:
    def __init__(self, folder):
        self.images = sorted((folder / "images").glob("*.png"))
        self.sectors = sorted((folder / "sector").glob("*.png"))

    def frames(self, number, count):
        """Frames of a clip, and their sector: one that moves, or single pictures whose speckle does."""
        first = self.images[number % len(self.images)]
        own = self.sectors[number % len(self.sectors)]
        sector = grey(own) > 0
        if len(self.sectors) == 1:
            return [grey(self.images[(3 * number + 4 * k) % len(self.images)]) for k in range(count)], sector
        picture = grey(first).astype(float)
        rates = [0.75 + 0.5 * numpy.random.RandomState(100 * number + k).rand(*picture.shape) for k in range(count)]
        return [numpy.clip(picture * (rate if count > 1 else 1), 0, 255) for rate in rates], sector


def text_layer(shape, writings):
    layer = Image.new("L", (shape[1], shape[0]), 0)
    for x, y, text, level, font in writings:
        ImageDraw.Draw(layer).text((x, y), text, fill=level, font=font)
    return numpy.array(layer)


def write_file(path, stack, shape, number):
    colour = number % 3 != 0
    clip = len(stack) > 1
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1" if clip else "1.2.840.10008.5.1.4.1.1.6.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.PatientID, data.Modality = f"SECRET{number}", "US"
    data.Rows, data.Columns = stack.shape[1:3]
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    if clip:
        data.NumberOfFrames = len(stack)
    region = Dataset()
    region.RegionSpatialFormat = region.RegionDataType = 1
    region.RegionFlags = 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = LEFT - AROUND[0], TOP - AROUND[1]
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = LEFT + shape[1] + AROUND[2], TOP + shape[0] + AROUND[3]
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.03
    data.SequenceOfUltrasoundRegions = pydicom.Sequence([region])
    data.PixelData = (numpy.repeat(stack[..., None], 3, -1) if colour else stack).tobytes()
    data.save_as(path, enforce_file_format=True)
    packing = number // 3 % 3
    if packing:
        subprocess.run([["dcmcrle"], ["dcmcjpeg", "+eb", "+q", "90"]][packing - 1] + [path, path], check=True)


def make(pictures, lab, count):
    """[(is a name inside, the sector, where names are outside of it)], as the region is cut."""
    dice, truths = random.Random(5), []
    fonts = sorted(pathlib.Path("/usr/share/fonts/truetype").rglob("*.ttf"))
    for number in range(count):
        frames, sector = pictures.frames(number, 1 if number % 2 == 0 else 8)
        rows, columns = sector.shape
        screen = (TOP + rows + 120, LEFT + columns + 200)
        whole = numpy.zeros(screen, bool)
        whole[TOP:TOP + rows, LEFT:LEFT + columns] = sector
        font = ImageFont.truetype(str(dice.choice(fonts)), dice.choice([11, 13, 16, 20, 26]))
        level, text, inside = dice.choice([160, 200, 255]), dice.choice(NAMES), number % 3 == 0
        outer = text_layer(screen, [(LEFT + 4, TOP - 28, text, level, font), (LEFT - 20, TOP + 30, text[:5], level, font),
                                    (LEFT + columns - 60, TOP + rows - 30, text, level, font)])
        at = (LEFT + columns // 2 - 40 + dice.randint(-15, 15), TOP + rows // 2 + dice.randint(-20, 40))
        inner = text_layer(screen, [(*at, text, level, font)] if inside else [])
        stack = []
        for frame in frames:
            shown = numpy.zeros(screen)
            shown[TOP:TOP + rows, LEFT:LEFT + columns] = numpy.where(sector, frame, 0)
            stack.append(numpy.maximum(numpy.maximum(shown, numpy.where(whole, 0, outer)), inner).astype(numpy.uint8))
        write_file(lab / f"{number:05}.dcm", numpy.stack(stack), sector.shape, number)
        cut = (slice(TOP - AROUND[1], TOP + rows + AROUND[3] + 1), slice(LEFT - AROUND[0], LEFT + columns + AROUND[2] + 1))
        truths.append((inside, whole[cut], ((outer > 60) & ~whole)[cut]))
    return truths


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--dimport", default="build/bin/dimport")
    flags = parser.parse_args()
    lab, data = flags.out / "lab", flags.out / "data"
    lab.mkdir(parents=True)
    truths = make(Pictures(flags.pictures), lab, flags.count)
    subprocess.run([flags.dimport, lab, "--out", data, "--change", "0", "--quiet"], check=True)
    survived, missed, wrongly, overlaps, seen = 0, 0, 0, [], set()
    for row in csv.DictReader(open(data / "index.csv")):
        if row["clip"] in seen:
            continue
        seen.add(row["clip"])
        inside, sector, names = truths[int(row["clip"])]
        found = grey(data / "sector" / row["file"]) > 0
        survived += ((grey(data / "images" / row["file"]) > 60) & names).sum() > 12
        missed += inside and row["letters"] != "yes"
        wrongly += not inside and row["letters"] == "yes"
        overlaps.append((found & sector).sum() / (found | sector).sum())
    print(f"{len(seen)} of {flags.count} files imported; names outside that survive: {survived}; names inside missed: "
          f"{missed} of {sum(truth[0] for truth in truths)}, told of wrongly: {wrongly}; overlap least {min(overlaps):.3f}, "
          f"median {numpy.median(overlaps):.3f}, below .98: {sum(one < 0.98 for one in overlaps)}")


if __name__ == "__main__":
    main()
