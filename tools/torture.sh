#!/usr/bin/env bash
# Every fault of docs/reliability.md, tried on the programs with a tiny model; a line for each row: F1 tried 60 passed 60
#   tools/torture.sh --ci | --full [--bin build/bin] [--only F1,F4] [--keep DIR]
# --full tries each at three times the count or more. Exit code 0 when everything passed. Needs strace for F2 to F4, g++
# for F12, and clang for F8; what is missing is said. A failure is named on stderr, and its files stay with --keep.
set -uo pipefail
cd "$(dirname "$0")/.."
scale='' bin=$PWD/build/bin only='' keep=''
while [ $# -gt 0 ]; do
  case $1 in
    --ci) scale=1; shift ;;
    --full) scale=3; shift ;;
    --bin) bin=$(cd "${2:?torture: --bin needs a folder}" && pwd); shift 2 ;;
    --only) only=,${2:?torture: --only needs rows},; shift 2 ;;
    --keep) keep=${2:?torture: --keep needs a folder}; shift 2 ;;
    *) echo "torture: $1: not one of --ci, --full, --bin, --only, --keep" >&2; exit 2 ;;
  esac
done
[ -n "$scale" ] || { echo "torture: --ci or --full?" >&2; exit 2; }
[ -x "$bin/dtrain" ] || { echo "torture: $bin/dtrain is missing; build first" >&2; exit 66; }
root=$PWD work=${keep:-$(mktemp -d)}
mkdir -p "$work" && cd "$work" || exit 73
trap '[ -n "$keep" ] || rm -rf "$work"; pkill -P $$ 2>/dev/null' EXIT
export PATH=$bin:$PATH
RANDOM=4  # the same faults in every run

