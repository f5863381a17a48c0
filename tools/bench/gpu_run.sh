#!/usr/bin/env bash
# What a GPU can prove, within minutes, from a folder that tools/gpu_bundle.sh made (there this file is run.sh):
#   ./run.sh [--minutes 8] [--out results] [--only STEP,..] [--tiny]
# Steps, in this order: device, libraries, ops, networks, replay, samplers, programs, training, sanitizer, plans, speed, torch.
# Each writes JSON lines to OUT/gpu.jsonl as it ends; OUT/gpu.md is the table of them all. What would pass the time left
# is skipped by name. A failure is a line with its test, op, tensor and largest error, and the rest goes on.
# Exit code: 0 all passed, 1 something failed, 69 no usable GPU. docs/bench/gpu.md of the project says what the lines mean.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$here/bin minutes=8 out=results only= tiny=
die() { echo "run.sh: $1" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --minutes) minutes=${2:?run.sh: --minutes needs a number}; shift 2 ;;
    --out) out=${2:?run.sh: --out needs a folder}; shift 2 ;;
    --only) only=,${2:?run.sh: --only needs steps},; shift 2 ;;
    --tiny) tiny=yes; shift ;;  # sizes for testing this script
    --help) sed -n '2,8s/^# //p' "$0"; exit 0 ;;
    *) die "$1: not one of --minutes, --out, --only, --tiny" ;;
  esac
done
[[ $minutes =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "--minutes $minutes: not a number"
deadline=$(awk -v m="$minutes" 'BEGIN { printf "%d", m * 60 }')

# The device first: without one nothing is written.
properties=$(mktemp) && trap 'rm -f "$properties"' EXIT
device=$("$bin/device_report" "$properties" 2>&1) || { echo "run.sh: ${device##*$'\n'}" >&2; exit 69; }
mkdir -p "$out" && out=$(cd "$out" && pwd) || { echo "run.sh: $out: can't be created" >&2; exit 73; }
work=$out/work lines=$out/gpu.jsonl
rm -rf "$work" && mkdir -p "$work" && : >"$lines" && cp "$properties" "$out/device.json" || exit 73
export ECHODIFF_SHARED=$here ECHODIFF_PROGRAMS=$bin ECHODIFF_TEST_DEVICE=cuda TMPDIR=$work
failures=0 skipped=0 table=

left() { echo $((deadline - SECONDS)); }
# Text as the inside of a JSON string.
quoted() { tr '\t\r\n' '   ' <<<"$1" | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g; s/ *$//'; }
# line STEP RESULT MORE: one whole line, at once. MORE is JSON: , "key": value
line() {
  printf '{"step": "%s", "result": "%s"%s}\n' "$1" "$2" "${3:-}" >>"$lines"
  [ "$1" = end ] || case $2 in failed | lost | refused) failures=$((failures + 1)) ;; skipped) skipped=$((skipped + 1)) ;; esac
  printf '%4d s  %-10s %-8s %s\n' "$SECONDS" "$1" "$2" "$(cut -c1-160 <<<"${3:-}")" >&2
}
row() { table+="| $1 | $2 | $3 |"$'\n'; }
# step NAME SECONDS: whether it is to be run now; says so where it is not.
step() {
  [ -z "$only" ] || [[ $only == *,$1,* ]] || return 1
  [ "$(left)" -ge "$2" ] && return 0
  line "$1" skipped ", \"why\": \"$2 s are needed, $(left) are left of $minutes minutes\""
  row "$1" skipped "$2 s were needed"
  return 1
}

# What gtest printed: "passed", "skipped", "failed", "lost" or "crashed", a tab, the test, a tab, what it said. Nothing
# after the first test that lost the device counts.
results_of() {
  awk '
    function done(what) { printf "%s\t%s\t%s\n", what, test, substr(said, 1, 700); test = "" }
    /^\[ RUN      \] / { test = $4; said = ""; lost = 0; next }
    test == "" { next }
    /^\[       OK \] / { done("passed"); next }
    /^\[  SKIPPED \] / { done("skipped"); next }
    /^\[  FAILED  \] / { done(lost ? "lost" : "failed"); if (lost) exit; next }
    { if (/context is lost/) lost = 1; sub(/^.*: Failure$/, ""); if (length(said) < 700 && $0 != "") said = said (said == "" ? "" : " ") $0 }
    END { if (test != "") done("crashed") }' "$1"
}

# tests STEP SECONDS FILTER: a group of device_tests. After a lost device or a crash the rest goes on in a new process.
tests() {
  local name=$1 filter=$3 seen= passed=0 failed=0 none=0 turn code begin=$SECONDS what test said again
  step "$name" "$2" || return 0
  for turn in 1 2 3 4 5 6; do
    [ "$(left)" -gt 0 ] || break
    timeout -k 5 "$(left)" "$bin/device_tests" --gtest_color=no --gtest_filter="$filter${seen:+-$seen}" >"$out/$name.$turn.log" 2>&1
    code=$?
    again=
    while IFS=$'\t' read -r what test said; do
      seen+=${seen:+:}$test
      case $what in
        passed) passed=$((passed + 1)) ;;
        skipped) none=$((none + 1)) ;;
        *)
          failed=$((failed + 1))
          [ $code != 124 ] || [ "$what" != crashed ] || said="stopped when the time was over"
          [ "$what" = failed ] || again=yes
          [ "$what" = lost ] || what=failed
          line "$name" "$what" ", \"test\": \"$test\", \"detail\": \"$(quoted "$said")\""
          row "$name" "$what" "$test: $(tr '|' '/' <<<"${said:0:300}")"
          ;;
      esac
    done < <(results_of "$out/$name.$turn.log")
    [ -n "$again" ] && [ $code != 124 ] || break
  done
  if [ $((passed + failed)) = 0 ]; then
    line "$name" failed ", \"detail\": \"no test ran: $(quoted "$(tail -3 "$out/$name.1.log")")\""
    row "$name" failed "no test ran"
    return
  fi
  line "$name" "$([ $failed = 0 ] && echo passed || echo ended)" ", \"passed\": $passed, \"failed\": $failed, \"skipped\": $none, \"seconds\": $((SECONDS - begin))"
  row "$name" "$passed of $((passed + failed)) tests passed" "$((SECONDS - begin)) s"
}

