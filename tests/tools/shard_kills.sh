#!/usr/bin/env bash
# Sampling in four shards, 20 times killed (SIGKILL) at a random moment and begun again: merged, the pictures are those of
# one unbroken run. A missing shard is refused by name.
#   shard_kills.sh BIN_DIR [SEED]
set -euo pipefail
bin=$1
RANDOM=${2:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
PATH=$bin:$PATH
dphantom --out data --count 12 --size 32 --seed 3 --quiet
dtrain diffusion --data data --out model --image-size 32 --steps 2 --batch 2 --dim 8 --mults 1,2 --timesteps 50 --val-every 0 --sample-every 0 --quiet
sampling=(--model model --masks data --sampler ddim --sample-steps 12 --count 64 --batch 4 --policy none --threads 1 --seed 5 --quiet)
hashes() { (cd "$1/images" && sha256sum -- *.png); }

dsample "${sampling[@]}" --out whole >/dev/null
began=$(date +%s%N)
dsample "${sampling[@]}" --shard 0/4 --out timed >/dev/null
length=$((($(date +%s%N) - began) / 1000000))  # of a shard, in milliseconds
killed=0 tries=0
while [ "$killed" -lt 20 ] && [ $((tries += 1)) -le 200 ]; do
  shard=$((RANDOM % 4))
  dsample "${sampling[@]}" --shard $shard/4 --out part-$shard >/dev/null 2>&1 &
  sleep "$(printf '0.%03d' $((RANDOM % (length < 900 ? length : 900) + 10)))"
  if kill -KILL $! 2>/dev/null; then killed=$((killed + 1)); fi
  wait $! 2>/dev/null || true
  [ ! -e part-$shard/summary.json ] || rm -rf part-$shard  # it had ended: begin it anew, to be killed
done
for shard in 0 1 3; do dsample "${sampling[@]}" --shard $shard/4 --out part-$shard >/dev/null; done
if dsample merge --shards part-0 part-1 part-3 --out merged >said 2>&1; then echo "shard_kills: a missing shard was not refused" >&2; exit 1; fi
grep -q '2/4\|shard 2' said || { echo "shard_kills: the missing shard is not named: $(cat said)" >&2; exit 1; }
dsample "${sampling[@]}" --shard 2/4 --out part-2 >/dev/null
dsample merge --shards part-0 part-1 part-2 part-3 --out merged >/dev/null
diff <(hashes whole) <(hashes merged) || { echo "shard_kills: the merged pictures differ from those of one run" >&2; exit 1; }
echo "killed $killed times; 64 pictures are the same"
[ "$killed" -ge 20 ]