tried=0 passed=0 broken=0
# ok WHAT CONDITION..: counts one try.
ok() {
  tried=$((tried + 1))
  if "${@:2}"; then passed=$((passed + 1)); else echo "  $row: $1" >&2; fi
}
row=
begin() {
  row=$1 tried=0 passed=0
  [ -z "$only" ] || [[ $only == *,$1,* ]]
}
end() {
  echo "$row tried $tried passed $passed${1:+  ($1)}"
  [ $tried = $passed ] || broken=1
}
missing() { echo "$row skipped: $1"; }
# is CODE..: the exit code of the command before is one of these.
is() { local code=$1 each; shift; for each; do [ "$code" = "$each" ] && return 0; done; return 1; }
# one_line FILE: exactly one line, of no control characters.
one_line() { [ "$(wc -l <"$1")" = 1 ] && ! LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$1"; }

# ---- what the faults are tried on: NAME's command, without --out
size="--image-size 16 --dim 8 --mults 1,2 --batch 2"
sampling="--model m --masks d --sampler ddim --sample-steps 8 --batch 2 --seed 3"
judged="--policy posthoc --scorer s --tau 0 --count 12"
diffusion="dtrain diffusion --quiet --data d $size --timesteps 20 --val-every 3 --val-count 1 --sample-every 0 --log-every 1 --seed 3 --save-every 4"
declare -A command=(
  [diffusion]="$diffusion --steps 24"
  [scorer]="dtrain scorer --quiet --labels l.jsonl --fill d --width 4 --epochs 4 --batch 4 --per-class 8 --seed 3"
  [segmenter]="dtrain segmenter --quiet --data d --image-size 16 --dim 8 --mults 1,2 --steps 24 --batch 4 --seed 3"
  [value]="dtrain value --quiet --recordings rec --steps 24 --batch 8 --width 4 --seed 3"
  [record]="dsample record --quiet $sampling --judge clean=s --thresholds th.json --count 8"
  [samples]="dsample --quiet $sampling $judged"
)
programs=(diffusion scorer segmenter value record samples)
prepare() {
  dphantom --quiet --count 12 --size 16 --seed 1 --out d &&
    $diffusion --steps 6 --out m &&
    dlabel calibrate --quiet --size 16 --images d --out th.json &&
    dlabel score --quiet --images d --thresholds th.json --out l.jsonl &&
    ${command[scorer]} --out s &&
    dsample --quiet $sampling --count 48 --policy none --out u &&
    dlabel calibrate --quiet --size 16 --images u/images --quantile 0.5 --out u.json &&
    sed -E 's/"tau_contrast": [0-9.e+-]+/"tau_contrast": 0/; s/"tau_noise": [0-9.e+-]+/"tau_noise": 1e9/' u.json >half.json &&  # half are good
    dsample record --quiet $sampling --judge clean=s --thresholds half.json --count 96 --out rec
}
prepare >prepare.log 2>&1 || { echo "torture: preparing failed: $(tail -1 prepare.log)" >&2; exit 70; }

# What a run left, without times; of its checkpoints the newest and the best, since one that was interrupted has saved at other steps.
hash_of() {
  (cd "$1" && { [ ! -e latest ] || sha256sum "checkpoints/$(cat latest)" $(ls checkpoints/best-* 2>/dev/null | tail -1); } && find . -type f ! -path './checkpoints/*' ! -name .lock ! -name config.toml ! -name seconds.jsonl ! -name '*.png' | sort | while read -r file; do
    echo "$file $(sed -E 's/"([a-z]*_?seconds|images_per_second)": *[0-9.e+-]+//g' "$file" | sha256sum)"
  done && find . -name '*.png' | sort | xargs -r sha256sum) | sha256sum
}
# resumed NAME OUT: the same command again, with what it needs to go on. Takes the shell's place.
resumed() {
  local more=
  case $1 in samples | record) ;; *) [ ! -e "$2/latest" ] || more=--resume ;; esac
  exec env --default-signal=INT,HUP,TERM ${command[$1]} --out "$2" $more
}
pause() { sleep "$(awk -v r=$RANDOM -v most="$1" 'BEGIN { printf "%.3f", 0.02 + r / 32768 * most }')"; }
declare -A whole seconds
unbroken() {
  local begin=${EPOCHREALTIME/./}
  [ -n "${whole[$1]:-}" ] && return
  rm -rf "whole_$1" && (resumed "$1" "whole_$1") >"whole_$1.log" 2>&1 || echo "  $row: $1 ends with $?: $(tail -1 "whole_$1.log")" >&2
  seconds[$1]=$(awk -v us=$((${EPOCHREALTIME/./} - begin)) 'BEGIN { print us / 1e6 }')
  whole[$1]=$(hash_of "whole_$1")
}
same_as_unbroken() { [ "$(hash_of "$2")" = "${whole[$1]}" ]; }

if begin F1; then
  for name in "${programs[@]}"; do
    unbroken $name
    for ((i = 0; i < 10 * scale; ++i)); do
      rm -rf x
      for kill in 1 2; do
        (resumed $name x) >/dev/null 2>&1 &
        pause "${seconds[$name]}"
        kill -9 $! 2>/dev/null
        wait $! 2>/dev/null
      done
      (resumed $name x) >x.log 2>&1
      code=$?
      ok "$name, kill $i: does not go on: $(tail -1 x.log)" is $code 0 73
      [ $passed = $tried ] || continue
      same_as_unbroken $name x || { passed=$((passed - 1)); echo "  $row: $name, kill $i: other bytes than the unbroken run" >&2; }
    done
  done
  end
fi

