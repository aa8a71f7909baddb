#!/usr/bin/env bash
# Every header that needs no generated messages compiles by itself. One that its own .cc includes first is proved by the
# build; the others are compiled here.
set -euo pipefail
cd "$(dirname "$0")/../.."
export build=${BUILD:-build}  # configured: the parser's archive is unpacked there
compile() {
  echo "#include \"$1\"" | g++ -isystem "$build/llhttp/llhttp-9.3.0.0/lib" -std=c++23 -I. -Wall -Wextra -Werror \
    -Wno-missing-field-initializers -fsyntax-only -x c++ - || { echo "$1 does not stand alone"; return 255; }
}
export -f compile
alone=()
proved=0
for header in $(git ls-files 'proxy/**.h' 'certs/*.h' 'k8s/**.h'); do
  source=${header%.h}.cc
  if [ -f "$source" ] && [ "$(grep -m1 '^#include' "$source")" = "#include \"$header\"" ]; then
    proved=$((proved + 1))
  else
    alone+=("$header")
  fi
done
printf '%s\n' "${alone[@]}" | xargs -P "$(nproc)" -I{} bash -c 'compile {}'
echo "headers: ${#alone[@]} stand alone, $proved more are proved by the build"
