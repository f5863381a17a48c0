#!/usr/bin/env bash
# Samples with GNU parallel, on this machine or on several, then puts the shards together as OUT/samples:
#   tools/cluster/sample_parallel.sh OUT SHARDS dsample's flags but --out, --shard and --threads
# PARALLEL holds further options of parallel: PARALLEL="--jobs 4", PARALLEL="--sshlogin host1,host2" where they see the same
# disk. The same command goes on where it was broken off. dsample has to be in PATH.
set -euo pipefail
[ $# -gt 2 ] && [[ $2 =~ ^[1-9][0-9]{0,4}$ ]] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
out=$1 shards=$2
shift 2
mkdir -p "$out"
seq 0 $((shards - 1)) | parallel --will-cite --halt now,fail=1 dsample "${@@Q}" --quiet --threads 1 --shard "{}/$shards" --out "${out@Q}/part-{}"
parts=()
for ((i = 0; i < shards; ++i)); do parts+=("$out/part-$i"); done
dsample merge --shards "${parts[@]}" --out "$out/samples"
