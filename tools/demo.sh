#!/usr/bin/env bash
# The whole paper in one command, at most 10 minutes on 2 cores:
#   tools/demo.sh [OUT] [--data DIR] [options passed on to dtrain diffusion]
# Installs what is missing, builds the programs, then: data, diffusion training, sampling without a judge, labels from
# metrics, the judge's training, sampling with the judge, and OUT/report.html. Without --data the data are phantoms.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

out=demo
data=
extra=()
[ $# -gt 0 ] && [ "${1#-}" = "$1" ] && { out=$1; shift; }
while [ $# -gt 0 ]; do
  case $1 in
    --data) [ $# -gt 1 ] || { echo "demo: --data needs a folder" >&2; exit 2; }; data=$2; shift 2 ;;
    *) extra+=("$1"); shift ;;
  esac
done
[ -z "$data" ] || [ -d "$data" ] || { echo "demo: --data $data: no such folder" >&2; exit 66; }
[ ! -e "$out/report.html" ] || { echo "demo: $out holds a finished demo; give another folder" >&2; exit 73; }
mkdir -p "$out" || { echo "demo: can't create $out" >&2; exit 73; }

size=32 pictures=1200 steps=1600 sampled=256 judged=192 seed=1
step() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }

step "build"
"$here/tools/install_deps.sh" --programs
cmake -S "$here" -B "$here/build" -DECHODIFF_TESTS=OFF >/dev/null
cmake --build "$here/build" --parallel "$(nproc)" -- --no-print-directory -s
bin=$here/build/bin

if [ -z "$data" ]; then
  step "phantoms: $pictures pictures of $size x $size"
  "$bin/dphantom" --out "$out/data" --count $pictures --size $size --seed $seed
  "$bin/dphantom" --out "$out/unseen" --count $sampled --size $size --seed $((seed + 1))
  data=$out/data masks=$out/unseen
else
  masks=$data
fi

step "diffusion: $steps steps, T = 2000"
"$bin/dtrain" diffusion --data "$data" --out "$out/diffusion" --image-size $size --steps $steps --batch 16 --timesteps 2000 \
  --schedule cosine --predict v --dim 32 --mults 1,2,4 --lr 1e-3 --warmup 100 --cosine --ema 0.995 --seed $seed "${extra[@]}"

step "samples without a judge"
sampling=(--model "$out/diffusion" --masks "$masks" --sampler ddim --sample-steps 50 --seed $seed)
"$bin/dsample" "${sampling[@]}" --count $sampled --policy none --out "$out/unjudged"

step "thresholds from real pictures, labels, review page"
"$bin/dlabel" calibrate --images "$data" --size $size --out "$out/thresholds.json"
"$bin/dlabel" score --images "$out/unjudged" --thresholds "$out/thresholds.json" --out "$out/unjudged/labels.jsonl"
"$bin/dlabel" review "$out/unjudged/labels.jsonl" --out "$out/review.html"

step "the judge"
"$bin/dtrain" scorer --labels "$out/unjudged/labels.jsonl" --fill "$data" --out "$out/scorer" --seed $seed

step "samples with the judge"
for policy in posthoc paper; do
  "$bin/dsample" "${sampling[@]}" --seed $((seed + 1)) --count $judged --policy $policy --scorer "$out/scorer" --tau 0.95 --keep-discarded \
    --out "$out/$policy"
done

step "report"
"$bin/dreport" --runs "$out/diffusion" "$out/unjudged" "$out/scorer" "$out/posthoc" "$out/paper" --data "$data" \
  --thresholds "$out/thresholds.json" --out "$out/report.html"
step "done: $out/report.html"
