#!/usr/bin/env bash
# Every command of a program that the README and the docs show is one that the program takes: each line of a code block
# that begins with a program's name is given to it with --print-config, which reads all flags, checks their rules and ends.
#   documented_commands.sh SOURCE BIN_DIR
set -euo pipefail
source=$1 bin=$2
programs='dtrain|dsample|dphantom|dlabel|dweights|dreport'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# FILE:LINE<tab>COMMAND of each, continued lines joined, comments and what follows a pipe or && left out.
commands() {
  awk -v programs="^($programs) " '
    /^```/ { inside = !inside; next }
    !inside { next }
    { line = line == "" ? $0 : line " " $0 }
    /\\$/ { sub(/\\$/, "", line); next }
    { sub(/^\$ /, "", line); sub(/ +# .*$/, "", line); sub(/ [|&>].*$/, "", line)
      if (line ~ programs && line !~ /\.\.\./) print FILENAME ":" FNR "\t" line
      line = "" }' "$@"
}

count=0 wrong=0
while IFS=$'\t' read -r where command; do
  count=$((count + 1))
  config=$(sed -n 's/.* --config \([^ ]*\).*/\1/p' <<<"$command")
  if [ ! -e "$source/$config" ]; then command=${command/ --config $config/}; fi  # a run's own, which is not there yet
  if ! (cd "$source" && eval "$bin/$command --print-config" </dev/null >"$work/said" 2>&1); then
    echo "$where: $command" >&2
    head -n 3 "$work/said" >&2
    wrong=$((wrong + 1))
  fi
done < <(cd "$source" && find README.md docs -name '*.md' -print0 | xargs -0 -n 1 | sort | while read -r file; do commands "$file"; done)
[ "$count" -gt 20 ] || { echo "documented_commands: found $count commands alone" >&2; exit 1; }
echo "$count commands, $wrong wrong"
[ "$wrong" -eq 0 ]