readable() { local latest; latest=$(cat "$1/latest" 2>/dev/null) || return 1; dweights inspect "$1/checkpoints/$latest" >/dev/null 2>&1; }
half_way() { rm -rf x && cp -r half x; }
if begin F2; then
  if command -v strace >/dev/null; then
    $diffusion --steps 8 --out half >/dev/null 2>&1
    cp -r half straight && $diffusion --steps 12 --out straight --resume >/dev/null 2>&1
    whole[straight]=$(hash_of straight)
    for call in openat write fsync rename; do
      for ((i = 1; i < 400; ++i)); do
        half_way
        { strace -f -qq -o /dev/null -e trace=$call -e inject=$call:signal=SIGKILL:when=$i $diffusion --steps 12 --out x --resume; } >/dev/null 2>&1 && break
        ok "$call $i: no readable checkpoint" readable x
        $diffusion --steps 12 --out x --resume >x.log 2>&1
        same_as_unbroken straight x || { passed=$((passed - 1)); echo "  $row: $call $i: goes on to other bytes: $(tail -1 x.log)" >&2; }
      done
    done
    command[beginning]="$diffusion --steps 8"
    unbroken beginning
    for call in mkdir fsync rename symlink unlink; do
      for ((i = 1; i < 400; ++i)); do
        rm -rf x
        { strace -f -qq -o /dev/null -e trace=$call -e inject=$call:signal=SIGKILL:when=$i ${command[beginning]} --out x; } >/dev/null 2>&1 && break
        (resumed beginning x) >x.log 2>&1
        ok "a run that begins, $call $i: other bytes than the unbroken run: $(tail -1 x.log)" same_as_unbroken beginning x
      done
    done
    end "every openat, write, fsync and rename of a run that saves, and of one that begins"
  else
    missing "strace is not installed"
  fi
fi

