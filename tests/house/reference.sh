#!/usr/bin/env bash
# The reference of all headers is made without a warning: reference.sh SOURCE. Skipped without doxygen.
set -euo pipefail
command -v doxygen >/dev/null || { echo "skipped: no doxygen"; exit 77; }
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
cd "$1"
warnings=$({ cat docs/Doxyfile; echo "OUTPUT_DIRECTORY = $made"; } | doxygen - 2>&1)
[ -z "$warnings" ] || { head -n 20 <<<"$warnings"; exit 1; }
[ -s "$made/html/index.html" ]
