#!/usr/bin/env bash
# Every header that needs no generated messages compiles by itself; the others are included first by their own .cc.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build}  # configured: the parser's archive is unpacked there
flags=(-isystem "$build/llhttp/llhttp-9.3.0.0/lib" -std=c++23 -I. -Wall -Wextra -Werror -Wno-missing-field-initializers -fsyntax-only -x c++ -)
checked=0
failed=0
for h in $(git ls-files 'proxy/**.h' 'certs/*.h' 'k8s/**.h'); do
  checked=$((checked + 1))
  if ! echo "#include \"$h\"" | g++ "${flags[@]}"; then
    echo "$h does not stand alone"
    failed=1
  fi
done
echo "headers: $checked stand alone"
exit $failed
