#!/usr/bin/env bash
# What a GPU can prove, on the machine that has it, as one Markdown table under docs/bench/:
#   tools/gpu_check.sh [--bundle FOLDER] [--minutes 8] [--out docs/bench/gpu_NAME.md]
# Builds the bundle here where toolkit, cuDNN and Debian's packages are there (tools/gpu_bundle.sh), otherwise takes the
# one named, or build-gpu/bundle. The lines of a run, its logs and cuDNN's properties of the device stay in build-gpu/results.
set -euo pipefail
cd "$(dirname "$0")/.."
bundle='' minutes=8 out=''
while [ $# -gt 0 ]; do
  case $1 in
    --bundle) bundle=${2:?gpu_check: --bundle needs a folder}; shift 2 ;;
    --minutes) minutes=${2:?gpu_check: --minutes needs a number}; shift 2 ;;
    --out) out=${2:?gpu_check: --out needs a file}; shift 2 ;;
    *) echo "gpu_check: $1: not one of --bundle, --minutes, --out" >&2; exit 2 ;;
  esac
done
name=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -1) || name=""
[ -n "$name" ] || { echo "gpu_check: no GPU here (nvidia-smi names none)" >&2; exit 69; }
if [ -z "$bundle" ]; then
  bundle=build-gpu/bundle
  tools/gpu_bundle.sh "$bundle" || [ -x "$bundle/run.sh" ] ||
    { echo "gpu_check: can't build here; make the bundle elsewhere (tools/gpu_bundle.sh) and name it with --bundle" >&2; exit 69; }
fi
[ -x "$bundle/run.sh" ] || { echo "gpu_check: $bundle holds no run.sh" >&2; exit 66; }

code=0
"$bundle/run.sh" --minutes "$minutes" --out build-gpu/results || code=$?
[ -f build-gpu/results/gpu.md ] || exit "$code"
place=$(tr -c '[:alnum:]\n' _ <<<"$name")
out=${out:-docs/bench/gpu_$place.md}
mkdir -p "$(dirname "$out")"
cp build-gpu/results/gpu.md "$out"
cp build-gpu/results/device.json "tests/cuda/devices/captured_$place.json"
echo "gpu_check: $out, tests/cuda/devices/captured_$place.json"
exit "$code"
