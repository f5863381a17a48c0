#!/usr/bin/env bash
# The whole paper in one command, at most 10 minutes on 2 cores:
#   tools/demo.sh [OUT] [--data DIR] [--minutes N] [options passed on to dtrain diffusion]
# Installs what is missing, builds the programs, then: data, diffusion training, sampling without a judge, labels from
# metrics, the judge's training, sampling with the judge, and OUT/report.html. Without --data the data are phantoms.
# Every machine makes the same steps; --minutes scales those of the diffusion training, which take about half of the ten.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

out=demo
data=
minutes=10
extra=()
[ $# -gt 0 ] && [ "${1#-}" = "$1" ] && { out=$1; shift; }
while [ $# -gt 0 ]; do
  case $1 in
    --data) [ $# -gt 1 ] || { echo "demo: --data needs a folder" >&2; exit 2; }; data=$2; shift 2 ;;
    --minutes) [[ ${2:-} =~ ^[1-9][0-9]{0,3}$ ]] || { echo "demo: --minutes needs a number from 1 to 9999" >&2; exit 2; }; minutes=$2; shift 2 ;;
    *) extra+=("$1"); shift ;;
  esac
done
[ -z "$data" ] || [ -d "$data" ] || { echo "demo: --data $data: no such folder" >&2; exit 66; }
[ ! -e "$out/report.html" ] || { echo "demo: $out holds a finished demo; give another folder" >&2; exit 73; }
mkdir -p "$out" || { echo "demo: can't create $out" >&2; exit 73; }

size=128 kept_noise=0.7 pictures=1200 masks=24 sampled=120 seed=1 # so many trajectories without a judge, and under each policy
steps=$((180 * minutes))
# Seconds of each stage where all take ten minutes. The time left goes by these, and after the first long stage by how long
# it took here; the build doesn't count for that, it may have been there.
stages=(215 6 $((24 * minutes)) 12 6 30 40 6)
stage=0 built=0
step() {
  local done=0 rest=0 i
  for i in "${!stages[@]}"; do
    if ((i < stage)); then done=$((done + stages[i])); else rest=$((rest + stages[i])); fi
  done
  local cells=$((24 * done / (done + rest))) seconds=$rest measured=$((done - stages[0]))
  if ((measured > 60)); then seconds=$(((SECONDS - built) * rest / measured)); fi
  printf '\n[%s%s] %d of %d: %s, about %d min left\n' "$(printf '%*s' "$cells" '' | tr ' ' '#')" \
    "$(printf '%*s' $((24 - cells)) '' | tr ' ' '.')" $((stage + 1)) ${#stages[@]} "$1" $(((seconds + 30) / 60))
  stage=$((stage + 1))
}

step "build"
"$here/tools/install_deps.sh" --programs
cmake -S "$here" -B "$here/build-demo" -DECHODIFF_TESTS=OFF -DECHODIFF_CUDA=OFF -DCMAKE_RULE_MESSAGES=OFF >/dev/null
cmake --build "$here/build-demo" --parallel "$(nproc)" --target dphantom dtrain dsample dlabel dreport -- --no-print-directory -s
bin=$here/build-demo/bin
built=$SECONDS

if [ -z "$data" ]; then
  step "phantoms: $pictures pictures of $size x $size"
  "$bin/dphantom" --out "$out/data" --count $pictures --size $size --seed $seed
  "$bin/dphantom" --out "$out/unseen" --count "$masks" --size $size --seed $((seed + 1))
  data=$out/data unseen=$out/unseen
else
  stage=2
  unseen=$data
  kept_noise=0.5 # scanners' frames are smoother than phantoms
fi

network=(--arch guided --blocks 1 --dim 32 --mults 1,2,4 --patch 2) # 128 pixels cost about what 64 cost without patches
step "diffusion: $steps steps, T = 2000"
"$bin/dtrain" diffusion --data "$data" --out "$out/diffusion" --image-size $size --steps "$steps" --batch 4 --timesteps 2000 \
  --schedule cosine --predict x0 --min-snr-gamma 5 "${network[@]}" --lr 1e-3 --warmup 100 --cosine --ema 0.997 --flip --val-every $((steps / 6)) --val-count 64 \
  --sample-every 1000 --seed $seed "${extra[@]}"

step "samples without a judge"
sampling=(--model "$out/diffusion" --masks "$unseen" --sampler unipc --grid logsnr --sample-steps 5 --grid-end 0.02 --keep-noise $kept_noise \
  --batch 16 --mask-count $masks)
"$bin/dsample" "${sampling[@]}" --seed $seed --count $sampled --policy none --out "$out/unjudged"

step "thresholds from real pictures, labels, review page"
"$bin/dlabel" calibrate --images "$data" --size $size --run "$out/diffusion" --quantile 0.7 --out "$out/thresholds.json"
"$bin/dlabel" score --images "$out/unjudged" --thresholds "$out/thresholds.json" --out "$out/unjudged/labels.jsonl"
"$bin/dlabel" review "$out/unjudged/labels.jsonl" --out "$out/review.html"

step "the judge"
"$bin/dtrain" scorer --labels "$out/unjudged/labels.jsonl" --fill "$data" --run "$out/diffusion" --out "$out/scorer" --width 32 --epochs 12 \
  --per-class 260 --lr 1e-3 --seed $seed

step "samples with the judge"
for policy in posthoc paper "probe --group 4"; do
  # shellcheck disable=SC2086
  "$bin/dsample" "${sampling[@]}" --seed $((seed + 1)) --count $sampled --policy $policy --scorer "$out/scorer" --tau 0.9 --keep-discarded \
    --out "$out/${policy%% *}"
done

step "report"
"$bin/dreport" --runs "$out/diffusion" "$out/unjudged" "$out/scorer" "$out/posthoc" "$out/paper" "$out/probe" --data "$data" \
  --thresholds "$out/thresholds.json" --out "$out/report.html"
cat <<TEXT

Done in $((SECONDS / 60)) min $((SECONDS % 60)) s. Open the report in a browser:
  xdg-open $out/report.html          (macOS: open, Windows: start)
Look first at the answer at its top, then at the pictures: samples beside real ones, kept beside dropped.
Next: docs/tutorial.md changes one layer and measures whether it helped; tools/demo.sh OUT --data DIR takes your pictures.
TEXT
