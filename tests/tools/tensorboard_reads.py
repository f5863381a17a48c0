#!/usr/bin/env python3
"""TensorBoard reads what --tensorboard wrote: the scalars of log.jsonl, step by step, and sample pictures.

  tensorboard_reads.py BIN_DIR

Needs tensorboard (PyPI); exits with 77 (skipped) without it.
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    print("skipped: tensorboard is not installed")
    sys.exit(77)


def main():
    programs = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        data, run = folder + "/data", folder + "/run"
        subprocess.run([programs / "dphantom", "--count", "24", "--size", "16", "--out", data, "--quiet"], check=True)
        command = [programs / "dtrain", "diffusion", "--data", data, "--image-size", "16", "--dim", "8", "--mults", "1,2",
                   "--batch", "2", "--timesteps", "50", "--val-every", "3", "--sample-every", "3", "--sample-steps", "2",
                   "--save-every", "2", "--out", run, "--quiet", "--tensorboard"]
        subprocess.run(command + ["--steps", "5"], check=True)
        subprocess.run(command + ["--steps", "9", "--resume"], check=True)
        lines = [json.loads(line) for line in open(run + "/log.jsonl")]
        read = EventAccumulator(run, size_guidance={"scalars": 0, "images": 0})
        read.Reload()
        for tag in ("loss", "grad_norm", "lr", "val_loss"):
            expected = {line["step"]: line[tag] for line in lines if tag in line}
            found = {event.step: event.value for event in read.Scalars(tag)}
            assert found.keys() == expected.keys(), (tag, found, expected)
            assert all(math.isclose(found[step], expected[step], rel_tol=1e-6) for step in expected), tag
        pictures = read.Images("samples")
        assert {picture.step for picture in pictures} >= {3, 6, 9}, pictures
        assert all(picture.encoded_image_string.startswith(b"\x89PNG") for picture in pictures)
        print("TensorBoard reads", len(read.Tags()["scalars"]), "scalars and", len(pictures), "pictures")


if __name__ == "__main__":
    main()
