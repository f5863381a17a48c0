#!/usr/bin/env python3
"""Makes the golden files that the parity tests read: python tests/golden/make_goldens.py [--out DIR] --old-ddp DIR --guided DIR --radiomics PYTHON

One process, one thread, fixed seeds; README.md has the versions and what these hold. Everything is made anew, and
manifest.json and tolerances.json with it. --only SECTION makes that alone (most need neither folder) and keeps the rest."""
import argparse
import json
import os
import sys

import torch
import xxhash

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from generator import (  # noqa: E402
    common, diffusers_unet, guided, hostile, ops, ops_training, radiomic_features, resnet18, schedules, solvers, trainer, trajectory, unet)


def kept(name):
    with open(os.path.join(common.OUT, name), encoding="utf-8") as stream:
        return json.load(stream)


def write_manifest(rows):
    for name in sorted(common.MADE):
        with open(os.path.join(common.OUT, name), "rb") as stream:
            content = stream.read()
        rows[name] = {"size": len(content), "xxh3": xxhash.xxh3_64_hexdigest(content), "made": common.MADE[name]}
    lines = [f" {json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(rows.items())]
    with open(os.path.join(common.OUT, "manifest.json"), "w", encoding="utf-8") as stream:
        stream.write("{\n" + ",\n".join(lines) + "\n}\n")
    print(len(rows), "files,", sum(row["size"] for row in rows.values()), "bytes")


def every_op():
    ops.make()
    ops_training.make()  # they share an index


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=common.OUT, help="default: this script's folder")
    parser.add_argument("--old-ddp", help="a folder with denoising_diffusion_pytorch 1.11.0")
    parser.add_argument("--guided", help="a folder with guided_diffusion")
    parser.add_argument("--radiomics", help="a Python that has pyradiomics")
    sections = {
        "ops": every_op, "schedules": schedules.make, "resnet18": resnet18.make,
        "unet": unet.rms_norm, "trainer": trainer.make, "trajectory": trajectory.make, "solvers": solvers.make, "diffusers": diffusers_unet.make,
        "guided": lambda: guided.make(flags.guided), "hostile": hostile.make, "unet_gn": lambda: unet.group_norm(flags.old_ddp),
        "radiomics": lambda: radiomic_features.make(flags.radiomics),
    }
    parser.add_argument("--only", choices=sections, help="make these alone")
    flags = parser.parse_args()
    chosen = [flags.only] if flags.only else sections
    for section, given in (("unet_gn", flags.old_ddp), ("guided", flags.guided), ("radiomics", flags.radiomics)):
        if section in chosen and not given:
            parser.error("--old-ddp, --guided and --radiomics are needed for unet_gn, guided and radiomics")
    common.set_out(flags.out)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    rows, tolerances = (kept("manifest.json"), kept("tolerances.json")) if flags.only else ({}, {})
    for name in chosen:
        print("==", name, flush=True)
        sections[name]()
    common.save_json("tolerances.json", {**tolerances, **common.TOLERANCES}, "PyTorch's own float32 errors, against float64")
    write_manifest(rows)


if __name__ == "__main__":
    main()
