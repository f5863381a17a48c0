#!/usr/bin/env bash
# bundle_test.sh SOURCE BUILD WORK: the folder that tools/gpu_bundle.sh carries to a GPU, on the faked device. Its run.sh
# ends well; without a device it ends with 69 and one line; a wrong kernel, a refused plan and a lost device are each
# reported and the rest goes on; cut short, it leaves whole lines.
set -uo pipefail
source=$1 build=$2 work=$3
bundle=$work/bundle
failed=0
fail() { echo "FAILED: $1"; [ $# = 1 ] || tail -5 "$2"; failed=1; }
# run NAME VARIABLES ARGUMENTS...: run.sh with its results in WORK/NAME; its exit code in $code.
run() {
  local name=$1 variables=$2
  shift 2
  env $variables "$bundle/run.sh" --tiny --out "$work/$name" "$@" 2>"$work/$name.log"
  code=$?
}
# has NAME WORDS: a line of its results has them all.
has() {
  local lines word
  lines=$(cat "$work/$1/gpu.jsonl")
  for word in "${@:2}"; do lines=$(grep -F -- "$word" <<<"$lines"); done
  [ -n "$lines" ] || fail "$1: no line with ${*:2}" "$work/$1.log"
}

rm -rf "$work" && mkdir -p "$work"
"$source/tools/gpu_bundle.sh" --fake "$build" "$bundle" || exit 1

run whole A=
[ $code = 0 ] || fail "the whole run ends with $code" "$work/whole.log"
for step in libraries ops networks replay samplers programs training plans; do has whole "\"step\": \"$step\", \"result\": \"passed\""; done
has whole '"step": "speed", "result": "measured"' '"train_ms": ' '"denoise_ms_without_graph": ' '"peak_mib": '
has whole '"step": "classes"' '"gb_per_s": '
has whole '"step": "sanitizer"'
has whole '"step": "end", "result": "passed"'
grep -q '| libraries | ' "$work/whole/gpu.md" || fail "whole: no table"

run none FAKE_CUDA=devices=0
[ $code = 69 ] && [ "$(wc -l <"$work/none.log")" = 1 ] && [ ! -e "$work/none" ] || fail "without a device: $code" "$work/none.log"

cp "$build/bin_fake/device_tests_wrong" "$bundle/bin/device_tests"
run wrong A= --only ops
has wrong '"result": "failed"' 'MatchesReference/silu' 'output of f32' '0.0'
has wrong '"step": "ops", "result": "ended"' '"passed": 4, "failed": 1'
[ $code = 1 ] || fail "a wrong kernel: $code"
cp "$build/bin_fake/device_tests" "$bundle/bin/"

run refused FAKE_CUDA=refuse=7 --only plans
has refused '"result": "refused"' '"graph": "' ' w (' 'no engine is offered'
has refused '"step": "end", "result": "failed", "failed": 1'

run lost FAKE_CUDA=fail=400:sticky --only ops,training
has lost '"step": "ops", "result": "lost"' 'the device'
has lost '"step": "ops", "result": "ended"'
has lost '"step": "training", "result": "failed"'
grep -q '"passed": 0' "$work/lost/gpu.jsonl" && fail "a lost device: nothing passed before"

# Killed on its way: what ended is there, and whole.
setsid "$bundle/run.sh" --tiny --out "$work/killed" 2>/dev/null &
sleep 3
kill -9 -- -$!
wait $! 2>/dev/null
grep -q '"step": "libraries", "result": "passed"' "$work/killed/gpu.jsonl" || fail "killed: nothing is left"
grep -vqE '^\{"step": .*\}$' "$work/killed/gpu.jsonl" && fail "killed: a line is not whole"

# What doesn't fit into the time is named.
run hurried A= --minutes 0
has hurried '"step": "ops", "result": "skipped"' 'are needed'
has hurried '"step": "torch", "result": "skipped"'
[ $failed = 0 ] && echo "all of run.sh's promises hold on the faked device" && rm -rf "$work"
exit $failed
