#!/usr/bin/env bash
# Shows `make deps` and the build as a stranger meets them: in a minimal Debian 12 root, made by mmdebstrap from this
# machine's own package sources. Prints how long each step took and fails where a step does, or takes longer than it may:
#   deps and the first build, an untouched second `make build` without any network, a rebuild after one changed file.
#   tests/deps/fresh_root.sh [ROOT]     ROOT is kept when it is given
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
first_build_s_max=600
rebuild_s_max=60

command -v mmdebstrap >/dev/null || { echo "mmdebstrap is missing: apt-get install mmdebstrap" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root: it makes a root file system" >&2; exit 2; }
root=${1:-}
keep=yes
[ -n "$root" ] || { keep=no; root=$(mktemp -d "${TMPDIR:-/tmp}/pillion-fresh.XXXXXX"); }
leave() {
  umount "$root/proc" 2>/dev/null || true
  rm -f "$root.log"
  [ "$keep" = yes ] || rm -rf --one-file-system "$root"
}
trap leave EXIT

timed() {  # timed NAME LIMIT_S COMMAND…
  local name=$1 limit=$2 began took
  shift 2
  began=$(date +%s)
  "$@" >"$root.log" 2>&1 || { tail -40 "$root.log"; echo "FAILED  $name" >&2; exit 1; }
  took=$(($(date +%s) - began))
  echo "$name: $took s"
  [ "$limit" = 0 ] || [ "$took" -le "$limit" ] || { echo "FAILED  $name: more than $limit s" >&2; exit 1; }
}

# What this machine needs to reach its package registries goes along: sources, keys, settings, certificates.
copy_settings() {
  local path
  for path in /etc/apt/apt.conf.d /etc/apt/auth.conf.d /etc/apt/keyrings /etc/apt/trusted.gpg.d /etc/pip.conf; do
    [ -e "$path" ] && mkdir -p "$root$(dirname "$path")" && cp -a "$path" "$root$(dirname "$path")/"
  done
  for path in "${SSL_CERT_FILE:-}" "${PIP_CERT:-}"; do
    [ -n "$path" ] && [ -f "$path" ] && mkdir -p "$root$(dirname "$path")" && cp -L "$path" "$root$path"
  done
  return 0
}

inside() { chroot "$root" /usr/bin/env -C /src HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
  ${PIP_CERT:+PIP_CERT="$PIP_CERT"} ${SSL_CERT_FILE:+SSL_CERT_FILE="$SSL_CERT_FILE"} "$@"; }

sources=/etc/apt/sources.list.d/debian.sources
[ -f "$sources" ] || sources=/etc/apt/sources.list
timed "a minimal Debian 12" 0 mmdebstrap --variant=minbase --include=make,ca-certificates bookworm "$root" "$sources"
copy_settings
mkdir -p "$root/src"
git -C "$top" archive HEAD | tar -x -C "$root/src"
mount --bind /proc "$root/proc"
timed "make deps" 0 inside make deps
timed "first build (make build)" "$first_build_s_max" inside make build
inside /src/build/pillion --help >/dev/null
timed "make build again, without a network" "$rebuild_s_max" inside unshare --net make build
echo 'namespace pillion { extern const int kChanged = 1; }' >>"$root/src/proxy/upstream/pool.cc"
timed "rebuild after one changed source file" "$rebuild_s_max" inside make build
echo "fresh root: everything that the build needs was installed by make deps"
