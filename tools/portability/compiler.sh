#!/usr/bin/env bash
# The clang and libc++ of the portability build, and the same clang for fuzzing (Debian, Ubuntu).
#
#   compiler.sh --packages         the apt packages that it comes from, and those of check_arm.sh
#   compiler.sh --fuzz-packages    those that it comes from, libFuzzer among them
#   compiler.sh                    the compiler's name: clang++-N
#
# One that is installed already is taken; else the oldest from 16 on that apt has, because Apple's compilers trail LLVM.
set -euo pipefail

for version in 19 18 17 16 20 21; do
  if command -v "clang++-$version" >/dev/null && [ -d "/usr/lib/llvm-$version/include/c++/v1" ]; then
    found=$version
    break
  fi
done
if [ -z "${found:-}" ]; then
  for version in 16 17 18 19 20 21; do
    if apt-cache show "clang-$version" "libc++-$version-dev" >/dev/null 2>&1; then
      found=$version
      break
    fi
  done
fi
if [ -z "${found:-}" ]; then
  echo "portability: no clang with libc++ (16 or newer) is installed or offered by apt" >&2
  exit 1
fi

if [ "${1:-}" = --packages ]; then
  echo "clang-$found libc++-$found-dev libc++abi-$found-dev"
  if [ "$(uname -m)" != aarch64 ]; then echo libc6-dev-arm64-cross g++-aarch64-linux-gnu qemu-user; fi
elif [ "${1:-}" = --fuzz-packages ]; then
  echo "clang-$found libc++-$found-dev libc++abi-$found-dev libclang-rt-$found-dev"
else
  echo "clang++-$found"
fi
