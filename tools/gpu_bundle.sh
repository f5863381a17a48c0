#!/usr/bin/env bash
# Builds the folder that is copied to a machine with a GPU, to learn there within minutes what only a GPU can prove:
#   tools/gpu_bundle.sh [OUT]                       by default build-gpu/bundle; at most 40 MiB
#   tools/gpu_bundle.sh --fake BUILD OUT            the same folder on the faked device, to test its run.sh
# It runs where there is glibc >= 2.36 and a driver: Debian's libraries and libstdc++ are linked statically, cuBLASLt and
# cuDNN are looked for in the toolkit's folders and in a Python's (kernels/cuda/library_search.h). Building needs the CUDA
# toolkit and cuDNN, and Debian's packages (tools/install_deps.sh). docs/bench/gpu.md says how to run it.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=(dtrain dsample dphantom dlabel bench_models device_tests device_report cudnn_plans)
most=$((40 << 20))

# lay_out OUT: golden files, weights of one network and run.sh; the programs' folder is empty.
lay_out() {
  local name
  rm -rf "$1"
  mkdir -p "$1/bin" "$1/golden"
  cp tools/bench/gpu_run.sh "$1/run.sh"
  cp tools/bench/gpu_torch.py "$1/"
  for name in unet_d16 unet_gn_d16 unet_guided resnet18 trainer tolerances.json; do cp -r "tests/golden/$name" "$1/golden/"; done
  cp -r docs/results/phantom64/diffusion "$1/weights"
}

# one_file BUILD OUT: all programs as OUT/echodiff, which is the one that it is called as: alone each would carry every
# kernel for every device. What one program alone defines is hidden from the others; inline functions stay shared.
one_file() {
  local work=$1/one_file name cases='' parts=() own=()
  mkdir -p "$work"
  for name in "${programs[@]}"; do
    find "$1" -path "*/$name.dir/*" -name '*.o' -print0 | xargs -0 ld -r -o "$work/$name.o" \
      $([ "$name" != device_tests ] || echo "-u main /usr/lib/x86_64-linux-gnu/libgtest_main.a")
    nm --defined-only "$work/$name.o" | awk '$2 ~ /^[TDBR]$/ && $3 != "main" { print $3 }' >"$work/$name.own"
    own=()
    [ ! -s "$work/$name.own" ] || own=(--localize-symbols="$work/$name.own")  # objcopy refuses an empty list
    objcopy --redefine-sym "main=${name}_main" "${own[@]}" "$work/$name.o"
    cases+="extern int ${name}_main(int, char **);"$'\n'
    parts+=("$work/$name.o")
  done
  {
    echo "#include <stdio.h>"$'\n'"#include <string.h>"$'\n'"$cases"
    echo 'int main(int argc, char **argv) {
  const char *slash = strrchr(argv[0], (int)(unsigned char)47), *name = slash ? slash + 1 : argv[0];'
    for name in device_tests device_report cudnn_plans; do  # the others answer themselves
      echo "  if (argc > 1 && !strcmp(argv[1], \"--version\") && !strcmp(name, \"$name\")) return !puts(\"$name $(git describe --always --dirty)\");"
    done
    for name in "${programs[@]}"; do echo "  if (!strcmp(name, \"$name\")) return ${name}_main(argc, argv);"; done
    echo '  fprintf(stderr, "%s: error: called by a name that is none of a program\n", name);
  return 2;
}'
  } >"$work/main.c"
  gcc -O2 -c "$work/main.c" -o "$work/main.o"
  g++ -O2 -static-libstdc++ -static-libgcc -s "$work/main.o" "${parts[@]}" -o "$2/echodiff" -Wl,--start-group \
    $(find "$1/kernels" "$1/src" "$1/tools" -name '*.a') "$1/libzip/build/lib/libzip.a" /usr/lib/x86_64-linux-gnu/lib{gtest,jpeg,tiff,webp,Lerc,jbig,zstd,lzma,deflate,z}.a \
    "$(sed -n 's/^CUDA_cudart_static_LIBRARY:FILEPATH=//p' "$1/CMakeCache.txt")" -Wl,--end-group -lrt -ldl -lpthread
  for name in "${programs[@]}"; do ln -s echodiff "$2/$name"; done
}

# Debian has libzip as a shared library alone; its own source makes the static one.
static_libzip() {
  local folder=$PWD/build-gpu/libzip
  [ -f "$folder/build/lib/libzip.a" ] && return
  mkdir -p "$folder/lists/partial" "$folder/sources"
  printf 'Types: deb-src\nURIs: http://deb.debian.org/debian\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
    "$(. /etc/os-release && echo "$VERSION_CODENAME")" >"$folder/sources/debian.sources"
  local from=(-qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$folder/sources" -o "Dir::State::lists=$folder/lists")
  (cd "$folder" && apt-get "${from[@]}" update && apt-get "${from[@]}" source --download-only libzip >/dev/null 2>&1)
  mkdir "$folder/source" && tar -xf "$folder"/libzip_*.orig.tar.xz -C "$folder/source" --strip-components 1
  cmake -S "$folder/source" -B "$folder/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DBUILD_TOOLS=OFF -DBUILD_REGRESS=OFF \
    -DBUILD_EXAMPLES=OFF -DBUILD_DOC=OFF -DENABLE_BZIP2=OFF -DENABLE_LZMA=OFF -DENABLE_ZSTD=OFF -DENABLE_GNUTLS=OFF -DENABLE_MBEDTLS=OFF \
    -DENABLE_OPENSSL=OFF -DCMAKE_RULE_MESSAGES=OFF >/dev/null
  cmake --build "$folder/build" --parallel "$(nproc)" -- --no-print-directory -s >/dev/null
}

if [ "${1:-}" = --fake ]; then
  [ $# = 3 ] || { echo "gpu_bundle: --fake needs a build folder and OUT" >&2; exit 2; }
  lay_out "$3"
  for name in "${programs[@]}"; do cp "$2/bin_fake/$name" "$3/bin/"; done
  exit 0
fi

out=${1:-build-gpu/bundle}
tools/install_deps.sh
command -v dpkg-source >/dev/null || { echo "gpu_bundle: dpkg-source is missing; apt-get install dpkg-dev" >&2; exit 69; }
static_libzip
cmake -S . -B build-gpu -DECHODIFF_CUDA=ON -DECHODIFF_MPI=OFF -DLIBZIP="$PWD/build-gpu/libzip/build/lib/libzip.a" -DZLIB_USE_STATIC_LIBS=ON \
  -DCMAKE_EXE_LINKER_FLAGS="-static-libstdc++ -static-libgcc -s" -DCMAKE_RULE_MESSAGES=OFF >/dev/null
cmake --build build-gpu --parallel "$(nproc)" --target "${programs[@]}" -- --no-print-directory -s
lay_out "$out"
one_file build-gpu "$out/bin"
others=$(ldd "$out/bin/echodiff" | grep -vE 'linux-vdso|ld-linux|/lib(c|m|dl|rt|pthread)\.so' || true)
[ -z "$others" ] || { echo "gpu_bundle: the programs need more than glibc:" $others >&2; exit 70; }
bytes=$(du -sb "$out" | cut -f1)
awk -v bytes="$bytes" -v out="$out" 'BEGIN { printf "gpu_bundle: %s, %.1f MiB; copy it to the GPU and run %s/run.sh there\n", out, bytes / 1048576, out }'
[ "$bytes" -le $most ] || { echo "gpu_bundle: more than $((most >> 20)) MiB" >&2; exit 70; }
