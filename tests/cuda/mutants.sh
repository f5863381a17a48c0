#!/usr/bin/env bash
# mutants.sh SETTINGS [NAME]: each mutant is one bug put into one kernel source; the host harness must catch it. Prints
# which variant did, trying plain, asan and tsan in turn. Fails for a mutant that survives, that no longer applies to the
# sources, or that doesn't compile. SETTINGS is written by CMake: compiler, flags and objects.
set -uo pipefail
source "$1"
here=$(cd "$(dirname "$0")" && pwd)

# run_mutant NAME FILE CASE FROM TO: the first FROM in kernels/FILE becomes TO; CASE are the cases that see it.
run_mutant() {
  local name=$1 file=$2 case=$3 from=$4 to=$5 dir=$work/$1 text unit variant flags status archive
  rm -rf "$dir" && mkdir -p "$dir/kernels/cuda"
  text=$(<"$source/kernels/$file")
  if [[ $text != *"$from"* ]]; then echo "STALE    $name: kernels/$file has no '$from'"; return 1; fi
  printf '%s\n' "${text/"$from"/"$to"}" >"$dir/kernels/$file"
  unit=$dir/kernels/$file
  [[ $file == *.cu ]] || unit=$source/kernels/${case%% *}.cu  # a header: through the op of its cases
  for variant in plain asan tsan; do
    flags=${variant}_flags archive=${variant}_archive
    # The mutated object comes first, so its symbols win over the archive's.
    if ! $compiler -I"$dir" $includes ${!flags} -std=c++20 -x c++ -c "$unit" -o "$dir/$variant.o" 2>"$dir/log" ||
      ! $compiler ${!flags} -rdynamic "$dir/$variant.o" $objects "${!archive}" $libraries -o "$dir/$variant" 2>"$dir/log"; then
      echo "BROKEN   $name: does not build as $variant: $(grep -m1 error "$dir/log")"
      return 1
    fi
    $setarch -R timeout 120 "$dir/$variant" --seeds 3 --only "$case" >"$dir/out" 2>&1
    status=$?
    if [ $status -ne 0 ]; then
      printf 'caught   %-30s %-5s  %s\n' "$name" $variant "$(grep -m1 -oE 'FAILED.*|host_cuda:.*|ERROR: AddressSanitizer: [a-z-]+|WARNING: ThreadSanitizer: [a-z ]+|runtime error: .*' "$dir/out" | tr -s ' ' | cut -c1-110 || echo "exit $status")"
      rm -rf "$dir"
      return 0
    fi
  done
  echo "SURVIVED $name"
  return 1
}

if [ $# -gt 1 ]; then
  exec 2>/dev/null  # the shell's own word about each mutant that crashes
  mutant() { [ "$1" != "$wanted" ] || { run_mutant "$@"; exit; }; }
  wanted=$2
  source "$here/mutants.list"
  exit 1
fi

mkdir -p "$work"
names=()
mutant() { names+=("$1"); }
source "$here/mutants.list"
export TSAN_OPTIONS=halt_on_error=1 ASAN_OPTIONS=detect_container_overflow=0
printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -n 1 "$0" "$1" | sort -b -k1,1 -k3,3 -k2,2 >"$work/results"
cat "$work/results"
caught=$(grep -c '^caught' "$work/results")
echo "$caught of ${#names[@]} mutants caught: $(grep -c '^caught.* plain ' "$work/results") plain," \
  "$(grep -c '^caught.* asan ' "$work/results") asan, $(grep -c '^caught.* tsan ' "$work/results") tsan"
[ "$caught" -eq ${#names[@]} ]