if begin F3; then
  if command -v strace >/dev/null; then
    rm -rf x
    strace -f -y -qq -o trace -e trace=openat,write,fsync,fdatasync,rename,renameat,renameat2 ${diffusion/--save-every 4/--save-every 1} --steps $((12 * scale)) --out x >/dev/null 2>&1
    # A file that is renamed was flushed after its last write; its folder is flushed after the rename.
    read -r tried passed < <(awk '
      match($0, /(write|fsync|fdatasync)\([0-9]+<[^>]*>/) {
        call = $0; sub(/^[0-9]+ +/, "", call); what = call; sub(/\(.*/, "", what)
        path = call; sub(/^[^<]*</, "", path); sub(/>.*/, "", path)
        if (what == "write") dirty[path] = 1; else { dirty[path] = 0; flushed[path] = NR }
        if (what != "write") for (r in waits) if (waits[r] == path) { done[r] = 1; delete waits[r] }
      }
      /rename/ && / = 0$/ {
        n = split($0, part, "\""); from = part[2]; to = part[4]; if (from !~ /^\//) from = ENVIRON["PWD"] "/" from; if (to !~ /^\//) to = ENVIRON["PWD"] "/" to
        ++renames; clean[renames] = !dirty[from] && (from in flushed); folder = to; sub(/\/[^\/]*$/, "", folder); waits[renames] = folder
      }
      END { for (r = 1; r <= renames; ++r) good += clean[r] && done[r]; print renames + 0, good + 0 }' trace)
    end "renames that stand between two flushes"
  else
    missing "strace is not installed"
  fi
fi

if begin F4; then
  if command -v strace >/dev/null; then
    [ -d half ] || $diffusion --steps 8 --out half >/dev/null 2>&1
    for fault in write:error=ENOSPC write:error=EIO fsync:error=EIO rename:error=EIO openat:error=ENOSPC; do
      for ((i = 1; i < 120; i += (scale > 1 ? 1 : 3))); do
        half_way
        strace -f -qq -o /dev/null -P "$work/x" -P "$work/x/checkpoints" -e trace=${fault%%:*} -e inject=$fault:when=$i $diffusion --steps 12 --out x --resume >x.log 2>&1
        code=$?
        ok "$fault, call $i: exit code $code" is $code 0 66 70 71 73 74
        readable x || { passed=$((passed - 1)); echo "  $row: $fault, call $i: no readable checkpoint" >&2; }
        [ -z "$(find x -name '.echodiff*' ! -name .lock)" ] || [ $code != 0 ] || { passed=$((passed - 1)); echo "  $row: $fault, call $i: a temporary is left" >&2; }
      done
    done
  else
    echo "  F4: strace is not installed: file size limits alone" >&2
  fi
  [ -d half ] || $diffusion --steps 8 --out half >/dev/null 2>&1
  for ((blocks = 1; blocks <= 20 * scale; ++blocks)); do
    half_way
    (ulimit -f $blocks && $diffusion --steps 12 --out x --resume) >x.log 2>&1
    code=$?
    ok "ulimit -f $blocks: exit code $code: $(tail -1 x.log)" is $code 0 74
    readable x || { passed=$((passed - 1)); echo "  $row: ulimit -f $blocks: no readable checkpoint" >&2; }
  done
  end
fi

checkpoint() { ls m/checkpoints/step-*.safetensors | tail -1; }
# flip FILE BIT
flip() {
  local byte
  byte=$(od -An -tu1 -j $(($2 / 8)) -N1 "$1")
  printf "\\$(printf %03o $((byte ^ (1 << ($2 % 8)))))" | dd of="$1" bs=1 seek=$(($2 / 8)) conv=notrunc status=none
}
# reads FILE: what refuses a damaged one of its kind.
reads() {
  case $1 in
    *.safetensors) dweights inspect "$1" ;;
    *.jsonl) dlabel balance --count 2 "$1" ;;
    *.png) rm -rf pictures && mkdir pictures && cp "$1" pictures && dlabel score --images pictures --thresholds th.json --out pictures.jsonl ;;
  esac
}
cp "$(checkpoint)" c.safetensors
cp "$(ls rec/chains-*.safetensors | head -1)" chain.safetensors
cp "$(ls d/images/*.png | head -1)" p.png
kinds=(c.safetensors chain.safetensors p.png)
if begin F5; then
  for file in "${kinds[@]}"; do
    bytes=$(stat -c %s $file)
    for ((i = 0; i < 100 * scale; ++i)); do
      head -c $(((RANDOM * 32768 + RANDOM) % bytes)) $file >"cut.${file##*.}"
      reads "cut.${file##*.}" >/dev/null 2>x.log
      code=$?
      ok "$file cut to $(stat -c %s "cut.${file##*.}") bytes: exit code $code" is $code 65
    done
  done
  end
fi

if begin F6; then
  for file in "${kinds[@]}"; do
    bits=$(($(stat -c %s $file) * 8))
    for ((i = 0; i < (scale > 1 ? 6700 : 700); ++i)); do
      cp $file "bad.${file##*.}"
      bit=$(((RANDOM * 32768 + RANDOM) % bits))
      flip "bad.${file##*.}" $bit
      reads "bad.${file##*.}" >/dev/null 2>x.log
      code=$?
      ok "$file, bit $bit: exit code $code" is $code 65
    done
  done
  end
fi

if begin F7; then
  hostile=$root/tests/golden/hostile
  while read -r file verdict; do
    mkdir -p h && rm -rf h/* && cp "$hostile/$file" h/
    (cd h && ulimit -v 1500000 && timeout 2 dweights inspect "$file") >/dev/null 2>x.log
    code=$?
    case $verdict in
      accept) ok "$file: exit code $code for one that is to be read" is $code 0 ;;
      reject) ok "$file: exit code $code" is $code 65 ;;
      *) ok "$file: exit code $code" is $code 0 65 ;;
    esac
    [ "$(ls h | wc -l)" = 1 ] || { passed=$((passed - 1)); echo "  $row: $file: something was written" >&2; }
  done < <(tr -d '\n' <"$hostile/manifest.json" | grep -oE '"file": "[^"]*", *"verdict": "[a-z]*"' | sed -E 's/"file": "([^"]*)", *"verdict": "([a-z]*)"/\1 \2/')
  end
fi

if begin F8; then
  if command -v clang++ >/dev/null && (cd "$root" && tests/fuzz/fuzz.sh build "$work/fuzz") >fuzz.log 2>&1; then
    for target in pickle zip legacy safetensors checkpoint picture config lists; do
      (cd "$root" && tests/fuzz/fuzz.sh run $((scale > 1 ? 30 : 5)) $target "$work/fuzz") >fuzz.log 2>&1
      code=$?
      ok "fuzzing $target: $(grep -m1 -E 'ERROR|SUMMARY' fuzz.log)" is $code 0
    done
    end "targets"
  else
    missing "there is no clang with libFuzzer: $(tail -1 fuzz.log 2>/dev/null)"
  fi
fi

# gtest FILTER: the tests of the build that try a fault in one process; each counts as one.
gtest() {
  local tests=$bin/../tests/echodiff_tests
  [ -x "$tests" ] || { missing "the tests are not built"; return 1; }
  while read -r what name; do ok "$name" [ "$what" = OK ]; done < <("$tests" --gtest_filter="$1" --gtest_color=no 2>/dev/null | sed -nE 's/^\[ +(OK|FAILED) +\] ([^ ,]+).*\(.*/\1 \2/p')
}
begin F9 && gtest 'PngTest.*' && end "tests; 10,000 damaged pictures against libpng in one of them"

bad_values=(nan inf -inf -1e400 1e400 abc '' 99999999999999999999 -9223372036854775809 1e-400x '1 2' $'1\n2')
if begin F10; then
  for program in "dtrain diffusion" "dtrain scorer" "dtrain value" "dtrain segmenter" dsample "dsample record" dphantom "dlabel score" "dlabel calibrate"; do
    read -ra flags <<<"$($program --help | grep -oE '^  --[a-z-]+ (N|X)$' | grep -oE '\-\-[a-z-]+' | tr '\n' ' ')"
    for flag in "${flags[@]}"; do
      for value in "${bad_values[@]:0:$((scale > 1 ? 12 : 4))}"; do
        timeout 2 $program --print-config "$flag=$value" >/dev/null 2>x.log
        code=$?
        ok "$program $flag=$(tr -d '\n' <<<"$value"): exit code $code" is $code 2
        one_line x.log || { passed=$((passed - 1)); echo "  $row: $program $flag=$value: not one line" >&2; }
      done
      printf '%s = "abc"\n' "${flag#--}" >bad.toml
      timeout 2 $program --print-config --config bad.toml >/dev/null 2>x.log
      code=$?
      ok "$program: $flag = \"abc\" in a file: exit code $code" is $code 2
    done
    timeout 2 $program --print-config --no-such-flag 1 >/dev/null 2>x.log
    code=$?
    ok "$program: an unknown flag" is $code 2
  done
  for text in '' '[' 'steps = ' 'steps = 1\nsteps = 2' '\xef\xbb\xbf' '\xff\xfe' 'a.b.c = 1' '[[x]]' 'steps = 1e999' '"lr\n" = 1'; do
    printf "$text" >bad.toml
    timeout 2 dtrain diffusion --print-config --config bad.toml >/dev/null 2>x.log
    code=$?
    ok "config '$text': exit code $code" is $code 0 2
  done
  for path in . /dev/zero /dev/null nowhere.toml; do
    timeout 2 dtrain diffusion --print-config --config $path >/dev/null 2>x.log
    code=$?
    ok "config $path: exit code $code" is $code 2 65 66
  done
  end
fi

begin F11 && gtest '*NaN*:*Nan*:*NotFinite*' && end "tests"

if begin F12; then
  if command -v g++ >/dev/null && g++ -std=c++20 -O1 -shared -fPIC -o fail.so "$root/tests/faults/fail_allocation.cpp" 2>x.log; then
    commands=("dphantom --quiet --count 2 --size 16 --out x" "dtrain diffusion --quiet --data d $size --timesteps 20 --steps 1 --val-every 0 --sample-every 0 --out x"
      "dtrain scorer --quiet --labels l.jsonl --fill d --width 4 --epochs 1 --batch 4 --per-class 8 --out x" "dtrain segmenter --quiet --data d --image-size 16 --dim 8 --mults 1 --steps 1 --batch 2 --out x"
      "dtrain value --quiet --recordings rec --steps 1 --batch 4 --width 4 --out x" "dsample --quiet $sampling --count 2 --policy none --out x"
      "dsample record --quiet $sampling --judge clean=s --count 2 --out x" "dlabel score --quiet --images d --thresholds th.json --out x"
      "dlabel calibrate --quiet --size 16 --images d --out x" "dlabel review l.jsonl --quiet --out x" "dweights inspect c.safetensors" "dreport --quiet --runs m --out x")
    most=$((scale > 1 ? 2000 : 60))
    for command in "${commands[@]}"; do
      for ((k = 1; k <= most; ++k)); do
        rm -rf x
        FAIL_ALLOCATION=$k LD_PRELOAD=$work/fail.so timeout 60 $command >/dev/null 2>x.log
        code=$?
        ok "$command, allocation $k: exit code $code: $(tail -1 x.log)" is $code 0 71 127
      done
    done
    end "exit codes 71, 0 where it could do without, 127 where the loader could not begin"
  else
    missing "g++ is not installed"
  fi
fi

if begin F13; then
  for name in "${programs[@]}"; do
    unbroken $name
    for ((i = 0; i < 10 * scale; ++i)); do
      rm -rf x
      signal=$(set -- TERM INT HUP; shift $((i % 3)); echo "$1")
      expected=$(case $signal in TERM) echo 143 ;; INT) echo 130 ;; HUP) echo 129 ;; esac)
      (resumed $name x) >/dev/null 2>&1 &
      shell=$!
      pause "${seconds[$name]}"
      begun=$SECONDS
      kill -$signal $shell 2>/dev/null
      wait $shell 2>/dev/null
      code=$?
      ok "$name, $signal: exit code $code" is $code $expected 0
      [ $((SECONDS - begun)) -le 5 ] || { passed=$((passed - 1)); echo "  $row: $name, $signal: took $((SECONDS - begun)) s" >&2; }
      [ $code = 0 ] || { (resumed $name x) >x.log 2>&1; same_as_unbroken $name x || { passed=$((passed - 1)); echo "  $row: $name, $signal: goes on to other bytes: $(tail -1 x.log)" >&2; }; }
    done
  done
  end