one='Ops/OpTest.FastPathMatchesReference/'
if [ -n "$tiny" ]; then
  ops=${one}silu:${one}softmax:${one}conv2d:${one}linear:Bf16/DeviceOps.Bf16MatchesReference/silu
  networks=ResNet18Golden.BothModesMatchPyTorch
  programs=DevicePrograms.SamplingWithAJudgeDecidesAsOnTheCpu
else
  ops="$one*:Bf16/DeviceOps.*"
  networks='UnetGolden.*CasesMatchPyTorch:GuidedUnetGolden.*MatchesPyTorch:ResNet18Golden.BothModesMatchPyTorch'
  programs='DevicePrograms.*'
fi

# Training of the same steps here and on this machine's CPU: the first losses are the CPU's, the last ones near them.
training() {
  local steps=300 data=(--count 64 --size 64) network=(--image-size 64 --dim 32 --mults 1,2,4 --batch 4) where said begin=$SECONDS
  [ -z "$tiny" ] || steps=4 data=(--count 4 --size 16) network=(--image-size 16 --dim 8 --mults 1 --batch 1)
  step training 40 || return 0
  "$bin/dphantom" --quiet --seed 1 --out "$work/data" "${data[@]}" >"$out/training.log" 2>&1
  for where in cuda cpu; do
    timeout -k 5 "$(left)" "$bin/dtrain" diffusion --quiet --data "$work/data" --out "$work/on_$where" "${network[@]}" --steps $steps --log-every 1 \
      --lr 3e-4 --warmup 20 --val-every 0 --sample-every 0 --seed 1 --device $where >>"$out/training.log" 2>&1 && continue
    said=$(tail -1 "$out/training.log")
    line training failed ", \"detail\": \"dtrain diffusion --device $where: $(quoted "$said")\""
    row training failed "dtrain on $where: $said"
    return
  done
  said=$(awk -F'"loss":' -v steps=$steps '
    /"loss":/ { n[FILENAME]++; loss[FILENAME, n[FILENAME]] = $2 + 0; if (!(FILENAME in order)) { order[FILENAME]; name[++files] = FILENAME } }
    function relative(a, b) { return (a > b ? a - b : b - a) / (b > 0 ? b : 1e-30) }
    END {
      early = steps < 10 ? steps : 10; late = steps < 50 ? steps : 50; first = 0
      for (i = 1; i <= early; ++i) { d = relative(loss[name[1], i], loss[name[2], i]); if (d > first) first = d }
      for (i = steps - late + 1; i <= steps; ++i) { a += loss[name[1], i]; b += loss[name[2], i] }
      d = relative(a, b)
      printf "%s %.3g %.3g", (n[name[1]] == steps && n[name[2]] == steps && first < 1e-3 && d < 0.05 ? "passed" : "failed"), first, d
    }' "$work/on_cuda/log.jsonl" "$work/on_cpu/log.jsonl")
  read -r where first last <<<"$said"
  line training "$where" ", \"steps\": $steps, \"largest_difference_of_the_first_losses\": $first, \"difference_of_the_last_losses\": $last, \"seconds\": $((SECONDS - begin))"
  row training "$where" "$steps steps: the first losses differ by at most $first, the mean of the last by $last, relatively"
}

# compute-sanitizer on the smallest tests.
sanitizer() {
  local tool code seconds=60 begin=$SECONDS
  step sanitizer 40 || return 0
  tool=$(command -v compute-sanitizer || ls -d /usr/local/cuda*/bin/compute-sanitizer /opt/cuda/bin/compute-sanitizer 2>/dev/null | head -1)
  if [ -z "$tool" ]; then
    line sanitizer skipped ', "why": "compute-sanitizer is not installed"'
    row sanitizer skipped "not installed"
    return
  fi
  [ "$(left)" -ge $seconds ] || seconds=$(left)
  timeout -k 5 $seconds "$tool" --error-exitcode 99 "$bin/device_tests" --gtest_brief=1 \
    --gtest_filter="CudaGemm.*:CudaConv2d.*:${one}silu:${one}softmax:${one}group_norm:${one}attention:${one}rms_norm" >"$out/sanitizer.log" 2>&1
  code=$?
  local said
  said=$(grep -m1 -E '^========= (Invalid|Program hit|Race|Uninit)|Failure' "$out/sanitizer.log" || tail -1 "$out/sanitizer.log")
  case $code in
    0) line sanitizer passed ", \"seconds\": $((SECONDS - begin))" ;;
    124) line sanitizer skipped ", \"why\": \"stopped after $seconds s\"" ;;
    *) line sanitizer failed ", \"detail\": \"$(quoted "$said")\"" ;;
  esac
  row sanitizer "$([ $code = 0 ] && echo passed || echo "exit code $code")" "$said"
}

