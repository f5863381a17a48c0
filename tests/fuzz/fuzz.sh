#!/usr/bin/env bash
# tests/fuzz/fuzz.sh build [BUILD]                  builds the targets (clang and its libFuzzer)
# tests/fuzz/fuzz.sh run SECONDS TARGET [BUILD]     fuzzes one; exit code 0: nothing was found
# tests/fuzz/fuzz.sh all [SECONDS] [BUILD]          builds, then fuzzes each target so long (30)
# tests/fuzz/fuzz.sh coverage [BUILD]               replays the corpus, prints the readers' share of lines reached
# Targets: pickle zip legacy safetensors checkpoint picture config lists. They run under ASan and UBSan, from the corpus
# beside this script and the hostile golden files. What is found lies in BUILD/crash-*: it becomes a unit test.
# Exit code 77: there is no clang with libFuzzer here (apt-get install clang libclang-rt-dev).
set -euo pipefail
cd "$(dirname "$0")/../.."
targets=(pickle zip legacy safetensors checkpoint picture config lists)
clang=${CLANGXX:-clang++}

require_clang() {
  local probe=${TMPDIR:-/tmp}/echodiff-fuzz-$$
  if ! echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' |
    "$clang" -fsanitize=fuzzer,address -x c++ - -o "$probe" 2>/dev/null; then
    echo "SKIPPED: no clang with libFuzzer (apt-get install clang libclang-rt-dev)"
    exit 77
  fi
  rm -f "$probe"
}

build() {  # BUILD [CMAKE OPTION]
  require_clang
  CXX=$clang cmake -S tests/fuzz -B "$1" "${@:2}" >/dev/null
  cmake --build "$1" --parallel "${FUZZ_JOBS:-$(nproc)}" -- --no-print-directory -s
}

seeds_of() {  # TARGET: the folders of its corpus
  local hostile=tests/golden/hostile folder=tests/fuzz/corpus/$1
  [ ! -d "$folder" ] || echo "$folder"
  case $1 in zip | legacy | safetensors | checkpoint) echo "$hostile" ;; esac
}

run() {  # SECONDS TARGET BUILD
  [ -x "$3/fuzz_$2" ] || require_clang  # there is none where there is no clang
  local found=$3/corpus-$2
  mkdir -p "$found"
  mapfile -t seeds < <(seeds_of "$2")
  "$3/fuzz_$2" -max_total_time="$1" -timeout=5 -rss_limit_mb=600 -malloc_limit_mb=256 -max_len=8192 \
    -artifact_prefix="$3/crash-$2-" -print_final_stats=1 -verbosity=0 "$found" "${seeds[@]}"
}

coverage() {  # BUILD
  build "$1" -D ECHODIFF_COVERAGE=ON
  local objects=() profiles=() target
  for target in "${targets[@]}"; do
    mapfile -t seeds < <(seeds_of "$target")
    LLVM_PROFILE_FILE=$1/$target.profraw "$1/fuzz_$target" -runs=0 -max_len=1000000 -verbosity=0 "${seeds[@]}" 2>/dev/null
    objects+=(${objects:+-object} "$1/fuzz_$target")
    profiles+=("$1/$target.profraw")
  done
  local version=${CLANG_VERSION:-$("$clang" -dumpversion | cut -d. -f1)}
  "llvm-profdata-$version" merge -o "$1/all.profdata" "${profiles[@]}"
  local sources=("$PWD"/src/nn/torch_import/{pickle*,storage_plan,torch_legacy,torch_zip,zip_archive}.cpp
    "$PWD"/src/tensor/io/{json,png,safetensors,toml}.cpp "$PWD"/src/train/data/dataset_index.cpp)
  "llvm-cov-$version" report "${objects[@]}" -instr-profile="$1/all.profdata" "${sources[@]}" |
    awk '/\.cpp|^TOTAL/ { print $1, "lines", $8, "missed", $9, "reached", $10 }'
}

case ${1:-all} in
  build) build "${2:-build-fuzz}" ;;
  run) run "$2" "$3" "${4:-build-fuzz}" ;;
  all)
    build "${3:-build-fuzz}"
    for target in "${targets[@]}"; do run "${2:-30}" "$target" "${3:-build-fuzz}"; done
    ;;
  coverage) coverage "${2:-build-fuzz-coverage}" ;;
  *) sed -n '2,8s/^# //p' "$0" >&2; exit 2 ;;
esac
