#!/usr/bin/env bash
# How large things may be: lines 120 columns, C++ files 400 lines, README.md 900 words.
set -euo pipefail
failed=0
mapfile -t files < <(find src kernels tools tests -name '*.h' -o -name '*.cpp' -o -name '*.cu' | sort)
for file in "${files[@]}"; do
  lines=$(wc -l <"$file")
  [ "$lines" -le 400 ] || { echo "$file: $lines lines"; failed=1; }
done
if LC_ALL=C.UTF-8 grep -nE '^.{121,}' "${files[@]}" | cut -c1-100; then failed=1; fi
words=$(wc -w <README.md)
[ "$words" -le 900 ] || { echo "README.md: $words words"; failed=1; }
exit $failed
