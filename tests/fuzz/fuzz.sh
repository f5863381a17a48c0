#!/usr/bin/env bash
# tests/fuzz/fuzz.sh [SECONDS] [BUILD]: fuzzes the readers of weights under ASan and UBSan, with clang's libFuzzer
# (clang, libclang-rt-dev). Starts from the hostile golden files. Exit code 0: nothing was found.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60} build=${2:-build-fuzz}
command -v clang++ >/dev/null || { echo "fuzz.sh: needs clang++ (apt install clang libclang-rt-dev)" >&2; exit 1; }

mkdir -p "$build/include" "$build/corpus" "$build/objects"
for folder in tensor nn; do ln -sfn "$PWD/src/$folder" "$build/include/$folder"; done
# Debian 12's clang 14 has no __builtin_source_location, which libstdc++'s header needs.
cat >"$build/include/source_location" <<'EOF'
#pragma once
namespace std {
struct source_location {
  const char* file = "";
  unsigned at = 0;
  static constexpr source_location current(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    return {file, line};
  }
  constexpr const char* file_name() const { return file; }
  constexpr unsigned line() const { return at; }
};
}
EOF
sources=(tests/fuzz/fuzz_weights.cpp tests/nn/torch_import/torch_files.cpp src/nn/torch_import/*.cpp src/tensor/*.cpp
         src/tensor/io/{file,safetensors,stored,text}.cpp)
objects=()
for source in "${sources[@]}"; do
  object=$build/objects/$(echo "$source" | tr / _).o
  objects+=("$object")
  [ "$object" -nt "$source" ] && continue
  clang++ -std=c++20 -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -I. -I"$build/include" \
    -c "$source" -o "$object"
done
clang++ -fsanitize=fuzzer,address,undefined "${objects[@]}" -lzip -lz -o "$build/fuzz_weights"

hostile=tests/golden/hostile
find "$hostile" -size -8k \( -name '*.pt' -o -name '*.pth' -o -name '*.safetensors' \) -exec cp -f {} "$build/corpus/" \;
if command -v unzip >/dev/null; then  # pickles alone, as seeds for the wrapped forms
  for file in "$hostile"/*.pt; do
    { printf p; unzip -p "$file" '*/data.pkl' 2>/dev/null || true; } | head -c 8000 >"$build/corpus/$(basename "$file").pickle"
  done
fi
exec "$build/fuzz_weights" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=600 -malloc_limit_mb=200 -max_len=8192 \
  -artifact_prefix="$build/" -print_final_stats=1 "$build/corpus"
