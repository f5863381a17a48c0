#!/usr/bin/env bash
# Ours against peers at equal training time, on the same pictures and cores, one after the other:
#   tools/quality/peers.sh OUT [--data DIR] [--size N] [--minutes N] [--bin DIR] [NAME=VALUE ...]
# Peers: lucidrains' denoising-diffusion-pytorch and diffusers' UNet2DModel by their own recipes, and each with a network,
# batch and rates as ours. They draw by their samplers of 20 calls; ours by unipc of 5, as it is and with a later last time
# and kept noise, and of 10. Designs of ours are held against each other in the same way: peers="" designs="patch1 patch2".
# OUT/evaluation.json has KID, FID, spectrum and adherence of each. Without --data the data are phantoms, 1,000 of them held
# out. Time is processor time over the threads, so that other work on the machine matters little. What was done stays done:
# the same command goes on where it stopped, and further peers and designs join. PyTorch and the peers come from PyPI into
# build/peers, unless ECHODIFF_PEERS_PYTHON has them.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tools/quality/pictures.sh
. "$here/tools/quality/pictures.sh"

usage() { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
case ${1:--} in -*) usage ;; esac
out=$1; shift
data='' size=64 minutes=30 bin=$here/build/bin
peers="lucidrains lucidrains-small diffusers diffusers-small"
samplers=''  # of the peers; '': all that each has
designs=''   # of ours: patchN, patchN-haar, patchN-level (one more level); '': patch2 above 64 pixels, else patch1
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
seconds=${seconds:-$((60 * minutes))}
[ -n "$designs" ] || designs=patch$((size > 64 ? 2 : 1))
settings="data=$data size=$size seconds=$seconds threads=$threads pictures=$pictures held_out=$held_out masks=$masks count=$count"
settings+=" trial_steps=$trial_steps scorer_epochs=$scorer_epochs segmenter_steps=$segmenter_steps"
mkdir -p "$out/done" "$out/runs"
[ -e "$out/settings" ] || echo "$settings" > "$out/settings"
[ "$settings" = "$(cat "$out/settings")" ] ||
  { echo "peers: $out was begun with $(cat "$out/settings"); give the same, or another folder" >&2; exit 73; }
python=${ECHODIFF_PEERS_PYTHON:-$here/build/peers/bin/python}
if [ -n "$peers" ] && [ ! -x "$python" ]; then
  python3 -m venv "$here/build/peers"
  "$here/build/peers/bin/pip" install --quiet torch==2.15.0 diffusers==0.42.1 denoising-diffusion-pytorch==2.3.4 ema-pytorch==0.8.3 pillow
fi
common=(--threads "$threads" --seed 1)
once() {  # NAME COMMAND...: unless it was done
  [ ! -e "$out/done/$1" ] || return 0
  printf '== %s (%d s)\n' "$1" "$SECONDS" >&2
  "${@:2}"
  touch "$out/done/$1"
}

make_phantoms() {
  rm -rf "$out/data" "$out/masks"
  "$bin/dphantom" --out "$out/data" --count $((pictures + held_out)) --size "$size" --seed 1
  awk -F, -v OFS=, -v trained="$pictures" 'NR > 1 {$2 = NR - 1 <= trained ? "train" : "test"} {print}' "$out/data/index.csv" > "$out/index.csv"
  mv "$out/index.csv" "$out/data/index.csv"
  "$bin/dphantom" --out "$out/masks" --count "$masks" --size "$size" --seed 2
}
if [ -n "$data" ]; then once masks pick_masks "$data" "$out/masks" test "$masks"; else once data make_phantoms; fi
data=${data:-$out/data}

