#!/usr/bin/env bash
# Ours against peers at equal training time, on the same pictures and cores, one after the other:
#   tools/quality/peers.sh OUT [--data DIR] [--size N] [--minutes N] [--bin DIR] [NAME=VALUE ...]
# Peers: lucidrains' denoising-diffusion-pytorch and diffusers' UNet2DModel by their own recipes, and each with a network as
# small as ours. They draw by their samplers of 20 calls, ours by unipc of 5. OUT/evaluation.json has KID, FID, spectrum and
# adherence of each. Without --data the data are phantoms, 1,000 of them held out. Time is processor time over the threads,
# so that other work on the machine matters little. PyTorch and the peers come from PyPI into build/peers, unless
# ECHODIFF_PEERS_PYTHON has them.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tools/quality/pictures.sh
. "$here/tools/quality/pictures.sh"

usage() { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
case ${1:--} in -*) usage ;; esac
out=$1; shift
data='' size=64 minutes=30 bin=$here/build/bin
peers="lucidrains lucidrains-small diffusers diffusers-small" patch=''  # of our network; '': 2 above 64 pixels
pictures=1200 held_out=1000 masks=20 count=300 threads=2
trial_steps=300 scorer_epochs=24 segmenter_steps=500 seconds=''  # in place of minutes
while [ $# -gt 0 ]; do
  case $1 in
    --data) data=${2:?}; shift 2 ;;
    --size) size=${2:?}; shift 2 ;;
    --minutes) minutes=${2:?}; shift 2 ;;
    --bin) bin=${2:?}; shift 2 ;;
    *=*) declare -g "$1"; shift ;;
    *) usage ;;
  esac
done
[ -x "$bin/dsample" ] || { echo "peers: $bin/dsample: not built; cmake --build build, or give --bin DIR" >&2; exit 66; }
[ ! -e "$out" ] || { echo "peers: $out is there already; give another folder" >&2; exit 73; }
python=${ECHODIFF_PEERS_PYTHON:-$here/build/peers/bin/python}
if [ -n "$peers" ] && [ ! -x "$python" ]; then
  python3 -m venv "$here/build/peers"
  "$here/build/peers/bin/pip" install --quiet torch==2.15.0 diffusers==0.42.1 denoising-diffusion-pytorch==2.3.4 ema-pytorch==0.8.3 pillow
fi
seconds=${seconds:-$((60 * minutes))}
[ -n "$patch" ] || patch=$((size > 64 ? 2 : 1))
common=(--threads "$threads" --seed 1)
mkdir -p "$out/runs"
say() { printf '== %s (%d s)\n' "$1" "$SECONDS" >&2; }

say "data"
if [ -z "$data" ]; then
  data=$out/data
  "$bin/dphantom" --out "$data" --count $((pictures + held_out)) --size "$size" --seed 1
  awk -F, -v OFS=, -v trained="$pictures" 'NR > 1 {$2 = NR - 1 <= trained ? "train" : "test"} {print}' "$data/index.csv" > "$out/index.csv"
  mv "$out/index.csv" "$data/index.csv"
  "$bin/dphantom" --out "$out/masks" --count "$masks" --size "$size" --seed 2
else
  pick_masks "$data" "$out/masks" test "$masks"
fi

say "what measures"  # pictures that are not square are squashed throughout, as peers.py does
"$bin/dlabel" calibrate --images "$data" --size "$size" --fit squash --quantile 0.5 --out "$out/thresholds.json"
"$bin/dlabel" score --images "$data" --thresholds "$out/thresholds.json" --size "$size" --fit squash --out "$out/labels.jsonl"
"$bin/dtrain" scorer "${common[@]}" --labels "$out/labels.jsonl" --allow-outside --fill "$data" --image-size "$size" --fit squash --width 32 --epochs "$scorer_epochs" \
  --lr 1e-3 --out "$out/scorer"
"$bin/dtrain" segmenter "${common[@]}" --data "$data" --image-size "$size" --fit squash --steps "$segmenter_steps" --flip --out "$out/segmenter"

train() {  # FOLDER STEPS
  "$bin/dtrain" diffusion "${common[@]}" --data "$data" --out "$1" --image-size "$size" --fit squash --steps "$2" --batch 4 --timesteps 2000 --schedule cosine \
    --predict x0 --min-snr-gamma 5 --arch guided --blocks 1 --dim 32 --mults 1,2,4 --patch "$patch" --lr 1e-3 --warmup 100 --cosine --ema 0.999 \
    --flip --sample-every 0
}
cpu_seconds() {  # of the programs run so far
  times > "$out/times"
  awk 'NR == 2 {for (i = 1; i <= 2; ++i) {split($i, part, "[ms]"); sum += 60 * part[1] + part[2]}; print sum}' "$out/times"
  rm "$out/times"
}
say "ours: as many steps as fit into $seconds seconds, by a trial of $trial_steps"
cpu_seconds > "$out/begun"
train "$out/trial" "$trial_steps"
cpu_seconds > "$out/ended"
steps=$(paste "$out/begun" "$out/ended" | awk -v steps="$trial_steps" -v seconds="$((seconds * threads))" '{printf "%d", seconds * steps / ($2 - $1)}')
rm "$out/begun" "$out/ended"
train "$out/ours" "$steps"
"$bin/dsample" "${common[@]}" --model "$out/ours" --masks "$out/masks" --sampler unipc --grid logsnr --sample-steps 5 --count "$count" --batch 16 \
  --policy none --out "$out/runs/ours"
for peer in $peers; do
  say "$peer"
  "$python" "$here/tools/bench/peers.py" "$peer" --data "$data" --masks "$out/masks" --size "$size" --seconds "$seconds" --count "$count" \
    --threads "$threads" --out "$out/peers/$peer"
  for sampler in "$out/peers/$peer"/*/; do mv "$sampler" "$out/runs/$peer-$(basename "$sampler")"; done
done

say "evaluation"
"$bin/dlabel" evaluate "${common[@]}" --samples "$out/runs/ours" "$out"/runs/*-*/ --data "$data" --masks "$out/masks" --features "$out/scorer" \
  --segmenter "$out/segmenter" --image-size "$size" --out "$out/evaluation.json"
say "done: $out/evaluation.json"
