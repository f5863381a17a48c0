#!/usr/bin/env bash
# What a GPU can prove, on a machine with one, the CUDA toolkit and cuDNN: builds with ECHODIFF_CUDA=ON, runs the tests of
# a real device, again under compute-sanitizer where that is there, captures the device's properties for cuDNN, times
# training and denoising against PyTorch (bf16, channels last, eager and compiled) in the same run, and writes one Markdown table.
#   tools/gpu_check.sh [--out docs/bench/gpu_NAME.md]
# PyTorch comes from the Python that ECHODIFF_TORCH_PYTHON names (with torch and denoising_diffusion_pytorch); without it
# that part is left out and the table says so.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -1) || name=""
[ -n "$name" ] || { echo "gpu_check: no GPU here (nvidia-smi names none)" >&2; exit 69; }
out=docs/bench/gpu_$(tr -c '[:alnum:]\n' _ <<<"$name").md
[ "${1:-}" != --out ] || out=${2:?gpu_check: --out needs a file}
build="build-gpu"

cmake -S . -B "$build" -DECHODIFF_CUDA=ON -DCMAKE_RULE_MESSAGES=OFF >/dev/null
cmake --build "$build" --parallel "$(nproc)" --target echodiff_tests cuda_device_tests capture_device dphantom dtrain dsample

# result COMMAND...: runs it, its output in a log; "passed", or "FAILED (log)".
result() {
  local log=$build/gpu_check_$1.log
  shift
  if "$@" >"$log" 2>&1; then echo passed; else echo "FAILED ($log)"; fi
}
tests=$(result tests ctest --test-dir $build --output-on-failure -L cuda-device)
sanitizer="not installed"
if command -v compute-sanitizer >/dev/null; then
  sanitizer=$(result sanitizer compute-sanitizer --error-exitcode 1 $build/tests/cuda/cuda_device_tests)
fi
device=tests/cuda/devices/captured_$(tr -c '[:alnum:]\n' _ <<<"$name").json
captured=$(result capture bash -c "$build/tests/cuda/capture_device >'$device'")

# ms_apart NAME SHORT LONG COMMAND...: milliseconds of a step, by the difference of a run of LONG steps and one of SHORT,
# each as COMMAND... with the number behind it and the run in the folder gpu_check_NAME.
ms_apart() {
  local name=$1 short=$2 long=$3 steps begin runs=()
  for steps in "$short" "$long"; do
    rm -rf "$build/gpu_check_$name"
    begin=${EPOCHREALTIME/./}
    "${@:4}" "$steps" --out "$build/gpu_check_$name" >"$build/gpu_check_$name.log" 2>&1 || { echo "FAILED ($build/gpu_check_$name.log)"; return; }
    runs+=($((${EPOCHREALTIME/./} - begin)))
  done
  awk -v microseconds=$((runs[1] - runs[0])) -v steps=$((long - short)) 'BEGIN { printf "%.2f", microseconds / steps / 1000 }'
}
# ms_per_step SIZE MULTS PRECISION: dtrain's.
ms_per_step() {
  rm -rf "$build/gpu_check_data"
  "$build/bin/dphantom" --out "$build/gpu_check_data" --count 64 --size "$1" >"$build/gpu_check_data.log"
  ms_apart run 20 60 "$build/bin/dtrain" diffusion --data "$build/gpu_check_data" --device cuda --precision "$3" --image-size "$1" --dim 64 --mults "$2" --batch 16 --steps
}
# ms_per_denoise PRECISION: dsample's, of the run that ms_per_step left, 16 pictures a step.
ms_per_denoise() {
  ms_apart samples 50 250 "$build/bin/dsample" --model "$build/gpu_check_run" --masks "$build/gpu_check_data" --device cuda --precision "$1" --sampler ddim \
    --batch 16 --count 16 --policy none --sample-steps
}

table="| network, batch 16 | train step, f32, ms | bf16 | PyTorch eager bf16 | PyTorch compiled bf16 | denoise step, f32, ms | bf16 | PyTorch eager bf16 | PyTorch compiled bf16 |
|---|---|---|---|---|---|---|---|---|"
for network in "64 1,2,4" "128 1,2,4,8"; do
  read -r size mults <<<"$network"
  times="" missing="no PyTorch"
  if [ -n "${ECHODIFF_TORCH_PYTHON:-}" ]; then
    missing=FAILED
    # shellcheck disable=SC2086
    times=$("$ECHODIFF_TORCH_PYTHON" tools/bench/gpu_bench.py "$size" 64 16 ${mults//,/ } 2>"$build/gpu_check_torch.log") || times=""
  fi
  # MODE COLUMN: 2 for training, 3 for a denoise step.
  theirs() { awk -v mode="$1" -v column="$2" -v missing="$missing" '$1 == mode { found = $column } END { print found == "" ? missing : found }' <<<"$times"; }
  table+="
| U-Net $size, mults $mults | $(ms_per_step "$size" "$mults" f32) | $(ms_per_step "$size" "$mults" bf16) | $(theirs eager 2) | $(theirs compile 2) |"
  table+=" $(ms_per_denoise f32) | $(ms_per_denoise bf16) | $(theirs eager 3) | $(theirs compile 3) |"
done

mkdir -p "$(dirname "$out")"
cat >"$out" <<TEXT
# $name, $(date -u +%F), $(git describe --always --dirty)

Driver $(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1), $(nvcc --version | grep -o 'release [0-9.]*').
Tests of a real device: $tests. compute-sanitizer: $sanitizer. Device properties: $captured ($device).

$table
TEXT
cat "$out"
[[ $tests == passed && $sanitizer != FAILED* && $captured == passed ]]