# The networks' convolutions for which cuDNN offers no plan on this device.
plans() {
  local graph said code begin=$SECONDS
  step plans 20 || return 0
  timeout -k 5 "$(left)" "$bin/cudnn_plans" >"$out/plans.md" 2>"$out/plans.log"
  code=$?
  while IFS='|' read -r _ graph _ said; do
    line plans refused ", \"graph\": \"$(quoted "${graph# }")\", \"detail\": \"$(quoted "$(grep -o 'REFUSED[^|]*' <<<"$said" | head -1)")\""
    row plans refused "$graph"
  done < <(grep REFUSED "$out/plans.md" | head -20)  # a lost device refuses all of them; plans.md has the rest
  said=$(tail -1 "$out/plans.md")
  [ $code -le 1 ] || line plans failed ", \"detail\": \"$(quoted "$(tail -1 "$out/plans.log")")\""
  line plans "$([ $code = 0 ] && echo passed || echo ended)" ", \"said\": \"$(quoted "$said")\", \"seconds\": $((SECONDS - begin))"
  row plans "$said" ""
}

speed_table=
# value KEY NEEDLE FILE: the number of KEY in the last line of bench_models' that has NEEDLE.
value() { grep -F -- "$2" "$3" | tail -1 | grep -o "\"$1\": [0-9.e+-]*" | sed 's/.*: //'; }
# speed SIZE MULTS DIM BATCH PRECISION [--profile]
speed() {
  local log=$out/speed.$1.$3.$4.$5.log common said peak batch="\"batch\": $4,"
  [ "$(left)" -ge 8 ] || { line speed skipped ", \"size\": $1, \"dim\": $3, \"batch\": $4, \"precision\": \"$5\", \"why\": \"no time is left\""; return; }
  common=(--quiet --json --device cuda --precision "$5" --size "$1" --mults "$2" --dim "$3" --train-batch "$4" --forward-batch "$4")
  [ -z "$tiny" ] && common+=(--repeats 10) || common+=(--repeats 1 --peak-size 16)
  if ! timeout -k 5 "$(left)" "$bin/bench_models" "${common[@]}" ${6:-} >"$log" 2>&1 ||
    ! timeout -k 5 "$(left)" "$bin/bench_models" "${common[@]}" --forward-only --graph off >"$log.off" 2>&1; then
    said=$(grep -h bench_models: "$log" "$log.off" 2>/dev/null | tail -1)
    line speed failed ", \"size\": $1, \"dim\": $3, \"batch\": $4, \"precision\": \"$5\", \"detail\": \"$(quoted "${said:-stopped when the time was over}")\""
    speed_table+="| $1, dim $3, batch $4, $5 | failed: ${said:-no time} |"$'\n'
    return
  fi
  local train denoise off one_picture mib of_train of_denoise gflops
  train=$(value ms train_step "$log") of_train=$(value of_peak train_step "$log") gflops=$(value gflops train_step "$log")
  denoise=$(value ms "\"forward\", $batch" "$log") of_denoise=$(value of_peak "\"forward\", $batch" "$log")
  off=$(value ms "\"forward\", $batch" "$log.off") one_picture=$(value ms '"forward", "batch": 1,' "$log") mib=$(value mib mib "$log") peak=$(value peak_gflops peak "$log")
  line speed measured ", \"size\": $1, \"dim\": $3, \"batch\": $4, \"precision\": \"$5\", \"train_ms\": $train, \"train_gflops\": $gflops, \"train_of_peak\": $of_train, \"denoise_ms\": $denoise, \"denoise_of_peak\": $of_denoise, \"denoise_ms_without_graph\": $off, \"denoise_ms_batch_1\": $one_picture, \"peak_gflops\": $peak, \"peak_mib\": $mib"
  speed_table+="| $1, dim $3, batch $4, $5 | $train | $of_train | $denoise | $of_denoise | $off | $one_picture | $mib |"$'\n'
  [ -n "${6:-}" ] || return 0
  grep '"class"' "$log" | while read -r said; do
    line classes measured ", \"size\": $1, \"dim\": $3, \"batch\": $4, \"precision\": \"$5\", ${said#\{}"
  done 2>/dev/null
  class_table+=$(grep '"class"' "$log" | sed -E "s/.*\"class\": \"([a-z]*)\", \"of\": \"([a-z ]*)\", \"ms\": ([0-9.]*), \"gflops\": ([0-9.]*), \"gb_per_s\": ([0-9.]*).*/| $1, dim $3, batch $4, $5 | \2 | \1 | \3 | \4 | \5 |/")$'\n'
}
class_table=
speeds() {
  step speed 20 || return 0
  local dim precision batch
  if [ -n "$tiny" ]; then
    speed 8 1,2 8 1 f32 --profile
    return
  fi
  speed 64 1,2,4 64 16 bf16 --profile
  speed 128 1,2,4,8 64 16 bf16 --profile
  speed 64 1,2,4 64 16 f32
  speed 64 1,2,4 64 16 tf32
  for batch in 64 16; do
    for dim in 64 128; do
      for precision in bf16 tf32 f32; do
        [ "$dim $batch" = "64 16" ] || speed 64 1,2,4 $dim $batch $precision
        [ "$dim $batch $precision" = "64 16 bf16" ] || speed 128 1,2,4,8 $dim $batch $precision
      done
    done
  done
}

# The same network in PyTorch, where a Python has it: bf16 autocast, channels last, eager and compiled.
torch_table=
beside_torch() {
  local python= candidate size mults batch=16 mode train denoise mib log
  step torch 60 || return 0
  for candidate in "${ECHODIFF_TORCH_PYTHON:-}" python3 python; do
    [ -n "$candidate" ] && "$candidate" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null && python=$candidate && break
  done
  if [ -z "$python" ]; then
    line torch skipped ', "why": "no Python here has a torch that sees the GPU; set ECHODIFF_TORCH_PYTHON"'
    row torch skipped "no Python with torch"
    return
  fi
  for size in 64 128; do
    mults=1,2,4 && [ $size = 64 ] || mults=1,2,4,8
    [ "$(left)" -ge 30 ] || { line torch skipped ", \"size\": $size, \"why\": \"no time is left\""; continue; }
    log=$out/torch.$size.log
    timeout -k 5 "$(left)" "$python" "$here/gpu_torch.py" $size 64 $batch ${mults//,/ } >"$log" 2>"$log.err"
    while read -r mode train denoise mib; do
      line torch measured ", \"size\": $size, \"dim\": 64, \"batch\": $batch, \"mode\": \"$mode\", \"train_ms\": $train, \"denoise_ms\": $denoise, \"peak_mib\": $mib"
      torch_table+="| $size, dim 64, batch $batch, PyTorch $mode bf16 | $train | $denoise | $mib |"$'\n'
    done <"$log"
    [ -s "$log" ] || line torch failed ", \"size\": $size, \"detail\": \"$(quoted "$(tail -1 "$log.err")")\""
  done
}

write_table() {
  {
    echo "# $(sed -E 's/.*"device":"([^"]*)".*/\1/' <<<"$device"), $(date -u +%F), echodiff $("$bin/dtrain" --version | head -1 | sed 's/^dtrain *//')"
    printf '\n`%s`\n\n%s failed, %s skipped, %s s of %s minutes.\n\n| step | result | |\n|---|---|---|\n%s' "$device" "$failures" "$skipped" "$SECONDS" "$minutes" "$table"
    [ -z "$speed_table" ] || printf '\n| network | train, ms | of a large product | denoise, ms | of a large product | without graph | one picture | MiB |\n|---|---|---|---|---|---|---|---|\n%s' "$speed_table"
    [ -z "$class_table" ] || printf '\n| network | pass | ops | ms, each waited for | GFLOP/s | GB/s |\n|---|---|---|---|---|---|\n%s' "$class_table"
    [ -z "$torch_table" ] || printf '\n| network | train, ms | denoise, ms | MiB |\n|---|---|---|---|\n%s' "$torch_table"
  } >"$out/gpu.md"
}
stopped() {
  write_table
  rm -rf "$work" "$properties"
  exit 143
}
trap stopped INT TERM HUP

line device found ", \"report\": $device"
tests libraries 10 'CudaGemm.*:CudaConv2d.*'
tests ops 30 "$ops"
tests networks 30 "$networks"
tests replay 10 ReplayGolden.TwelveStepsOfTheTrainer
tests samplers 20 "DeviceSampling.*:$([ -n "$tiny" ] || echo 'DeviceJudges.*:DevicePrecision.*')"
tests programs 30 "$programs"
training
sanitizer
plans
speeds
beside_torch
line end "$([ $failures = 0 ] && echo passed || echo failed)" ", \"failed\": $failures, \"skipped\": $skipped, \"seconds\": $SECONDS"
write_table
rm -rf "$work"
echo "run.sh: $lines and $out/gpu.md" >&2
[ $failures = 0 ]
