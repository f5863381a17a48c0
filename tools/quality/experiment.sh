#!/usr/bin/env bash
# What does an accepted picture cost, policy by policy? The whole comparison in stages that go on where they stopped:
#   tools/quality/experiment.sh OUT [--data DIR] [--bin DIR] [NAME=VALUE ...]
# train, calibrate, judge, second judge, segmenter, sweep (with sampler='': the cheapest posthoc over DDIM's steps and eta),
# value model, record, fit and tune (every policy's settings, by replays of the recording), live, report. Without --data
# the data are phantoms. Every NAME below can be given; OUT/stages holds a mark for each stage that ended: remove it to do the
# stage again. What the live runs are made with is OUT/thresholds.json, OUT/sweep/*.txt, OUT/rule*.json, OUT/settings.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tools/quality/pictures.sh
. "$here/tools/quality/pictures.sh"

usage() { sed -n '2,7s/^# //p' "$0" >&2; exit 2; }
case ${1:--} in -*) usage ;; esac
out=$1; shift
data='' bin=$here/build/bin
size=64 pictures=1200 seed=1 threads=0
train_share=1                     # of the training pictures, the first ones: limited data; test pictures stay
train_steps=3000 train_batch=4 timesteps=2000 ema=0.999
network="--arch guided --blocks 1 --dim 32 --mults 1,2,4"
weights=''                        # FOLDER with ema.f16.safetensors and import.toml, in place of training; with fit=squash
fit=pad                           # of pictures that aren't square
held_out=0                        # fresh phantoms that samples are held against, in place of the data's test pictures
quantile=0.6                      # of the real pictures' metrics: what counts as good, unless
thresholds=''                     # FILE says so
masks=20 batch=16                 # masks sampled in turn; trajectories under way at once
label_count=400 scorer_width=32 scorer_epochs=24 per_class=200
sweep_count=200 sweep_steps="10 20 50" sweep_etas="0 1"
sampler="--sampler unipc --grid logsnr --sample-steps 5"  # dsample's flags, of all policies; '': DDIM as steps or the sweep say
steps=''                          # DDIM steps without fresh noise in place of the sampler and the sweep
deepcache=2                       # of live policies named NAME-deepcache: whole network calls every so many steps; they have
                                  # a recording, a rule and settings of their own, made with the same judges
adadiff_error=0.02                # of posthoc-adadiff: error of the network's answer that a call may have to leave early
record_count=1000 ancestral_count=0  # few-step trajectories recorded; and whole ones over all time steps (hours), 0: none
thumbnails=3                      # predicted pictures kept of each; of those that the value model learns from:
value_thumbnails=10
value_steps=0 value_count=1000 value_masks=200  # training steps of a value model on recorded trajectories; 0: the scorer judges on the way
policies="posthoc screen probe halving restart best-of-n random"  # tuned and replayed
live_policies="posthoc screen probe halving restart"  # posthoc first; none, smc and es-ddpm are live only; posthoc-cheapest:
                                  # on the cheapest sampler of the sweep
tune_quota=5 tune_groups="8 16" tune_shares="0.125 0.25 0.5"
live_seeds="101 102 103" live_count=100000 quota=5
smc="--group 8 --warm-up 0.2" smc_sampler="--sampler ddim --eta 1 --grid logsnr --sample-steps 5"  # copies need fresh noise to part
es_ddpm="--start 0.5" es_ddpm_count=400  # trajectories: a mask whose picture fails the rule would never fill its quota
segmenter_steps=1500 attack_count=50
use_count=0 use_seeds="1 2 3"     # samples that join a segmenter's training pictures; 0: not tried; its pictures' size and steps,
use_size='' use_steps=''          # where other than size and segmenter_steps
while [ $# -gt 0 ]; do
  case $1 in
    --data) data=${2:?}; shift 2 ;;
    --bin) bin=${2:?}; shift 2 ;;
    *=*) declare -g "$1"; shift ;;
    *) usage ;;
  esac
done
[ -x "$bin/dsample" ] || { echo "experiment: $bin/dsample: not built; cmake --build build, or give --bin DIR" >&2; exit 66; }
[ -z "$steps" ] || sampler=''
mkdir -p "$out/stages"
common=(--threads "$threads")

