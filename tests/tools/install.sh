#!/usr/bin/env bash
# cmake --install, and what a user does with it: programs, man pages and completion from there, and a program that finds
# the libraries.  install.sh SOURCE BUILD
set -euo pipefail
source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "install: $*" >&2; exit 1; }

cmake --install "$build" --prefix "$work/usr" >/dev/null
PATH=$work/usr/bin:$PATH
[ "$(command -v dtrain)" = "$work/usr/bin/dtrain" ] || fail "dtrain is not found in PATH"
dphantom --count 2 --size 16 --out "$work/data" --quiet
[ -e "$work/data/images/000000.png" ] || fail "dphantom made no picture"

for program in dphantom dtrain dsample dlabel dweights dreport; do
  page=$work/usr/share/man/man1/$program.1.gz
  zcat "$page" | grep "^.TH ${program^^} 1" >/dev/null || fail "no man page of $program"
  # shellcheck source=/dev/null
  . "$work/usr/share/bash-completion/completions/$program"
done
zcat "$work/usr/share/man/man1/dtrain.1.gz" | grep '^.SH "DTRAIN DIFFUSION"' >/dev/null || fail "the man page has no subcommands"
completed() {
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
  _echodiff
  echo "${COMPREPLY[*]}"
}
[ "$(completed dtrain diff)" = diffusion ] || fail "dtrain diff: completed to '$(completed dtrain diff)'"
[ "$(completed dtrain diffusion --image-s)" = --image-size ] || fail "--image-s: completed to '$(completed dtrain diffusion --image-s)'"
[ "$(completed dsample --mean)" = --mean-start ] || fail "--mean: completed to '$(completed dsample --mean)'"

cmake -S "$source/docs/examples/consumer" -B "$work/consumer" -DCMAKE_PREFIX_PATH="$work/usr" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$work/consumer" >/dev/null
"$work/consumer/consumer"
