#!/usr/bin/env bash
# Raises the shop in a machine of its own: private network, process and mount namespaces, which end with it, whatever
# ends it. Root needs nothing else; an ordinary user needs subordinate uids (package uidmap, /etc/subuid).
#   demo.sh [--only STEP,STEP…] [--keep-logs DIR]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin  # where Debian keeps ip and iptables, and an ordinary user does not look
export PILLION_BIN=${PILLION_BIN:-$root/build/pillion}
export PILLION_PYTHON=${PILLION_PYTHON:-${XDG_CACHE_HOME:-$HOME/.cache}/pillion/python}
[ -x "$PILLION_BIN" ] || { echo "demo: $PILLION_BIN is not there: run 'make build'" >&2; exit 2; }
for program in unshare ip iptables nginx nats-server curl h2load tcpdump tshark setpriv; do
  command -v "$program" >/dev/null || { echo "demo: $program is missing: run 'make deps-test'" >&2; exit 2; }
done
user=()
if [ "$(id -u)" != 0 ]; then
  grep -q "^$(id -un):" /etc/subuid 2>/dev/null || {
    echo "demo: $(id -un) has no subordinate uids: add a line to /etc/subuid and /etc/subgid, or run as root" >&2
    exit 2
  }
  user=(--user --map-root-user --map-auto)
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/pillion-demo.XXXXXX")
chmod 755 "$work"
child=
cleanup() {
  [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
  # Files of other uids of a user namespace can only be removed from inside of one.
  unshare "${user[@]}" rm -rf "$work" 2>/dev/null || rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
unshare "${user[@]}" --net --mount --pid --fork --kill-child=KILL --mount-proc \
  python3 "$here/demo" --work "$work" "$@" &
child=$!
status=0
wait "$child" || status=$?
child=
exit "$status"