# stage NAME FUNCTION: once.
stage() {
  [ ! -e "$out/stages/$1" ] || return 0
  printf '== %s (%d s)\n' "$1" "$SECONDS" >&2
  "$2" "${@:3}"
  touch "$out/stages/$1"
}
# sampled FOLDER dsample's arguments: what was broken off goes on.
sampled() {
  [ ! -e "$1/summary.json" ] || grep -q '"interrupted": true' "$1/summary.json" || return 0
  "$bin/dsample" "${@:2}" "${common[@]}" --out "$1"
}
field() { sed -n 's/^ *"'"$2"'": \([^,]*\),*$/\1/p' "$1"; }  # of a summary.json

make_data() { "$bin/dphantom" --out "$out/data" --count "$pictures" --size "$size" --seed "$seed"; }
limit_data() {  # DATA/index.csv must name the splits
  local kept=$out/data-limited
  rm -rf "$kept" && mkdir -p "$kept"
  cp "$data/dataset.json" "$kept/"
  awk -F, -v share="$train_share" 'NR == 1 {for (i = 1; i <= NF; ++i) if ($i == "split") at = i; print; next}
    {line[NR] = $0; split_of[NR] = $at; trained += $at == "train"}
    END {for (i = 2; i <= NR; ++i) if (split_of[i] != "train" || seen++ < share * trained) print line[i]}' "$data/index.csv" > "$kept/index.csv"
  awk -F, 'NR == 1 {for (i = 1; i <= NF; ++i) if ($i == "file") at = i; next} {print $at}' "$kept/index.csv" | copy_pictures "$data" "$kept"
}
make_masks() {  # masks not trained on, where the data say which; and some of those trained on, to train judges with
  pick_masks "$data" "$out/masks-train" train "$value_masks"
  if [ -n "$given" ]; then pick_masks "$data" "$out/masks" test "$masks"
  else "$bin/dphantom" --out "$out/masks" --count "$masks" --size "$size" --seed $((seed + 1)); fi
}
make_held_out() {  # the data's pictures, their test pictures replaced; of another seed than data and masks
  local fresh=$out/held-out-pictures part file
  "$bin/dphantom" --out "$fresh" --count "$held_out" --size "$size" --seed $((seed + 76))
  mkdir -p "$out/held-out"
  cp "$data/dataset.json" "$out/held-out/"
  awk -F, 'NR == 1 || $2 != "test"' "$data/index.csv" > "$out/held-out/index.csv"
  awk -F, 'NR > 1 {print $1}' "$out/held-out/index.csv" | copy_pictures "$data" "$out/held-out"
  for part in images masks sector; do for file in "$fresh/$part"/*; do mv "$file" "$out/held-out/$part/t${file##*/}"; done; done
  awk -F, -v OFS=, 'NR > 1 {$1 = "t" $1; $2 = "test"; $3 = "t" $3; print}' "$fresh/index.csv" >> "$out/held-out/index.csv"
}
train() {
  if [ -n "$weights" ]; then
    "$bin/dweights" import "$weights/ema.f16.safetensors" --config "$weights/import.toml" --out "$out/diffusion"
    return
  fi
  # shellcheck disable=SC2086
  "$bin/dtrain" diffusion "${common[@]}" --data "$data" --out "$out/diffusion" --image-size "$size" --fit "$fit" --steps "$train_steps" --batch "$train_batch" \
    --timesteps "$timesteps" --schedule cosine --predict x0 --min-snr-gamma 5 $network --lr 1e-3 --warmup 100 --cosine --ema "$ema" --flip \
    --sample-every 0 --seed "$seed" --resume
}
calibrate() {
  if [ -n "$thresholds" ]; then cp "$thresholds" "$out/thresholds.json"
  else "$bin/dlabel" calibrate --images "$data" --size "$size" --fit "$fit" --quantile "$quantile" --out "$out/thresholds.json"; fi
}
judge() {
  # shellcheck disable=SC2086
  sampled "$out/unjudged" --model "$out/diffusion" --masks "$out/masks" ${sampler:---sampler ddim --sample-steps 20} --batch "$batch" \
    --seed "$seed" --count "$label_count" --policy none
  "$bin/dlabel" score --images "$out/unjudged" --masks "$out/masks" --thresholds "$out/thresholds.json" --out "$out/unjudged/labels.jsonl"
  "$bin/dtrain" scorer "${common[@]}" --labels "$out/unjudged/labels.jsonl" --fill "$data" --fit "$fit" --out "$out/scorer" --width "$scorer_width" \
    --epochs "$scorer_epochs" --per-class "$per_class" --lr 1e-3 --seed "$seed" --resume
}
second_judge() {  # another design, another split of the labels; it selects nothing
  "$bin/dtrain" scorer "${common[@]}" --labels "$out/unjudged/labels.jsonl" --fill "$data" --fit "$fit" --out "$out/second" --arch cnn \
    --width "$scorer_width" --epochs "$scorer_epochs" --per-class "$per_class" --lr 1e-3 --seed $((seed + 7)) --split-seed $((seed + 7)) --resume
}
segmenter() {
  "$bin/dtrain" segmenter "${common[@]}" --data "$data" --out "$out/segmenter" --image-size "$size" --fit "$fit" --steps "$segmenter_steps" --flip \
    --seed "$seed" --resume
}
sweep() {  # posthoc by the thresholds over steps and eta; the cheapest whose accepted share lies in .2 to .6
  local steps eta name
  for steps in $sweep_steps; do for eta in $sweep_etas; do
    sampled "$out/sweep/ddim-$steps-$eta" --model "$out/diffusion" --masks "$out/masks" --sampler ddim --sample-steps "$steps" --eta "$eta" \
      --batch "$batch" --seed $((seed + 50)) --count "$sweep_count" --policy posthoc --thresholds "$out/thresholds.json"
  done; done
  for name in "$out"/sweep/*/; do
    printf '%s %s %s\n' "$(field "$name/summary.json" unet_calls_per_accepted)" "$(field "$name/summary.json" accepted_rate)" "$(basename "$name")"
  done | tee "$out/sweep/costs.txt" | awk '$1 != "null" && $2 >= 0.2 && $2 <= 0.6' | sort -g > "$out/sweep/usable.txt"
  head -n 1 "$out/sweep/usable.txt" > "$out/sweep/cheapest.txt"
  grep -- '-0$' "$out/sweep/usable.txt" | head -n 1 > "$out/sweep/deterministic.txt" || {
    echo "experiment: no deterministic setting of the sweep accepts .2 to .6 of its pictures ($out/sweep/costs.txt); choose another" \
      "quantile" >&2; exit 65; }
}
sampler_of() {  # a line of the sweep -> dsample's flags
  local steps eta
  IFS=- read -r _ steps eta <<< "${1##* }"
  echo "--sampler ddim --sample-steps $steps --eta $eta"
}
few=() # flags of the cheapest sampler without fresh noise, which the policies run on
honest=() # and of the cheapest of all, for posthoc
record_trajectories() {  # MASKS SEED THUMBNAILS dsample's arguments
  "$bin/dsample" record "${common[@]}" --model "$out/diffusion" --masks "$1" --seed "$2" --batch "$batch" --thresholds "$out/thresholds.json" \
    --thumbnails "$3" "${@:4}"
}
value() {  # on other masks than those the policies are compared on
  record_trajectories "$out/masks-train" $((seed + 60)) "$value_thumbnails" "${few[@]}" --count "$value_count" --out "$out/recording-train"
  "$bin/dtrain" value "${common[@]}" --recordings "$out/recording-train" --out "$out/value" --steps "$value_steps" --seed "$seed" --resume
}
variant= # of recording, rule, settings and replays: '' or -deepcache
fit() {
  "$bin/dsample" fit "$out/recording$variant" --judge "$judge" --final-judge label --tau 0.95 --accept-per-mask "$tune_quota" \
    --out "$out/rule$variant.json"
}
replayed() {  # FOLDER POLICY its flags
  sampled "$1" replay "$out/recording$variant" --judge "$judge" --final-judge label --tau 0.95 --batch "$batch" --policy "$2" "${@:3}"
}
# The flags each policy is tried with, a line each.
choices_of() {
  local group share
  case $1 in
    restart) echo "--rule $out/rule$variant.json" ;;
    screen|probe) for group in $tune_groups; do for share in $tune_shares; do echo "--group $group --keep-share $share"; done; done ;;
    halving) for group in $tune_groups; do for share in 0.25 0.5; do echo "--group $group --keep-share $share --rungs 0.05,0.25"; done; done ;;
    best-of-n) for group in 2 4 8; do echo "--group $group"; done ;;
    *) echo ;;
  esac
}
tune() {  # the cheapest of each policy's choices at an equal quota of every mask
  local policy flags number
  mkdir -p "$out/settings" "$out/tuned"
  for policy in $policies; do
    number=0
    choices_of "$policy" | while read -r flags; do
      # shellcheck disable=SC2086
      replayed "$out/tuned/$policy$variant-$number" "$policy" --accept-per-mask "$tune_quota" $flags
      printf '%s|%s\n' "$(field "$out/tuned/$policy$variant-$number/summary.json" unet_calls_per_accepted)" "$flags"
      number=$((number + 1))
    done > "$out/tuned/$policy$variant.txt"
    grep -v '^null' "$out/tuned/$policy$variant.txt" | sort -g | head -n 1 | cut -d '|' -f 2 > "$out/settings/$policy$variant"
  done
}
replay_all() {
  local policy
  for policy in $policies; do
    # shellcheck disable=SC2046
    replayed "$out/replayed/$policy$variant" "$policy" $(cat "$out/settings/$policy$variant")
  done
}
fit_exits() {
  "$bin/dsample" fit-exits "${common[@]}" --model "$out/diffusion" --masks "$out/masks-train" --seed $((seed + 60)) --batch "$batch" --count 48 "${few[@]}" \
    --out "$out/exits.json"
}
live() {  # an equal quota of every mask
  local policy plain settings live_seed drawn_by count
  touch "$out/settings/none"
  echo "$smc" > "$out/settings/smc"
  echo "$es_ddpm" > "$out/settings/es-ddpm"
  for live_seed in $live_seeds; do for policy in $live_policies; do
    drawn_by=("${few[@]}") settings=$policy plain=${policy%-cheapest} count=$live_count
    case $policy in
      posthoc-cheapest) drawn_by=("${honest[@]}") settings=posthoc ;;
      es-ddpm) count=$es_ddpm_count ;;
      smc) read -r -a drawn_by <<< "$smc_sampler" ;;
      *-deepcache) drawn_by+=(--deepcache "$deepcache") ;;
      posthoc-adadiff) drawn_by+=(--adadiff "$out/exits.json" --adadiff-error "$adadiff_error") settings=posthoc plain=posthoc ;;
    esac
    # shellcheck disable=SC2046
    sampled "$out/live/$policy-$live_seed" --model "$out/diffusion" --masks "$out/masks" "${drawn_by[@]}" \
      --batch "$batch" --seed "$live_seed" --count "$count" --accept-per-mask "$quota" --value "${judges[$judge]}" \
      --thresholds "$out/thresholds.json" --tau 0.95 --policy "${plain%-deepcache}" $(cat "$out/settings/$settings")
  done; done
}
attack() {  # on the scorer, and on a guard that knows samples nobody chose and is asked about good ones of other seeds
  replayed "$out/replayed/none" none
  "$bin/dlabel" attack "${common[@]}" --images "$data" --out "$out/attacks" --image-size "$size" --count "$attack_count" \
    --scorer "$out/scorer" --tau 0.5 --seed "$seed" --guard-samples "$out/replayed/none" --samples "$out"/live/posthoc-[0-9]* \
    --masks "$out/masks" --thresholds "$out/thresholds.json" --diffusion "$out/diffusion" > "$out/attacks.txt"
}
# Dice on real test pictures of a segmenter trained on real pictures alone, with accepted and with unfiltered samples.
use() {
  local kind use_seed more
  sampled "$out/use/unfiltered" --model "$out/diffusion" --masks "$out/masks-train" "${few[@]}" --batch "$batch" --seed $((seed + 90)) \
    --count "$use_count" --policy none
  # shellcheck disable=SC2046
  sampled "$out/use/accepted" --model "$out/diffusion" --masks "$out/masks-train" "${few[@]}" --batch "$batch" --seed $((seed + 90)) \
    --count "$live_count" --accept "$use_count" --value "${judges[$judge]}" --thresholds "$out/thresholds.json" --tau 0.95 \
    --policy probe $(cat "$out/settings/probe")
  for use_seed in $use_seeds; do for kind in real unfiltered accepted; do
    [ ! -e "$out/use/$kind-$use_seed/metrics.json" ] || continue
    more=(); [ "$kind" = real ] || more=(--samples "$out/use/$kind")
    "$bin/dtrain" segmenter "${common[@]}" --data "$data" --out "$out/use/$kind-$use_seed" --image-size "${use_size:-$size}" --fit "$fit" \
      --steps "${use_steps:-$segmenter_steps}" --flip --seed "$use_seed" --resume "${more[@]}"
  done; done
}
evaluate() {  # each policy's seeds as one run, beside held-out real pictures; the first is what the others are compared with
  local groups=() group policy live_seed
  for policy in $live_policies; do
    group=
    for live_seed in $live_seeds; do group+=,$out/live/$policy-$live_seed; done
    groups+=("${group#,}")
  done
  mkdir -p "$out/evaluation"
  "$bin/dlabel" evaluate "${common[@]}" --samples "${groups[@]}" --data "$real" --masks "$out/masks" --features "$out/scorer" \
    --segmenter "$out/segmenter" --judge "$out/second" --tau 0.5 --image-size "$size" --out "$out/evaluation/evaluation.json"
}
report() {
  local value=()
  [ "$value_steps" = 0 ] || value=("$out/value")
  "$bin/dreport" --runs "$out/diffusion" "$out/unjudged" "$out/scorer" "${value[@]}" "$out"/replayed/*/ "$out"/live/*/ "$out/evaluation" --data "$data" \
    --thresholds "$out/thresholds.json" --out "$out/report.html"
}

given=$data  # empty: phantoms
[ -n "$given" ] || { stage data make_data; data=$out/data; }
[ "$train_share" = 1 ] || { stage limit limit_data; data=$out/data-limited; }
stage masks make_masks
real=$data
[ "$held_out" = 0 ] || { stage held-out make_held_out; real=$out/held-out; }
stage train train
stage calibrate calibrate
stage judge judge
stage second second_judge
stage segmenter segmenter
if [ -n "$sampler" ]; then
  read -r -a few <<< "$sampler"
  honest=("${few[@]}")
elif [ -n "$steps" ]; then
  few=(--sampler ddim --sample-steps "$steps" --eta 0)
  honest=("${few[@]}")
else
  stage sweep sweep
  read -r -a few <<< "$(sampler_of "$(cat "$out/sweep/deterministic.txt")")"
  read -r -a honest <<< "$(sampler_of "$(cat "$out/sweep/cheapest.txt")")"
fi
declare -A judges=([clean]=$out/scorer)
judge=clean
if [ "$value_steps" != 0 ]; then
  stage value value
  judges[value]=$out/value
  judge=value
fi
watched=()
for name in "${!judges[@]}"; do watched+=("$name=${judges[$name]}"); done
[ "$ancestral_count" = 0 ] || stage ancestral record_trajectories "$out/masks" $((seed + 80)) "$thumbnails" --sampler ddpm --count "$ancestral_count" --score-every 20 \
  --judge "${watched[@]}" --out "$out/ancestral"
variants=('')
case "$live_policies " in *-deepcache\ *) variants+=(-deepcache) ;; esac
for variant in "${variants[@]}"; do
  recorded_by=("${few[@]}")
  [ -z "$variant" ] || recorded_by+=(--deepcache "$deepcache")
  stage "record$variant" record_trajectories "$out/masks" $((seed + 70)) "$thumbnails" "${recorded_by[@]}" --count "$record_count" --judge "${watched[@]}" \
    --out "$out/recording$variant"
  stage "fit$variant" fit
  stage "tune$variant" tune
  stage "replay$variant" replay_all
done
case " $live_policies " in *\ posthoc-adadiff\ *) stage exits fit_exits ;; esac
stage live live
variant=
stage attack attack
[ "$use_count" = 0 ] || stage use use
stage evaluate evaluate
stage report report
printf 'done: %s/report.html\n' "$out" >&2
