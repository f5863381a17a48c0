#!/usr/bin/env bash
# The Debian packages of a build folder in a fresh Debian: they install, the programs run from PATH, the man pages open, and
# the example consumer builds against the libraries. As root, with debootstrap; some four minutes and a gigabyte.
#   tools/package/check_in_fresh_root.sh BUILD [ROOT]
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:?usage: check_in_fresh_root.sh BUILD [ROOT]} root=${2:-$(mktemp -d)/root}
(cd "$build" && rm -f ./*.deb && cpack -G DEB >/dev/null)
debootstrap --variant=minbase bookworm "$root" http://deb.debian.org/debian >/dev/null
cp "$build"/echodiff_*.deb "$build"/libechodiff-dev_*.deb "$root/root/"
cp -r "$here/docs/examples/consumer" "$root/root/"
cp /etc/resolv.conf "$root/etc/"
chroot "$root" bash -euc '
  export DEBIAN_FRONTEND=noninteractive
  install() { apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1; }
  cd /root
  apt-get update >/dev/null 2>&1
  install ./echodiff_*.deb man-db
  dphantom --out data --count 12 --size 16 --quiet
  dtrain diffusion --data data --out model --image-size 16 --steps 2 --batch 2 --dim 8 --mults 1,2 --timesteps 20 --val-every 0 --quiet
  dsample --model model --masks data --count 2 --sampler ddim --sample-steps 2 --out samples --quiet
  [ "$(ls samples/images | wc -l)" = 2 ]
  for program in dphantom dtrain dsample dlabel dreport dweights; do man "$program" | grep -q NAME; done
  install ./libechodiff-dev_*.deb g++ cmake make
  cmake -S consumer -B consumer/build >/dev/null && cmake --build consumer/build >/dev/null && consumer/build/consumer'
echo "installed, run and built against in $root"
