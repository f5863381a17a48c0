#!/usr/bin/env bash
# Whole networks here and in PyTorch on the same shapes, alternately in one run; prints Markdown with the ratios.
#   tools/bench/bench_vs_pytorch.sh [--alternations 7] [--threads 2] [--networks unet64 ..] [--forward-only] [--avx2] [--out docs/bench/cpu.md]
# Needs build/bin/bench_models and the PyTorch programs in ../shared/bench/pytorch (or ECHODIFF_SHARED). PyTorch comes
# from PyPI into build/torch, unless ECHODIFF_TORCH_PYTHON names a Python that has it. About 40 minutes on 2 cores; leave
# the machine alone meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."
shared=${ECHODIFF_SHARED:-../shared}
[ -d "$shared/bench/pytorch" ] || { echo "bench_vs_pytorch: $shared/bench/pytorch: no such folder; set ECHODIFF_SHARED" >&2; exit 66; }
[ -x build/bin/bench_models ] || { echo "bench_vs_pytorch: build/bin/bench_models is missing; build first" >&2; exit 66; }
python=${ECHODIFF_TORCH_PYTHON:-build/torch/bin/python}
if [ ! -x "$python" ]; then
  python3 -m venv build/torch
  build/torch/bin/pip install --quiet torch==2.15.0 torchvision numpy safetensors denoising-diffusion-pytorch==2.3.4
fi
exec "$python" tools/bench/bench_vs_pytorch.py --programs "$shared/bench/pytorch" --bench build/bin/bench_models "$@"
