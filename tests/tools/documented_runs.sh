#!/usr/bin/env bash
# The commands that the README and the docs show are executed, page by page and line by line, at tiny sizes: numbers of
# pictures, steps and pixels are made small, names that stand for the reader's own (data/liver, model-1.pt) are there.
#   documented_runs.sh SOURCE BIN_DIR
# Left to other tests: building, installing and packages (install, .ci/run), the demo, dimport (dimport_tests), SLURM.
set -euo pipefail
source=$1 bin=$2
golden=$source/tests/golden/trainer
world=$(mktemp -d)
trap 'rm -rf "$world"' EXIT
export PATH=$bin:$PATH OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
taken='^(dphantom|dtrain|dsample|dlabel|dreport|dweights|mpirun|mkdir|tools/cluster)'

commands() {  # PAGE: its commands, continued lines joined, comments left out; those with "..." are no whole commands
  awk '/^```/ { inside = !inside; next }
    !inside { next }
    { line = line == "" ? $0 : line " " $0 }
    /\\$/ { sub(/\\$/, "", line); next }
    { sub(/^\$ /, "", line); sub(/ +# .*$/, "", line)
      if (line !~ /\.\.\./) print line
      line = "" }' "$source/$1"
}
small() {  # the same command, for seconds
  sed -E -e 's/--size 64/--size 32/; s/--image-size 64/--image-size 32/; s/--width 32/--width 8/; s/--mults 1,2,4/--mults 1,2/' \
    -e 's/--count 1200/--count 60/; s/--count (20|16|300|400|200)/--count 8/; s/--steps (1500|2500)/--steps 4/; s/--steps 20000/--steps 14/' \
    -e 's/--val-every 250/--val-every 2/; s/--val-count 64/--val-count 4/; s/--epochs [0-9]+/--epochs 1/; s/--warmup 100/--warmup 1/; s/--sample-steps (10|5)/--sample-steps 3/' \
    -e 's/mpirun /mpirun --oversubscribe /'
}
count=0
run_page() {  # PAGE, what `small` doesn't suit
  local page=$1 command
  while IFS= read -r command; do
    if [[ ! $command =~ $taken ]] || [[ $command == mpirun* && ! -x $(command -v mpirun) ]]; then continue; fi
    command=$(small <<<"$command" | sed -E "${2:-}")
    if ! eval "$command" </dev/null >"$world/said" 2>&1; then
      printf '%s: %s\n' "$page" "$command" >&2
      tail -n 5 "$world/said" >&2
      exit 1
    fi
    count=$((count + 1))
  done < <(commands "$page")
}

mkdir "$world/run" && cd "$world/run"
ln -s "$source/docs" "$source/tools" .
quiet=(--quiet)
dphantom --out data/liver --count 40 --size 16 "${quiet[@]}"
dtrain diffusion --data data/liver --out runs/liver --image-size 16 --steps 4 --batch 2 --dim 8 --mults 1,2 --timesteps 50 --ema-snapshots 2 --val-every 2 \
  --sample-every 0 "${quiet[@]}"
cp "$golden/model-1.pt" .
# x = [eval_x, cond] along the channels, t and y of the golden file, as a safetensors file.
data_begins=$(($(od -An -t u8 -N 8 "$golden/io.safetensors") + 8))
bytes() { dd if="$golden/io.safetensors" bs=1 skip=$((data_begins + $1)) count="$2" status=none; }
header='{"x":{"dtype":"F32","shape":[4,4,16,16],"data_offsets":[0,16384]},"t":{"dtype":"I64","shape":[4],"data_offsets":[16384,16416]},"y":{"dtype":"F32","shape":[4,1,16,16],"data_offsets":[16416,20512]}}'
{ printf '%b' "$(printf '\\x%02x\\0\\0\\0\\0\\0\\0\\0' ${#header})$header"
  for i in 0 1 2 3; do bytes $((12320 + 1024 * i)) 1024; bytes $((32 + 3072 * i)) 3072; done
  bytes 0 32; bytes 16416 4096; } > io.safetensors

# README.md: the network is the committed one, of 64 pixels; the checkpoint is one of 16.
run_page README.md 's/--size 32/--size 64/; s/(model-1.pt --as lucidrains)/\1 --image-size 16 --planes liver,portal_vein,sector/; s/--data DIR/--data data\/liver --allow-changes/'
dlabel calibrate --images samples --quantile 0.5 --out thresholds.json "${quiet[@]}"
echo '{"kind": "decisions", "source": "script", "decisions": [{"file": "samples/images/000000.png", "label": "good"}]}' > decisions.json
run_page docs/labelling.md
run_page docs/tutorial.md
rm -rf samples
run_page docs/many_machines.md 's/--data data\/liver --out runs\/liver/--data data\/liver --out runs\/ranks --image-size 16 --steps 4 --dim 8 --mults 1,2/; s/^dsample .*--shard 0.4.*/for part in 0 1 2 3; do dsample --model runs\/liver --masks data\/liver --count 8 --sampler ddim --sample-steps 2 --shard $part\/4 --out parts\/part-$part; done/; s/sample_parallel.sh parts (.*)/sample_parallel.sh more \1 --sampler ddim --sample-steps 2/'
run_page docs/watching_a_run.md
run_page docs/from_pytorch.md 's/--dim 32/--dim 8/; /drawn/d'  # what PyTorch drew: python_examples.py
run_page docs/few_pictures.md 's/DIR/data\/liver/; s/--out RUN/--out few --image-size 16 --dim 8 --mults 1,2 --timesteps 50/; s/--model RUN/--model few/; s/--steps 8000/--steps 4/; s/--val-every 250/--val-every 2/; s/--val-count 32/--val-count 2/; s/--out samples/--out few-samples/'
for page in data_folders importing installing adding_a_policy adding_a_sampler adding_an_op mistakes reliability pytorch_roundtrip design; do run_page "docs/$page.md"; done
echo "$count commands were run"
[ "$count" -gt 25 ]
