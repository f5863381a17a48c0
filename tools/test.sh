#!/usr/bin/env bash
# Installs what is missing, builds programs and tests, and runs ctest. Arguments go to ctest: tools/test.sh -L quick
# ECHODIFF_CONFIGURE in the environment goes to cmake.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/install_deps.sh
cmake -S . -B build -DECHODIFF_TESTS=ON -DCMAKE_RULE_MESSAGES=OFF ${ECHODIFF_CONFIGURE:-} >/dev/null
cmake --build build --parallel "$(nproc)" -- --no-print-directory -s
ctest --test-dir build --output-on-failure --parallel "$(nproc)" "$@"
