#!/usr/bin/env bash
# What does an accepted picture cost, policy by policy? The whole comparison in stages that go on where they stopped:
#   tools/quality/experiment.sh OUT [--data DIR] [--bin DIR] [NAME=VALUE ...]
# train, calibrate, judge, sweep (the honest baseline: the cheapest posthoc over steps and eta), value model, record, fit,
# simulate, live, report. Without --data the data are phantoms. Every NAME below can be given; OUT/stages holds a mark for each
# stage that ended: remove it to do the stage again.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)

usage() { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
case ${1:--} in -*) usage ;; esac
out=$1; shift
data='' bin=$here/build/bin
size=64 pictures=1200 seed=1 threads=0
train_steps=3000 train_batch=4 timesteps=2000 ema=0.999
network="--arch guided --blocks 1 --dim 32 --mults 1,2,4"
quantile=0.6                      # of the real pictures' metrics: what counts as good
masks=20 batch=16                 # masks sampled in turn; trajectories under way at once
label_count=400 scorer_width=32 scorer_epochs=24 per_class=200
sweep_count=200 sweep_steps="10 20 50" sweep_etas="0 1"
record_count=1000 chains_count=0  # few-step trajectories recorded; and whole ones over all time steps (hours), 0: none
thumbnails=4
value_steps=0 value_count=1000 value_masks=200  # training steps of a value model on recorded trajectories; 0: the scorer judges on the way
live_seeds="101 102 103" live_count=100000 quota=5
policies="posthoc screen probe halving restart best-of-n random"
while [ $# -gt 0 ]; do
  case $1 in
    --data) data=${2:?}; shift 2 ;;
    --bin) bin=${2:?}; shift 2 ;;
    *=*) declare -g "$1"; shift ;;
    *) usage ;;
  esac
done
[ -x "$bin/dsample" ] || { echo "experiment: $bin/dsample: not built; cmake --build build, or give --bin DIR" >&2; exit 66; }
mkdir -p "$out/stages"
common=(--threads "$threads")

# stage NAME FUNCTION: once.
stage() {
  [ ! -e "$out/stages/$1" ] || return 0
  printf '== %s (%d s)\n' "$1" "$SECONDS" >&2
  "$2" "${@:3}"
  touch "$out/stages/$1"
}
# sampled FOLDER dsample's arguments: a folder without summary.json was not finished, and is made anew.
sampled() {
  [ ! -e "$1/summary.json" ] || return 0
  rm -rf "$1"
  "$bin/dsample" "${common[@]}" --out "$@"
}
field() { sed -n 's/^ *"'"$2"'": \([^,]*\),*$/\1/p' "$1"; }  # of a summary.json