# Pictures that are not square are squashed throughout, as peers.py does. A training that was stopped goes on.
train() {  # FOLDER PROGRAM FLAG...
  local resume=()
  [ ! -e "$1/latest" ] || resume=(--resume)
  "$bin/dtrain" "$2" "${common[@]}" "${resume[@]}" --image-size "$size" --fit squash --out "$1" "${@:3}"
}
label() {
  "$bin/dlabel" calibrate --images "$data" --size "$size" --fit squash --quantile 0.5 --out "$out/thresholds.json"
  "$bin/dlabel" score --images "$data" --thresholds "$out/thresholds.json" --size "$size" --fit squash --out "$out/labels.jsonl"
}
once labels label
once scorer train "$out/scorer" scorer --labels "$out/labels.jsonl" --allow-outside --fill "$data" --width 32 --epochs "$scorer_epochs" --lr 1e-3
once segmenter train "$out/segmenter" segmenter --data "$data" --steps "$segmenter_steps" --flip

diffusion() {  # DESIGN FOLDER STEPS
  local mults=1,2,4 basis=shuffle
  case $1 in *-haar) basis=haar ;; *-level) mults=1,2,4,8 ;; esac
  train "$2" diffusion --data "$data" --steps "$3" --batch 4 --timesteps 2000 --schedule cosine --predict x0 --min-snr-gamma 5 --arch guided --blocks 1 \
    --dim 32 --mults "$mults" --patch "${1//[^0-9]/}" --patch-basis "$basis" --lr 1e-3 --warmup 100 --cosine --ema 0.999 --flip --sample-every 0
}
cpu_seconds() {  # of the programs run so far
  times > "$out/times"
  awk 'NR == 2 {for (i = 1; i <= 2; ++i) {split($i, part, "[ms]"); sum += 60 * part[1] + part[2]}; print sum}' "$out/times"
  rm "$out/times"
}
trial() {  # DESIGN: as many steps as fit into the seconds
  rm -rf "$out/trial"
  cpu_seconds > "$out/begun"
  diffusion "$1" "$out/trial" "$trial_steps"
  cpu_seconds > "$out/ended"
  paste "$out/begun" "$out/ended" |
    awk -v steps="$trial_steps" -v seconds="$((seconds * threads))" '{printf "%d", seconds * steps / ($2 - $1)}' > "$out/$1-steps"
  rm "$out/begun" "$out/ended"
}
draw() {  # DESIGN NAME CALLS FLAG...
  rm -rf "$out/runs/$2"
  "$bin/dsample" "${common[@]}" --model "$out/$1" --masks "$out/masks" --sampler unipc --grid logsnr --sample-steps "$3" --count "$count" --batch 16 \
    --policy none --out "$out/runs/$2" "${@:4}"
}
for design in $designs; do
  once "$design-trial" trial "$design"
  once "$design" diffusion "$design" "$out/$design" "$(cat "$out/$design-steps")"
  once "$design-5" draw "$design" "$design-5" 5
  once "$design-5-texture" draw "$design" "$design-5-texture" 5 --grid-end 0.02 --keep-noise 0.5
  once "$design-10" draw "$design" "$design-10" 10
done

peer() {  # NAME
  local chosen=()
  [ -z "$samplers" ] || read -ra chosen <<< "--samplers $samplers"
  rm -rf "$out/peers/$1"
  "$python" "$here/tools/bench/peers.py" "$1" --data "$data" --masks "$out/masks" --size "$size" --seconds "$seconds" --count "$count" --threads "$threads" \
    --out "$out/peers/$1" "${chosen[@]}"
  local sampler
  for sampler in "$out/peers/$1"/*/; do mv "$sampler" "$out/runs/$1-$(basename "$sampler")"; done
}
for name in $peers; do once "$name" peer "$name"; done

printf '== evaluation (%d s)\n' "$SECONDS" >&2
"$bin/dlabel" evaluate "${common[@]}" --samples "$out"/runs/*/ --data "$data" --masks "$out/masks" --features "$out/scorer" \
  --segmenter "$out/segmenter" --image-size "$size" --out "$out/evaluation.json"
printf '== done (%d s): %s\n' "$SECONDS" "$out/evaluation.json" >&2
