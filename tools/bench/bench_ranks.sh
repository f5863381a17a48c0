#!/usr/bin/env bash
# bench_ranks.sh BIN [ROUNDS]: how much faster two ranks of one thread train than one process of one thread, the same
# network to the same bits; alternating runs, the median of their ratios. Needs mpirun and two cores that are idle.
set -euo pipefail
bin=$(realpath "$1") rounds=${2:-5}
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
"$bin/dphantom" --out data --count 64 --size 64 --seed 1 --quiet
steps=40 from=10
# The seconds of steps 11 to 40, as the log has them.
seconds_of() { # OUT LAUNCHER...
  local out=$1; shift
  "$@" "$bin/dtrain" diffusion --data data --out "$out" --image-size 64 --dim 32 --mults 1,2,4 --arch guided --blocks 1 --batch 8 --micro-batches 2 \
    --steps $steps --val-every 0 --sample-every 0 --save-every 1000 --threads 1 --quiet >/dev/null
  sed -n 's/.*"step": \([0-9]*\),.*"seconds": \([0-9.]*\).*/\1 \2/p' "$out/log.jsonl" | awk -v a=$from -v b=$steps '$1 == a {s = $2} $1 == b {print $2 - s}'
  sha256sum < "$(ls "$out"/checkpoints/step-*)" >> hashes
}
lscpu | sed -n 's/^Model name: *//p'
ratios=()
for round in $(seq "$rounds"); do
  one=$(seconds_of "one$round" env)
  two=$(seconds_of "two$round" mpirun -n 2)
  ratios+=("$(awk -v a="$one" -v b="$two" 'BEGIN { printf "%.3f", a / b }')")
  echo "round $round: one process $one s, two ranks $two s, ratio ${ratios[-1]}"
done
[ "$(sort -u hashes | wc -l)" -eq 1 ] || { echo "bench_ranks: the weights differ" >&2; exit 1; }
printf '%s\n' "${ratios[@]}" | sort -n | awk '{v[NR] = $1} END {print "median ratio " v[int((NR + 1) / 2)]}'
