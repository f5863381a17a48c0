#!/usr/bin/env bash
# Installs what the build needs from Debian's packages (root, or sudo). Never CUDA: that is used where it is found.
# Safe to run again; says nothing about what is already there. install_deps.sh --programs leaves out the tests' packages.
set -euo pipefail

packages=(g++ cmake make git libcli11-dev libstb-dev libtomlplusplus-dev nlohmann-json3-dev zlib1g-dev libjpeg62-turbo-dev libtiff-dev libzip-dev libxxhash-dev libeigen3-dev)
[ "${1:-}" = --programs ] || packages+=(libgtest-dev libpng-dev libopenmpi-dev openmpi-bin libdcmtk-dev libssl-dev)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install_deps: run as root, or install sudo; missing: ${missing[*]}" >&2; exit 1; }
  root=(sudo)
fi
echo "install_deps: installing ${missing[*]}"
"${root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
