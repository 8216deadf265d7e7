#!/usr/bin/env bash
# The portability check: no Mac runs our tests, so everything is at least compiled here as nearly as a Mac would.
#
#   tools/portability/check.sh      (after tools/setup/setup.sh portability)
#
# Every translation unit, objects only, in build/portability: clang, libc++, 64-bit Arm, and Apple's idea of some types:
# int64_t is `long long` there but `long` on Linux (so that std::max(int64_t, ptrdiff_t) compiles on one alone), and char is
# signed. Those come from a changed copy of glibc's <bits/types.h>, put in front; nothing built here ever runs.
# Then the CPU kernels, which differ on Arm, are built as Linux has them and do run there: check_arm.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."

python3 tools/portability/check_names.py

if [ "$(uname -s)" = Darwin ]; then
  echo "portability: this is a Mac; 'make test' is the check"
  exit 0
fi

compiler=$(tools/portability/compiler.sh)
build=build/portability
arm=/usr/aarch64-linux-gnu/include
host=$(gcc -print-multiarch)
flags="-fsigned-char;-isystem$PWD/$build/types"
if [ "$(uname -m)" = aarch64 ]; then
  arm=/usr/include/$host
else
  # -idirafter: behind libc++'s own headers, which wrap the C library's.
  flags="--target=aarch64-linux-gnu;$flags;-idirafter$arm;-idirafter/usr/include/$host"
fi

types=$(sed -E 's/^typedef (un)?signed long int __(u?)int64_t;/typedef \1signed long long int __\2int64_t;/' "$arm/bits/types.h")
[ "$(grep -c 'signed long long int __u\?int64_t;' <<<"$types")" -ge 2 ] ||
  { echo "portability: $arm/bits/types.h does not look as expected" >&2; exit 1; }
mkdir -p "$build/types/bits"
if [ "$(cat "$build/types/bits/types.h" 2>/dev/null)" != "$types" ]; then echo "$types" >"$build/types/bits/types.h"; fi

# clang's thread-safety analysis must be at work (src/base/mutex.h).
if "$compiler" -std=c++20 -stdlib=libc++ -Isrc -Wthread-safety -Werror -fsyntax-only tools/portability/unguarded.cpp 2>/dev/null; then
  echo "portability: $compiler lets a member be touched without its mutex" >&2
  exit 1
fi

cmake --preset portability -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_CXX_FLAGS=-stdlib=libc++ -DPIPPIN_OBJECT_FLAGS="$flags" >/dev/null
cmake --build --preset portability -- -k 0
tools/portability/check_arm.sh