make_data() { "$bin/dphantom" --out "$out/data" --count "$pictures" --size "$size" --seed "$seed"; }
# The first masks of one split (of all, where the data have no index.csv), as a folder: sampling takes its masks in turn.
pick_masks() {  # FOLDER SPLIT COUNT
  local part file
  rm -rf "$1" && mkdir -p "$1"
  cp "$data/dataset.json" "$1/" 2>/dev/null || true
  { awk -F, -v split_name="$2" 'NR == 1 {for (i = 1; i <= NF; ++i) at[$i] = i; next}
      at["split"] && $at["split"] == split_name {print $at["file"]}' "$data/index.csv" 2>/dev/null
    [ -e "$data/index.csv" ] || (cd "$data/images" && printf '%s\n' *.png); } | sort | head -n "$3" | while read -r file; do
    for part in images masks sector; do
      [ -e "$data/$part/$file" ] || continue
      mkdir -p "$1/$part"
      cp "$data/$part/$file" "$1/$part/"
    done
  done
}
make_masks() {  # masks not trained on, where the data say which; and some of those trained on, to train judges with
  pick_masks "$out/masks-train" train "$value_masks"
  if [ -n "$given" ]; then pick_masks "$out/masks" test "$masks"
  else "$bin/dphantom" --out "$out/masks" --count "$masks" --size "$size" --seed $((seed + 1)); fi
}
train() {
  local resume=()
  [ ! -e "$out/diffusion/checkpoints/latest" ] || resume=(--resume)
  # shellcheck disable=SC2086
  "$bin/dtrain" diffusion "${common[@]}" --data "$data" --out "$out/diffusion" --image-size "$size" --steps "$train_steps" --batch "$train_batch" \
    --timesteps "$timesteps" --schedule cosine --predict x0 --min-snr-gamma 5 $network --lr 1e-3 --warmup 100 --cosine --ema "$ema" --flip \
    --sample-every 0 --seed "$seed" "${resume[@]}"
}
calibrate() { "$bin/dlabel" calibrate --images "$data" --size "$size" --quantile "$quantile" --out "$out/thresholds.json"; }
judge() {
  sampled "$out/unjudged" --model "$out/diffusion" --masks "$out/masks" --sampler ddim --sample-steps 20 --batch "$batch" --seed "$seed" \
    --count "$label_count" --policy none
  "$bin/dlabel" score --images "$out/unjudged" --masks "$out/masks" --thresholds "$out/thresholds.json" --out "$out/unjudged/labels.jsonl"
  "$bin/dtrain" scorer "${common[@]}" --labels "$out/unjudged/labels.jsonl" --fill "$data" --out "$out/scorer" --width "$scorer_width" \
    --epochs "$scorer_epochs" --per-class "$per_class" --lr 1e-3 --seed "$seed"
}
sweep() {  # posthoc by the thresholds over steps and eta; the cheapest whose accepted share lies in .2 to .6
  local steps eta name
  for steps in $sweep_steps; do for eta in $sweep_etas; do
    sampled "$out/sweep/ddim-$steps-$eta" --model "$out/diffusion" --masks "$out/masks" --sampler ddim --sample-steps "$steps" --eta "$eta" \
      --batch "$batch" --seed $((seed + 50)) --count "$sweep_count" --policy posthoc --thresholds "$out/thresholds.json"
  done; done
  for name in "$out"/sweep/*/; do
    printf '%s %s %s\n' "$(field "$name/summary.json" unet_calls_per_accepted)" "$(field "$name/summary.json" accepted_rate)" "$(basename "$name")"
  done | tee "$out/sweep/costs.txt" | awk '$1 != "null" && $2 >= 0.2 && $2 <= 0.6' | sort -g | head -n 1 > "$out/sweep/cheapest.txt"
  [ -s "$out/sweep/cheapest.txt" ] || {
    echo "experiment: no setting of the sweep accepts .2 to .6 of its pictures ($out/sweep/costs.txt); choose another quantile" >&2; exit 65; }
}
few=() # the cheapest sampler's flags
record_chains() {  # MASKS SEED dsample's arguments
  "$bin/dsample" "${common[@]}" --model "$out/diffusion" --masks "$1" --seed "$2" --batch "$batch" --thresholds "$out/thresholds.json" \
    --thumbnails "$thumbnails" "${@:3}"
}
value() {  # on other masks than those the policies are compared on
  record_chains "$out/masks-train" $((seed + 60)) "${few[@]}" --count "$value_count" --record "$out/recording-train"
  "$bin/dtrain" value "${common[@]}" --recordings "$out/recording-train" --out "$out/value" --steps "$value_steps" --seed "$seed"
}
fit() {
  "$bin/dsample" --simulate "$out/recording" --judge "$judge" --final-judge label --tau 0.95 --fit "$out/rule.json"
}
settings_of() {  # a policy's flags
  case $1 in
    restart) echo "--rule $out/rule.json" ;;
    screen|probe) echo "--group 8 --keep-share 0.5" ;;
    halving) echo "--group 8 --keep-share 0.5 --rungs 0.05,0.25" ;;
    best-of-n) echo "--group 4" ;;
  esac
}
simulate() {
  local policy
  for policy in $policies; do
    # shellcheck disable=SC2046
    sampled "$out/simulated/$policy" --simulate "$out/recording" --judge "$judge" --final-judge label --tau 0.95 --batch "$batch" \
      --policy "$policy" $(settings_of "$policy")
  done
}
live() {  # an equal quota of every mask
  local policy live_seed
  for live_seed in $live_seeds; do for policy in $policies; do
    # shellcheck disable=SC2046
    sampled "$out/live/$policy-$live_seed" --model "$out/diffusion" --masks "$out/masks" "${few[@]}" \
      --batch "$batch" --seed "$live_seed" --count "$live_count" --accept-per-mask "$quota" --value "${judges[$judge]}" \
      --thresholds "$out/thresholds.json" --tau 0.95 --policy "$policy" $(settings_of "$policy")
  done; done
}
report() {
  "$bin/dreport" --runs "$out/diffusion" "$out/unjudged" "$out/scorer" "$out"/sweep/*/ "$out"/simulated/*/ "$out"/live/*/ --data "$data" \
    --thresholds "$out/thresholds.json" --out "$out/report.html"
}

given=$data  # empty: phantoms
[ -n "$given" ] || { stage data make_data; data=$out/data; }
stage masks make_masks
stage train train
stage calibrate calibrate
stage judge judge
stage sweep sweep
read -r _ _ cheapest < "$out/sweep/cheapest.txt"
IFS=- read -r _ steps eta <<< "$cheapest"
few=(--sampler ddim --sample-steps "$steps" --eta "$eta")
declare -A judges=([clean]=$out/scorer)
judge=clean
if [ "$value_steps" != 0 ]; then
  stage value value
  judges[value]=$out/value
  judge=value
fi
watched=()
for name in "${!judges[@]}"; do watched+=("$name=${judges[$name]}"); done
stage record record_chains "$out/masks" $((seed + 70)) "${few[@]}" --count "$record_count" --judge "${watched[@]}" --record "$out/recording"
[ "$chains_count" = 0 ] || stage chains record_chains "$out/masks" $((seed + 80)) --sampler ddpm --count "$chains_count" --score-every 20 \
  --judge "${watched[@]}" --record "$out/chains"
stage fit fit
stage simulate simulate
stage live live
stage report report
printf 'done: %s/report.html\n' "$out" >&2
