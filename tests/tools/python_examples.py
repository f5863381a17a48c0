#!/usr/bin/env python3
"""The examples in Python read what the programs write: docs/examples/*.py on a tiny run.

  python_examples.py BIN_DIR

Needs torch, denoising-diffusion-pytorch, safetensors and pillow (PyPI); exits with 77 (skipped) without them.
"""
import pathlib
import subprocess
import sys
import tempfile

try:
    import denoising_diffusion_pytorch  # noqa: F401
    import PIL  # noqa: F401
    import safetensors  # noqa: F401
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "docs/examples"


def main():
    programs = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        def run(program, *arguments):
            path = sys.executable if program.endswith(".py") else programs / program
            script = [EXAMPLES / program] if program.endswith(".py") else []
            done = subprocess.run([path, *script, *arguments], cwd=folder, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"{program}: {done.stdout}{done.stderr}")
            return done.stdout

        run("dphantom", "--count", "12", "--size", "16", "--out", "data", "--quiet")
        run("dtrain", "diffusion", "--data", "data", "--image-size", "16", "--dim", "16", "--mults", "1,2", "--batch", "2", "--timesteps", "50",
            "--schedule", "cosine", "--predict", "x0", "--steps", "6", "--val-every", "0", "--sample-every", "0", "--lr", "1e-2",
            "--out", "run", "--quiet")
        sampling = ["--model", "run", "--masks", "data", "--count", "3", "--sampler", "ddim", "--sample-steps", "2", "--quiet"]
        run("dsample", *sampling, "--out", "samples")
        run("dsample", "record", *sampling, "--out", "recording")
        run("dweights", "export", "run", "--out", "weights.safetensors")

        said = run("read_in_python.py", "run", "samples", "recording")
        assert "3 kept of 3" in said and "averaged weights" in said and "(3, " in said, said
        run("draw_in_pytorch.py", "run", "weights.safetensors", "data", "drawn")
        assert len(list(pathlib.Path(folder, "drawn").glob("*.png"))) == 4
        said = run("dweights", "verify", "run", "--against", "drawn/io.safetensors", "--tolerance", "1e-5")
        assert "equal" in said, said


main()
