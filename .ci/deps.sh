# Shared by .ci/deps and .ci/deps-test (sourced by bash): Debian packages that are missing, and pinned downloads.
# Nothing is fetched that is already there: a second run needs no network.

ci_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pillion
downloads=$cache/downloads

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# packages NAME...: installs those that are missing. Without root, or on another system, says what is missing.
packages() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "This is not a Debian system, so nothing can be installed here. What is needed, by its Debian 12 names:"
    printf '  %s\n' "$@"
    say "Install what your system calls them; going on with the downloads."
    return
  fi
  local name missing=()
  for name in "$@"; do is_installed "$name" || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    say "Missing: ${missing[*]}"
    die "not root: run  apt-get install --no-install-recommends ${missing[*]}  as root, then this again"
  fi
  say "Installing: ${missing[*]}"
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

pinned_hash() { awk -v file="$1" '$2 == file { print $1 }' "$ci_dir/downloads.sha256"; }

is_cached() {
  [ -f "$downloads/$1" ] && printf '%s  %s\n' "$(pinned_hash "$1")" "$downloads/$1" | sha256sum --check --status
}

pip_of_this_machine() {
  local python
  for python in python3 /usr/bin/python3; do
    "$python" -m pip --version >/dev/null 2>&1 && { say "$python"; return; }
  done
  die "python3 has no pip: install python3-pip, then run this again"
}

# fetch REQUIREMENT FILE [PIP-OPTION...]: puts FILE into the cache, from the package index that pip is configured for.
# pip checks the hash before it looks into the file, and it is checked once more when the file has its place.
fetch() {
  local requirement=$1 file=$2 hash work python
  shift 2
  is_cached "$file" && return
  hash=$(pinned_hash "$file")
  [ -n "$hash" ] || die "$file is not pinned in .ci/downloads.sha256"
  python=$(pip_of_this_machine)
  mkdir -p "$downloads"
  work=$(mktemp -d "$downloads/.fetch.XXXXXX")
  say "Downloading $file"
  printf '%s --hash=sha256:%s\n' "$requirement" "$hash" >"$work/requirements.txt"
  if ! "$python" -m pip download -q --no-deps --require-hashes --dest "$work" -r "$work/requirements.txt" "$@"; then
    rm -rf "$work"
    die "cannot download $requirement (pinned hash in .ci/downloads.sha256)"
  fi
  mv "$work/$file" "$downloads/$file"
  rm -rf "$work"
  is_cached "$file" || die "$file: the hash is not the pinned one"
}
