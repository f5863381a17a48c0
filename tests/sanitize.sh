#!/usr/bin/env bash
# sanitize.sh SOURCE BUILD address|thread: builds once more under sanitizers, in BUILD, and runs
#   address  the whole quick suite, programs included, under AddressSanitizer and UBSan
#   thread   what threads share (pool, memory, loader, sampler) under ThreadSanitizer
# The first report ends a test. No CUDA: those layers have sanitizers of their own.
set -euo pipefail
source=$1 build=$2 kind=$3
flags="-O1 -g1 -fno-omit-frame-pointer"
case $kind in
  address) flags+=" -fsanitize=address,undefined -fno-sanitize-recover=all" targets=(echodiff_tests) ;;
  thread) flags+=" -fsanitize=thread" targets=(thread_tests) ;;
  *) echo "sanitize: $kind: address or thread" >&2; exit 2 ;;
esac
cmake -S "$source" -B "$build" -DECHODIFF_CUDA=OFF -DECHODIFF_TESTS=ON -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_RULE_MESSAGES=OFF >/dev/null
cmake --build "$build" --parallel "$(nproc)" --target "${targets[@]}" -- --no-print-directory -s
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
if [ "$kind" = thread ]; then
  # ThreadSanitizer of g++ 12 needs its address space where it expects it.
  exec setarch -R "$build/tests/thread_tests" --gtest_brief=1
fi
# One in three seconds of the suite goes to these there, and each goes the ways of shorter ones beside it.
long='Dsample\.ReplayLeaves|Dsample\.SummaryAndReport|EvaluateFindsTheSegmenters|EvaluateTakesSeeds|EqualsTheUnbrokenRunWherever|EqualTheUnbrokenRunWherever'
long+='|CheckpointedActivationsResume|AMeanStartIsRecorded|AMeanStartIsTheSame|LargePicturesThatPassOneByOne|FlagsAttacksAndPasses'
ctest --test-dir "$build" -L quick -E "include_law|sizes|clang_format|reference|ops_with_|mistakes|documented_|$long" --output-on-failure --parallel "$(nproc)" --timeout 600
