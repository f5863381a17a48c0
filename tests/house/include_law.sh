#!/usr/bin/env bash
# include_law.sh COMPILER LAW: a line of LAW is a folder and the include roots its sources are compiled with. A file of
# the folder that includes one of its own headers must compile as far as finding it; one that includes a header of a
# folder further down the list must not.
set -euo pipefail
compiler=$1
mapfile -t lines <"$2"
folders=()
for line in "${lines[@]}"; do [ -z "$line" ] || folders+=("${line%% *}"); done

header_of() {  # the first header right in the folder, as includes say it
  local directory=src/$1
  [ -d "$directory" ] || directory=$1
  local headers=("$directory"/*.h)
  echo "$1/$(basename "${headers[0]}")"
}

finds() {  # finds HEADER ROOTS: with these roots alone
  local roots=()
  for root in $2; do roots+=(-I "$root"); done
  echo "#include \"$1\"" | "$compiler" -std=c++20 -x c++ -M "${roots[@]}" - >/dev/null 2>&1
}

tried=0 failed=0
for i in "${!folders[@]}"; do
  roots=${lines[$i]#* }
  finds "$(header_of "${folders[$i]}")" "$roots" || { echo "${folders[$i]} doesn't see its own headers"; failed=1; }
  for upper in "${folders[@]:$((i + 1))}"; do
    tried=$((tried + 1))
    if finds "$(header_of "$upper")" "$roots"; then echo "${folders[$i]} can include $upper/"; failed=1; fi
  done
done
echo "$tried wrong includes tried"
exit $failed
