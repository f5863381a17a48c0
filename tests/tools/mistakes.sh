#!/usr/bin/env bash
# mistakes.sh BIN [--write]: makes what people do wrong most often, and holds what the programs say against
# docs/mistakes.md; --write writes that page. Each answer is one line with an exit code of its own.
set -uo pipefail
bin=$1 page=$(cd "$(dirname "$0")/../.." && pwd)/docs/mistakes.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" && export PATH=$bin:$PATH || exit 1

size="--image-size 16 --dim 8 --mults 1,2 --batch 2 --timesteps 20 --val-every 0 --sample-every 0"
{
  dphantom --quiet --count 12 --size 16 --seed 1 --out data && dphantom --quiet --count 4 --size 32 --seed 1 --out large &&
    dtrain diffusion --quiet --data data --steps 2 $size --out run &&
    dlabel calibrate --quiet --images data --size 16 --out thresholds.json &&
    dlabel score --quiet --images data --thresholds thresholds.json --out labels.jsonl &&
    dtrain scorer --quiet --labels labels.jsonl --fill data --width 4 --epochs 1 --batch 4 --per-class 8 --out judge &&
    dsample --quiet --model run --masks data --count 2 --sampler ddim --sample-steps 2 --out samples
} >prepare.log 2>&1 || { echo "mistakes: preparing failed"; tail -3 prepare.log; exit 1; }
mkdir -p empty/images missing_mask/images missing_mask/masks other/masks sized/images sized/masks listed/images listed/masks
cp data/images/*.png missing_mask/images && cp "$(ls data/masks/*.png | head -1)" missing_mask/masks
cp data/masks/*.png other/masks && echo '{"planes": [{"name": "kidney", "value": 1}, {"name": "cyst", "value": 2}]}' >other/dataset.json
cp data/images/*.png sized/images && for each in data/images/*.png; do cp large/masks/000000.png sized/masks/"$(basename "$each")"; done
cp data/images/*.png listed/images && cp data/masks/*.png listed/masks && printf 'file,split\nnowhere.png,train\n' >listed/index.csv
printf 'lr = 1e-4\nbacth = 4\n' >typo.toml && printf 'lr = \n' >broken.toml && printf 'lr = "fast"\n' >text.toml
head -c 900 run/checkpoints/step-00000002.safetensors >cut.safetensors && echo "not weights" >weights.pt && echo '{"kind": "decisions", "source": "person", "decisions": [{"file": "nowhere.png", "label": "good"}]}' >decisions.json
grep -v '"label": *"poor"' labels.jsonl | sed -E 's/"count": [0-9]+/"count": 999/' >cut.jsonl

rows=0 failed=0
table=
# mistake WHAT CODE COMMAND..
mistake() {
  local what=$1 wanted=$2 said code
  shift 2
  timeout 60 "$@" >out.log 2>err.log
  code=$?
  # Sizes and counts that say nothing here, and may change with what a checkpoint notes, are N.
  said=$(grep 'error: ' err.log | tail -1 | sed -E 's/header length [0-9]+/header length N/; s/found [0-9]+: lines/found N: lines/')
  rows=$((rows + 1))
  if [ $code != "$wanted" ] || [ "$(grep -c 'error: ' err.log)" != 1 ]; then
    echo "$what: expected one line and code $wanted, found $code: $(tail -2 err.log)"
    failed=1
  fi
  table+="| $what | \`${*//|/\\|}\` | $code | ${said//|/\\|} |"$'\n'
}
train="dtrain diffusion $size --steps 2 --out new"
mistake "the data folder is not there" 66 $train --data date
mistake "the data folder is a file" 66 $train --data labels.jsonl
mistake "no masks in it" 66 $train --data empty
mistake "a picture without its mask" 66 $train --data missing_mask
mistake "masks of another size than their pictures" 65 $train --data sized
mistake "index.csv names a file that is not there" 65 $train --data listed
mistake "a flag is misspelt" 2 $train --data data --bacth 4
mistake "a flag without its value" 2 $train --data data --lr
mistake "a number that is none" 2 $train --data data --lr fast
mistake "a number out of range" 2 dtrain diffusion ${size/--batch 2/--batch 0} --steps 2 --out new --data data
mistake "not a number at all" 2 $train --data data --lr nan
mistake "a size that the network can't halve" 2 dtrain diffusion --data data --image-size 18 --mults 1,2,4 --steps 2 --out new
mistake "levels with a hole" 2 dtrain diffusion ${size/--mults 1,2/--mults 1,,2} --steps 2 --out new --data data
mistake "a word that is no choice" 2 $train --data data --schedule cosin
mistake "Haar's transform of single pixels" 2 $train --data data --patch-basis haar
mistake "to stop on validations, and none are made" 2 $train --data data --stop-on val
mistake "a plane without its value" 2 $train --data data --planes liver
mistake "no GPU here" 69 $train --data data --device cuda
mistake "the run is there already" 73 dtrain diffusion $size --steps 2 --data data --out run
mistake "going on with another rate" 2 dtrain diffusion $size --steps 4 --data data --out run --resume --lr 5e-4
mistake "going on with another network" 2 dtrain diffusion ${size/--dim 8/--dim 16} --steps 4 --data data --out run --resume
mistake "going on with a schedule shifted otherwise" 2 dtrain diffusion $size --steps 4 --data data --out run --resume --schedule-shift 8
mistake "the config is not there" 2 $train --data data --config recipe.toml
mistake "the config misspells a key" 2 $train --data data --config typo.toml
mistake "the config is no TOML" 2 $train --data data --config broken.toml
mistake "the config has a word for a number" 2 $train --data data --config text.toml
mistake "the output has no place" 73 dtrain diffusion $size --steps 2 --data data --out labels.jsonl/new
sample="dsample --count 2 --sampler ddim --sample-steps 2 --out new"
mistake "the model is not there" 66 $sample --model runs --masks data
mistake "the model is a file from elsewhere" 65 $sample --model weights.pt --masks data
mistake "the model is a judge" 65 $sample --model judge --masks data
mistake "no masks are given" 2 $sample --model run
mistake "masks with other planes" 65 $sample --model run --masks other
mistake "more steps than there were in training" 2 dsample --count 2 --sampler ddim --sample-steps 50 --out new --model run --masks data
mistake "a policy without its judge" 2 $sample --model run --masks data --policy posthoc
mistake "the judge is a diffusion run" 65 $sample --model run --masks data --policy posthoc --scorer run
mistake "a threshold above one" 2 $sample --model run --masks data --policy posthoc --scorer judge --tau 2
mistake "guidance, and no mask was ever dropped" 2 $sample --model run --masks data --guidance 3
mistake "a shard that is none" 2 $sample --model run --masks data --shard 4/4
mistake "other flags into the same folder" 73 dsample --count 2 --sampler ddim --sample-steps 4 --out samples --model run --masks data
mistake "the thresholds are not there" 66 dlabel score --images data --thresholds taus.json --out new.jsonl
mistake "thresholds of pictures of another size" 65 dlabel score --images large --thresholds thresholds.json --out new.jsonl
mistake "decisions about other pictures" 65 dlabel apply labels.jsonl decisions.json
mistake "a labels file that was cut" 65 dlabel balance cut.jsonl --count 4
mistake "a judge from labels that are not there" 66 dtrain scorer --labels label.jsonl --out new
mistake "weights that were cut" 65 dweights inspect cut.safetensors
mistake "weights that are none" 65 dweights import weights.pt --as resnet18 --out new
mistake "a report of a folder that is no run" 65 dreport --runs data/masks --out new.html
mistake "phantoms into a folder that has some" 73 dphantom --count 2 --size 16 --out data

text="# What goes wrong most often, and what is said then

Each answer names the file or the flag, what was expected, what was found, and what to do. This page is written by
\`tests/tools/mistakes.sh BIN --write\`; a test makes each mistake again and compares.

| mistake | command | exit code | answer |
|---|---|---|---|
$table"
if [ "${2:-}" = --write ]; then
  printf '%s' "$text" >"$page"
elif ! diff <(printf '%s' "$text") "$page"; then
  echo "mistakes: docs/mistakes.md says otherwise; look at the answers, then tests/tools/mistakes.sh BIN --write"
  failed=1
fi
echo "$rows mistakes"
exit $failed