fi

if begin F14; then
  for name in "${programs[@]}"; do
    for ((i = 0; i < 4 * scale; ++i)); do
      rm -rf x && mkdir x && : >x/.lock
      exec 9>x/.lock && flock 9
      (resumed $name x) >/dev/null 2>x.log
      code=$?
      ok "$name: exit code $code: $(tail -1 x.log)" is $code 75
      exec 9>&-
    done
  done
  end
fi

if begin F15; then
  unbroken samples
  more() { [ $scale = 1 ] || echo "$@"; }  # with --full
  for threads in 1 2 3 $(more 4 5 6 7 8 9 16); do
    rm -rf x && ${command[samples]} --threads $threads --out x >/dev/null 2>&1
    ok "samples with $threads threads" same_as_unbroken samples x
    rm -rf x && ${command[scorer]} --threads $threads --out x >/dev/null 2>&1
    unbroken scorer
    ok "scorer with $threads threads" same_as_unbroken scorer x
    rm -rf x && ${command[diffusion]} --threads $threads --out x >/dev/null 2>&1
    unbroken diffusion
    ok "training with $threads threads" same_as_unbroken diffusion x
  done
  for batch in 1 3 8 12 $(more 2 4 5 6 7 9 10 11); do
    rm -rf x && ${command[samples]/--batch 2/--batch $batch} --out x >/dev/null 2>&1
    ok "samples in batches of $batch" [ "$(cd x/images && sha256sum *.png)" = "$(cd whole_samples/images && sha256sum *.png)" ]
  done
  for shards in 2 4 $(more 3 5 6 7); do
    rm -rf x y && mkdir -p y
    for ((i = 0; i < shards; ++i)); do ${command[samples]} --shard $i/$shards --out x$i >/dev/null 2>&1; cp x$i/images/*.png y/; rm -rf x$i; done
    ok "samples in $shards shards" [ "$(cd y && sha256sum *.png)" = "$(cd whole_samples/images && sha256sum *.png)" ]
  done
  end
fi
exit $broken
